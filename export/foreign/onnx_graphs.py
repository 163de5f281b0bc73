"""Adapt fast-style networks that come as ONNX, with RGB in 0..255 and perhaps for one size, to the style file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, version_converter
from PIL import Image

from export.measure import open_quietly
from export.to_onnx import CHECKED_SIZES, OPSET, Reference, without_traces
from nst_core.base.errors import StyleError
from nst_core.base.onnx_model import OPERATORS, inspect_model, list_names
from nst_core.base.onnx_runtime import ort
from nst_core.style_file import PREFIX

MULTIPLES = (1, 2, 4, 8, 16, 32)
TRIED_SIZES = ((61, 97), (157, 133))  # two, so a network that always returns one size does not pass
DEFAULT_SIDE = 224  # where the model names no size of its own, or a very large one
LARGEST_OWN = 1024 * 1024  # pixels; a network for 4096x4096 would take gigabytes there
# A picture in 0..255 has values above this one; a picture in 0..1 or -1..1 has none.
BRIGHT = 3.0

Size = tuple[int, int]
"""Height and width in pixels."""

Runner = Callable[[np.ndarray], np.ndarray]
"""Takes and returns a picture, float32 [1, 3, H, W] in 0..255."""


@dataclass(frozen=True)
class AdaptedNetwork:
    """A foreign network, adapted to the style file.

    Attributes:
        layout: the kind of the original, in words.
        model: the graph, which keeps the style file's contract.
        reference: what the graph must compute.
        multiple_of: what height and width must be a multiple of.
    """

    layout: str
    model: onnx.ModelProto
    reference: Reference
    multiple_of: int = 1


def adapt(original: onnx.ModelProto, photo: np.ndarray) -> AdaptedNetwork:
    """Adapt a model like those of the ONNX model zoo's fast_neural_style to the style file.

    It needs one input and one output, float32 [1, 3, H, W]; ``photo`` (uint8 [h, w, 3]) shows whether they are in
    0..255. The sizes that the model names are removed. An output larger than its photo, from halves rounded up, is
    cropped. Operators older than those of OPSET are converted; newer ones stay, because the converter cannot convert
    all of them back. Raises StyleError, with the reason, if the model is of another kind or works at its own size only.
    """
    opset = _opset(original)
    name, named = _input(original)
    own_size = named if named and named[0] * named[1] <= LARGEST_OWN else (DEFAULT_SIDE, DEFAULT_SIDE)
    words = f"{named[1]}x{named[0]}" if named else "any size"
    try:
        onnx.checker.check_model(original)
        freed = _without_sizes(original)
        run_freed = _runner(open_quietly(freed), name)
        run_original = _runner(open_quietly(original), name) if own_size == named else run_freed
        converted = version_converter.convert_version(original, OPSET) if opset < OPSET else original
        model = _to_contract(_without_sizes(converted), name, max(opset, OPSET))
    except Exception as error:  # the converter and the runtime raise many kinds
        raise StyleError(f"The ONNX network cannot be converted ({_reason(error)}); choose another one.") from error
    _check_range(run_original, photo, own_size)
    multiple = _multiple(run_freed, words)

    def run(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[2:]
        # At its own size the unchanged model is the reference.
        run_network = run_original if (height, width) == own_size else run_freed
        return np.clip(run_network(image * 255)[..., :height, :width] / 255, 0, 1)

    rounded = tuple(
        (-(-height // multiple) * multiple, -(-width // multiple) * multiple) for height, width in CHECKED_SIZES
    )
    layout = f"ONNX, opset {opset}, {words}"
    return AdaptedNetwork(layout, model, Reference("the original's", run, (own_size, *rounded)), multiple)


def _opset(model: onnx.ModelProto) -> int:
    """Return the version of the model's operators. Raises StyleError if it cannot be converted."""
    if any(entry.key.startswith(PREFIX) for entry in model.metadata_props):
        raise StyleError("This is a Neural Style file already; copy it into the folder of your styles.")
    domains = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    if set(domains) != {"ai.onnx"}:
        raise StyleError(
            f"The ONNX network has operators of {', '.join(sorted(domains)) or 'no known set'}, and only those of "
            "ai.onnx can be converted; choose another one."
        )
    try:
        contents = inspect_model(model.SerializeToString())
    except ValueError as error:
        raise StyleError(f"The ONNX network cannot be used ({error}); choose another one.") from error
    if contents.reads_files:
        raise StyleError("The ONNX network keeps its weights in a second file; save it with all in one.")
    if others := contents.operators - OPERATORS:
        raise StyleError(
            f"The ONNX network has operators that no style may have ({list_names(others)}); choose another."
        )
    return int(domains["ai.onnx"])


