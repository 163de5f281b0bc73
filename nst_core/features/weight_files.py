"""Files of feature-network weights, recognised by what is in them: safetensors, PyTorch, Keras (HDF5), MatConvNet."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.features.layers import CONVOLUTIONS_PER_BLOCK, torchvision_keys
from nst_core.features.network import CAFFE, MATCONVNET, TORCHVISION, Preprocessing

# The top-left corner of conv1_1's first filter over its input channels, in BGR order, in the networks that Oxford's
# Visual Geometry Group published with Simonyan and Zisserman 2014.
OXFORD_CORNERS = {
    "vgg19": (0.34119523, 0.46418372, 0.39416704),
    "vgg16": (0.42947057, 0.55037946, 0.48001540),
}
# For the corner as a unit vector. bfloat16, coarser than float16, is off by at most 0.002; the nearest other filter,
# Oxford's VGG-19 with torchvision's preprocessing folded in, is off by 0.008.
CORNER_TOLERANCE = 0.003


@dataclass(frozen=True)
class WeightFile:
    """The contents of a file of weights.

    Attributes:
        layout: ``vgg19`` or ``vgg16``, ``slim`` (Wang et al.) or ``compact`` (ours): the builder in vgg.py to use.
        state: float32 tensors of the convolutions. A VGG's have torchvision's keys, whatever the file's were.
        preprocessing: what a VGG expects of its pixels; the slim networks have their own.
    """

    layout: str
    state: dict[str, Tensor]
    preprocessing: Preprocessing


def read(path: Path) -> WeightFile:
    """Read a file of weights, whatever its suffix.

    A safetensors or PyTorch file has torchvision's keys (``features.0.weight``) or those of Gatys' ``vgg_conv.pth``
    (``conv1_1.weight``), and a safetensors file may have those of a slim network. A Keras file has layers
    ``block1_conv1`` and so on, a MatConvNet file a cell array ``layers``. A VGG may end early.

    No code in a file is run. Raises StyleError if the file is damaged or holds another network or impossible weights.
    """
    kind, reader = _recognised(path)
    state, stated = _read_convolutions(path, kind, reader)
    if "conv11.weight" in state:
        return WeightFile("slim", state, TORCHVISION)
    if "head_relu1_1.weight" in state:
        return WeightFile("compact", state, TORCHVISION)
    layout, vgg = _as_torchvision(path, state)
    # Gatys named the layers after Oxford's Caffe model, and kept its pixels.
    default = CAFFE if "conv1_1.weight" in state else TORCHVISION
    return WeightFile(layout, vgg, oxford_preprocessing(vgg["features.0.weight"]) or stated or default)


def _read_convolutions(path: Path, kind: str, reader: Callable[[Path], Contents]) -> Contents:
    """Return the weights and biases of a file's convolutions, and the preprocessing that it states."""
    try:
        tensors, stated = reader(path)
        return _convolutions(path, tensors), stated
    except StyleError:
        raise
    except ImportError as error:
        raise StyleError(
            _(
                "{path} is a {kind} file, and {name}, which reads it, is not installed; run `python3 install.py "
                "torch` again in Neural Style's folder."
            ).format(path=path, kind=kind, name=error.name)
        ) from error
    except Exception as error:  # these libraries raise dozens of kinds on a damaged file
        raise StyleError(
            _(
                "{path} cannot be read as a {kind} file: it is damaged or cut off, or holds more than numbers; "
                "delete it and fetch or copy it again."
            ).format(path=path, kind=kind)
        ) from error


def convolutions(path: Path) -> dict[str, Tensor]:
    """Read the weights and biases of any network's convolutions from a safetensors file, by their own names, float32.

    No code in a file is run. Raises StyleError if the file is damaged, or a convolution has no bias.
    """
    kind, reader = _recognised(path)
    if reader is not _read_safetensors:
        raise StyleError(f"{path} is a {kind} file; give a safetensors file.")
    return _read_convolutions(path, kind, reader)[0]


def oxford_preprocessing(first: Tensor) -> Preprocessing | None:
    """Return the preprocessing of a VGG with the weights ``first`` in conv1_1 if it is one of Oxford's, else None.

    A corner of the first filter shows it: in BGR order it is Caffe's form, in RGB order MatConvNet's. Only its
    direction counts, because weights that were normalised as in Gatys et al. 2015 have a scaled filter.
    """
    if first.shape != (64, 3, 3, 3):
        return None
    corner = F.normalize(first[0, :, 0, 0], dim=0)
    for bgr in OXFORD_CORNERS.values():
        known = F.normalize(corner.new_tensor(bgr), dim=0)
        for form, expected in ((CAFFE, known), (MATCONVNET, known.flip(0))):
            if torch.allclose(corner, expected, rtol=0, atol=CORNER_TOLERANCE):
                return form
    return None


# ---- formats ----------------------------------------------------------------------------------------------------

Contents = tuple[dict[str, Tensor], Preprocessing | None]
"""Tensors by name, and the preprocessing that the file states or that is the rule in its format."""


def _recognised(path: Path) -> tuple[str, Callable[[Path], Contents]]:
    """Return the name of the file's format, and its reader."""
    check_untrusted_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise StyleError(
            _("{path} cannot be read ({strerror}); fix that or choose another file.").format(
                path=path, strerror=error.strerror
            )
        ) from error
    if start[8:9] == b"{":  # after the header's length
        return "safetensors", _read_safetensors
    if start.startswith((b"PK\x03\x04", b"\x80")):  # a zip archive, or a bare pickle before PyTorch 1.6
        return "PyTorch", _read_torch
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "Keras", _read_keras
    if start.startswith(b"MATLAB 5.0 MAT-file"):
        return "MatConvNet", _read_matconvnet
    if start.startswith(b"MATLAB 7.3 MAT-file"):
        raise StyleError(_("{path} is a MATLAB 7.3 file; save it with MATLAB's option -v7.").format(path=path))
    raise StyleError(
        _(
            "{path} cannot be read as weights: it is not a safetensors, PyTorch, Keras or MatConvNet file; choose "
            "another."
        ).format(path=path)
    )


