"""Make a style file from a fast-style network that another program trained, recognised by its contents."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from torch import Tensor

from export.foreign.networks import PyTorchNetwork, TensorFlowNetwork, UnitRangeNetwork
from export.foreign.onnx_graphs import AdaptedNetwork, adapt
from export.measure import measure
from export.to_onnx import StyleModel, to_onnx, torch_reference, write_styles
from nst_core.base.errors import StyleError
from nst_core.base.onnx_model import LARGEST_MODEL, inspect_model
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.style_file import StyleCard

SUPPORTED_FORMATS = (
    "a PyTorch state dict with the keys of pytorch/examples' fast_neural_style (conv1.conv2d.weight and so on), an "
    ".npz with the variables of lengstrom/fast-style-transfer (arr_0 or Variable:0 and so on), or an ONNX network with "
    "RGB in 0..255 on both sides"
)
LARGEST_FILE = LARGEST_MODEL  # also after unpacking; such networks have 7 MB, or 20 MB with an optimiser's state
MOST_VARIABLES = 10_000  # in an .npz; fast-style-transfer has 48
# A tensor that identifies the network in a training's checkpoint; the text before its name is the prefix.
ANCHOR = re.compile(r"((?:.*\.)?)conv3\.conv2d\.weight")
COMPILED = "_orig_mod."  # torch.compile's prefix, which may come at any level
DEEPEST_DICTIONARY = 3  # dictionaries within dictionaries
# Instance norms of early PyTorch versions kept these and never used them; pytorch/examples drops them on loading.
STATISTICS = ("running_mean", "running_var")
COUNT = "num_batches_tracked"  # a norm with this one uses them
PROBE_SIDE = 64  # pixels

Network = TypeVar("Network", PyTorchNetwork, TensorFlowNetwork)


@dataclass(frozen=True)
class ImportedStyle:
    """The recognised layout, and the largest difference between the style file and the original, on the 0..1 range."""

    layout: str
    difference: float


def import_style(source: Path, card: StyleCard, photo: np.ndarray, path: Path) -> ImportedStyle:
    """Make the style file ``path``, whole or not at all, from the network in ``source`` (see ``read_network``).

    ``photo`` (uint8 [H, W, 3]) is painted for the thumbnail. Raises StyleError if ``source`` is damaged or of another
    kind, or if the style would not compute what the original does.
    """
    _ = card.slug  # raises before the work if it is unusable
    network = read_network(source)
    if path.exists() and path.samefile(source):
        raise StyleError(f"{path} is the file to import; choose another output.")
    if isinstance(network, onnx.ModelProto):
        adapted = adapt(network, photo)
    else:
        style = UnitRangeNetwork(network).eval()
        adapted = AdaptedNetwork(network.layout, to_onnx(style), torch_reference(style))
    origin = {
        "imported_from": source.name,
        "imported_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "layout": adapted.layout,
    }
    rules = measure(adapted.model, adapted.multiple_of)
    model = StyleModel(adapted.model, [card], rules, origin, adapted.reference)
    return ImportedStyle(adapted.layout, write_styles(model, photo, path))


def read_network(path: Path) -> PyTorchNetwork | TensorFlowNetwork | onnx.ModelProto:
    """Return the network in a file of one of the SUPPORTED_FORMATS kinds, whatever its suffix.

    Nothing in the file is executed. Raises StyleError if it is damaged or of another kind.
    """
    check_untrusted_file(path, LARGEST_FILE)
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                if sum(entry.file_size for entry in archive.infolist()) > LARGEST_FILE:
                    raise _damaged(path)
            if any(name.endswith("data.pkl") for name in names):
                return _read_torch(path)
            if names and all(name.endswith(".npy") for name in names):
                return _read_npz(path)
        elif start.startswith(b"\x80"):  # a bare pickle, from PyTorch before 1.6
            return _read_torch(path)
        elif model := _read_onnx(path):
            return model
    except OSError as error:
        raise StyleError(f"{path} cannot be read ({error.strerror}); fix that or choose another file.") from error
    except zipfile.BadZipFile as error:
        raise _damaged(path) from error
    raise _unsupported(path)


def _read_torch(path: Path) -> PyTorchNetwork:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that it then refuses
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds of error for a file that it cannot or will not read
        raise _damaged(path) from error
    state = _network_state(path, contents)
    return _build(path, lambda: PyTorchNetwork(state))


def _network_state(path: Path, contents: object) -> dict[str, Tensor]:
    """Return the tensors of the network in a checkpoint, by their names in the network."""
    networks = []
    for dictionary in _dictionaries(contents):
        named = {str(key).replace(COMPILED, ""): value for key, value in dictionary.items()}
        networks += [(match[1], named) for key in named if (match := ANCHOR.fullmatch(key))]
    if not networks:
        raise _unsupported(path)
    if len(networks) > 1:
        raise StyleError(f"{path} holds {len(networks)} networks; save the state_dict() of only one.")
    ((prefix, named),) = networks
    tensors = {
        key.removeprefix(prefix): value
        for key, value in named.items()
        if key.startswith(prefix) and isinstance(value, Tensor)
    }
    # A tensor may claim to be larger than its data in the file.
    if sum(tensor.numel() for tensor in tensors.values()) * 4 > LARGEST_FILE:
        raise _damaged(path)
    return {
        key: tensor if key.endswith(COUNT) else tensor.float()
        for key, tensor in tensors.items()
        if not key.endswith(STATISTICS) or f"{key.rpartition('.')[0]}.{COUNT}" in tensors
    }


def _dictionaries(contents: object, depth: int = DEEPEST_DICTIONARY) -> Iterator[dict[Any, Any]]:
    """Yield a dictionary and those within it."""
    if isinstance(contents, dict) and depth:
        yield contents
        for value in contents.values():
            yield from _dictionaries(value, depth - 1)


def _read_npz(path: Path) -> TensorFlowNetwork:
    """Read variables by their numbers; ``Variable`` alone is number 0, and an optimiser's have longer names."""
    variables: dict[int, Tensor] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                if match := re.fullmatch(r"arr_(\d{1,9})|Variable(?:_(\d{1,9}))?(?::0)?", name):
                    array = file[name]
                    if array.nbytes > LARGEST_FILE or array.size * 4 > LARGEST_FILE:
                        raise _damaged(path)
                    variables[int(match[1] or match[2] or 0)] = torch.from_numpy(array.astype(np.float32))
    except (ValueError, TypeError, EOFError, MemoryError, zlib.error) as error:
        raise _damaged(path) from error
    if not variables or max(variables) > MOST_VARIABLES:
        raise _unsupported(path)
    ordered = [variables.get(number) for number in range(max(variables) + 1)]
    return _build(path, lambda: TensorFlowNetwork(ordered))