def _input(model: onnx.ModelProto) -> tuple[str, Size | None]:
    """Return the name of the only input, and the size that the model was made for, or None for any."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise StyleError(
            f"The ONNX network has {len(inputs)} inputs and {len(model.graph.output)} outputs, where a style has one "
            "of each; choose another one."
        )
    tensor = inputs[0].type.tensor_type
    shape = [max(0, dimension.dim_value) for dimension in tensor.shape.dim]  # some exporters write -1 for any size
    if tensor.elem_type != TensorProto.FLOAT or len(shape) != 4 or shape[0] not in (0, 1) or shape[1] not in (0, 3):
        extents = ", ".join(str(extent or "?") for extent in shape)
        raise StyleError(
            f"The ONNX network takes {TensorProto.DataType.Name(tensor.elem_type).lower()} [{extents}], where a style "
            "takes float [1, 3, height, width]; choose another one."
        )
    return inputs[0].name, (shape[2], shape[3]) if shape[2] and shape[3] else None


def _without_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that names no height and width, and whose weights are not inputs, unlike before IR version 4."""
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    freed.ir_version = max(model.ir_version, 4)
    weights = {tensor.name for tensor in model.graph.initializer}
    (image,) = (value for value in model.graph.input if value.name not in weights)
    del freed.graph.input[:], freed.graph.output[:], freed.graph.value_info[:]
    for values, name in ((freed.graph.input, image.name), (freed.graph.output, model.graph.output[0].name)):
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "height", "width"]))
    return freed


def _to_contract(network: onnx.ModelProto, name: str, opset: int) -> onnx.ModelProto:
    """Wrap the network to take ``image`` and return ``styled``, both in 0..1 and of one size; prefix its own names."""
    prefix = "network/"
    graph = compose.add_prefix(network, prefix).graph
    before = [helper.make_node("Mul", ["image", "white"], [prefix + name])]
    after = [
        helper.make_node("Shape", ["image"], ["size"], start=2),
        helper.make_node("Slice", [graph.output[0].name, "corner", "size", "axes"], ["cropped"]),
        helper.make_node("Div", ["cropped", "white"], ["unclipped"]),
        helper.make_node("Clip", ["unclipped", "zero", "one"], ["styled"]),
    ]
    constants = {name: np.array(value, np.float32) for name, value in (("white", 255), ("zero", 0), ("one", 1))}
    constants |= {name: np.array(value, np.int64) for name, value in (("corner", [0, 0]), ("axes", [2, 3]))}
    image, styled = (
        helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, 3, "height", "width"])
        for value in ("image", "styled")
    )
    weights = [*graph.initializer, *(onnx.numpy_helper.from_array(array, key) for key, array in constants.items())]
    whole = helper.make_graph([*before, *graph.node, *after], "style", [image], [styled], weights)
    opsets = [helper.make_opsetid("", opset)]
    ir_version = helper.find_min_ir_version_for(opsets)
    return without_traces(helper.make_model(whole, opset_imports=opsets, ir_version=ir_version))


def _runner(session: ort.InferenceSession, name: str) -> Runner:
    def run(image: np.ndarray) -> np.ndarray:
        output: np.ndarray = session.run(None, {name: image})[0]
        return output

    return run


def _check_range(run: Runner, photo: np.ndarray, own_size: Size) -> None:
    """Raise StyleError unless the network turns a photo in 0..255 into a picture in 0..255."""
    resized = np.array(Image.fromarray(photo).resize(own_size[::-1]), np.float32)
    try:
        answer = run(resized.transpose(2, 0, 1)[None])
    except Exception as error:  # the runtime's own exception classes share no other base
        raise StyleError(f"The ONNX network does not run ({_reason(error)}); choose another one.") from error
    if not (np.isfinite(answer).all() and answer.max() > BRIGHT):
        raise StyleError(
            f"The ONNX network turns a photo in 0..255 into values from {answer.min():.3g} to {answer.max():.3g}, but "
            "only a network with 0..255 on both sides can be imported; choose another one."
        )


def _multiple(run: Runner, made_for: str) -> int:
    """Return the least number whose multiples are sizes for which the network returns a picture no smaller.

    ``made_for`` is the size that the model names, in words. Raises StyleError if there is no such number in MULTIPLES.
    """
    problem = ""
    for multiple in MULTIPLES:
        # Odd multiples, which are not multiples of the next number.
        sizes = [tuple(multiple * (-(-extent // multiple) | 1) for extent in size) for size in TRIED_SIZES]
        try:
            answers = [run(np.full((1, 3, *size), 127.5, np.float32)).shape for size in sizes]
        except Exception as error:  # the runtime's own exception classes share no other base
            problem = _reason(error)
            continue
        excess = [
            output - extent
            for size, answer in zip(sizes, answers, strict=True)
            for output, extent in zip(answer[2:], size, strict=True)
        ]
        if all(answer[:2] == (1, 3) for answer in answers) and min(excess) >= 0 and max(excess) < MULTIPLES[-1]:
            return multiple
        problem = f"given {list(sizes[0])}, it returns {list(answers[0])}"
    raise StyleError(
        f"The ONNX network, made for {made_for}, does not paint pictures of every size "
        f"({problem}); export it again with dynamic height and width."
    )


def _reason(error: Exception) -> str:
    """Return the first line of a library's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