def _read_safetensors(path: Path) -> Contents:
    with safe_open(path, framework="pt") as file:
        stated = (file.metadata() or {}).get("preprocessing")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator of its own)
    if stated is None:
        return tensors, None
    if stated.startswith("BGR"):
        return tensors, CAFFE
    return tensors, MATCONVNET if "0..255" in stated else TORCHVISION


def _read_torch(path: Path) -> Contents:
    contents = torch.load(path, map_location="cpu", weights_only=True)
    contents = contents.get("state_dict", contents)
    return {key: value for key, value in contents.items() if isinstance(value, Tensor)}, None


def _read_keras(path: Path) -> Contents:
    """Read Keras's HDF5. Every layer has a dataset with four dimensions, its kernel, and one with one, its bias.

    The layer is named by the groups above them, or in Keras 3's .weights.h5 by an attribute of the group ``vars``.
    """
    import h5py

    tensors: dict[str, Tensor] = {}

    def visit(name: str, node: h5py.Group | h5py.Dataset) -> None:
        layer = re.search(r"\bblock(\d)_conv(\d)\b", f"{name} {node.parent.attrs.get('name', '')}")
        if layer and isinstance(node, h5py.Dataset) and not name.startswith("optimizer"):
            _add(tensors, f"conv{layer[1]}_{layer[2]}", node[()])

    with h5py.File(path) as file:
        file.visititems(visit)
    return tensors, CAFFE


def _read_matconvnet(path: Path) -> Contents:
    """Read the cells ``layers``, perhaps in a structure ``net``.

    Each has a name, and ``weights`` {W, b} or, in older files, ``filters`` and ``biases``.
    """
    from scipy.io import loadmat

    contents = loadmat(path, struct_as_record=False, variable_names=("layers", "net"))
    if "net" in contents:
        contents = vars(contents["net"].flat[0])
    tensors: dict[str, Tensor] = {}
    for cell in contents.get("layers", np.empty(0)).flat:
        layer = cell.flat[0]
        if re.fullmatch(r"conv\d_\d", name := "".join(layer.name.flat)):
            for array in layer.weights.flat[:2] if hasattr(layer, "weights") else (layer.filters, layer.biases):
                _add(tensors, name, array)
    return tensors, MATCONVNET


def _add(tensors: dict[str, Tensor], layer: str, array: np.ndarray) -> None:
    """Add a kernel, [height, width, in, out] in Keras and MatConvNet, or a bias, to ``tensors`` in PyTorch's layout."""
    native = array.astype(array.dtype.newbyteorder("="))
    if native.ndim == 4:
        tensors[f"{layer}.weight"] = torch.from_numpy(np.ascontiguousarray(native.transpose(3, 2, 0, 1)))
    else:
        tensors[f"{layer}.bias"] = torch.from_numpy(native.ravel())


# ---- contents ---------------------------------------------------------------------------------------------------


def _convolutions(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weight and bias of every convolution in float32, and nothing else."""
    state: dict[str, Tensor] = {}
    for key, weight in tensors.items():
        layer, _dot, end = key.rpartition(".")
        if end != "weight" or weight.ndim != 4:
            continue
        bias = tensors.get(f"{layer}.bias")
        if bias is None or bias.shape != weight.shape[:1]:
            raise _another_network(path, f"{layer} has no bias for its {len(weight)} channels")
        for part, tensor in ((key, weight), (f"{layer}.bias", bias)):
            if not tensor.is_floating_point():
                kind = str(tensor.dtype).removeprefix("torch.")
                raise StyleError(
                    _("{part} in {path} is of type {kind}, but weights are floats; choose another file.").format(
                        part=part, path=path, kind=kind
                    )
                )
            state[part] = tensor.float()
            if not state[part].isfinite().all():
                raise StyleError(
                    _("{part} in {path} holds values that are infinite or NaN; fetch or copy the file again.").format(
                        part=part, path=path
                    )
                )
    return state


def _as_torchvision(path: Path, state: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Return the kind of VGG that begins with these convolutions, and the state with torchvision's keys.

    VGG-16 and VGG-19 differ from conv3_4 on; before that, either answer is right.
    """
    layers = {key.removesuffix(".weight") for key in state if key.endswith(".weight")}
    if not layers:
        raise StyleError(
            _(
                "{path} holds no VGG weights: features.0.weight is missing (in a Keras or MatConvNet file, "
                "conv1_1); choose a file of VGG-19 or VGG-16."
            ).format(path=path)
        )
    for kind, counts in CONVOLUTIONS_PER_BLOCK.items():
        keys = {str(layer): key for layer, key in torchvision_keys(counts).items()}
        for names in (keys, {key: key for key in keys.values()}):
            if layers == set(list(names)[: len(layers)]):
                return kind, {f"{names[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": v for k, v in state.items()}
    raise _another_network(path, "its convolutions are not those of VGG-19 or VGG-16, from conv1_1 on without a gap")


def _another_network(path: Path, why: str) -> StyleError:
    return StyleError(
        _("{path} holds weights of another network: {why}; choose a file of VGG-19 or VGG-16.").format(
            path=path, why=why
        )
    )