def _read_onnx(path: Path) -> onnx.ModelProto | None:
    data = path.read_bytes()
    try:
        inspect_model(data)  # many small messages would take far more memory than the file
        model = onnx.load_from_string(data)
    except Exception:  # protobuf raises its own kinds, which the onnx package does not name
        return None
    return model if model.graph.node else None  # protobuf reads much else as a model without a graph


def _build(path: Path, build: Callable[[], Network]) -> Network:
    """Build a network and check that its tensors are all there, fit together and turn a picture into a picture."""
    shape = (1, 3, PROBE_SIDE, PROBE_SIDE)
    try:
        network = build().eval()
        if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
            raise ValueError("it has values that are infinite or NaN")
        with torch.no_grad():
            output = network(torch.full(shape, 127.5))
        if output.shape != shape:
            raise ValueError(f"given {list(shape)}, it returns {list(output.shape)}")
    except (KeyError, ValueError, RuntimeError) as error:
        message = f"{error} is missing" if isinstance(error, KeyError) else str(error).strip()
        reason = message.splitlines()[-1].strip().rstrip(".")
        raise StyleError(
            f"{path} looks like a fast style, but its network is not complete ({reason}); fetch or choose another."
        ) from error
    return network


def _damaged(path: Path) -> StyleError:
    return StyleError(
        f"{path} cannot be read: it is damaged or cut off, or holds more than tensors; fetch it again or, if it is a "
        "whole PyTorch model, save its state_dict() alone."
    )


def _unsupported(path: Path) -> StyleError:
    return StyleError(f"{path} holds no style that can be imported; choose {SUPPORTED_FORMATS}.")
