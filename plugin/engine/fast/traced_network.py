"""Trace a style's network for one picture size: its layers, and which rows of its input each layer needs.

A network of the kind that is traced works on full feature maps and mixes distant pixels only in its instance norms. So
it can be computed in strips once the means and deviations of the whole picture are known (see sweeps.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nst_core.base.errors import StyleError

# Operators that treat every pixel by itself, given their other inputs.
POINTWISE_NAMES = """
    Abs Add BatchNormalization Cast Ceil Clip Div Elu Erf Exp Floor HardSigmoid HardSwish Identity LeakyRelu Log Max Min
    Mul Neg PRelu Pow Reciprocal Relu Selu Sigmoid Softplus Sqrt Sub Tanh
"""
POINTWISE = frozenset(POINTWISE_NAMES.split())
BORDERS = ("constant", "reflect", "edge")  # modes of the operator Pad
# Above this number of values a constant is not computed: only weights are that large, and no style computes with them.
LARGEST_CONSTANT = 1 << 24


class UntraceableNetworkError(StyleError):
    """A network that cannot be computed in strips."""


@dataclass(frozen=True)
class FeatureMap:
    """A tensor [1, channels, height, width] of the network."""

    name: str
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Rows:
    """The rows from ``first`` up to, but without, ``end``."""

    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    def joined(self, other: Rows | None) -> Rows:
        """Return the fewest rows that include both."""
        return Rows(min(self.first, other.first), max(self.end, other.end)) if other else self

    def less(self, start: int) -> Rows:
        """Return these rows counted from row ``start``."""
        return Rows(self.first - start, self.end - start)

    def within(self, height: int) -> Rows:
        """Return those of a map of this height."""
        return Rows(max(0, self.first), min(height, self.end))


@dataclass(frozen=True)
class Window:
    """How a layer reads rows: output row y sees the input rows from ``y * stride - before``, ``extent`` of them.

    ``border`` is the mode in which rows outside the input are made up, or empty if there are none.
    """

    stride: int = 1
    before: int = 0
    extent: int = 1
    border: str = ""

    def needed(self, rows: Rows, height: int) -> Rows:
        """Return which of the ``height`` input rows the output ``rows`` are computed from."""
        wanted = self.wanted(rows)
        inside = wanted.within(height)
        if self.border == "reflect":  # mirrored rows are inside
            above, below = self.missing(rows, height)
            inside = inside.joined(Rows(0, above + 1) if above else None)
            inside = inside.joined(Rows(height - 1 - below, height) if below else None)
        elif len(inside) < 1:  # the nearest row
            inside = Rows(min(max(wanted.first, 0), height - 1), min(max(wanted.first, 0), height - 1) + 1)
        return inside.within(height)

    def wanted(self, rows: Rows) -> Rows:
        """Return the input rows of ``rows``, in an input that has no end."""
        first = rows.first * self.stride - self.before
        return Rows(first, (rows.end - 1) * self.stride - self.before + self.extent)

    def missing(self, rows: Rows, height: int) -> tuple[int, int]:
        """Return how many rows above and below the input must be made up."""
        wanted = self.wanted(rows)
        return max(0, -wanted.first), max(0, wanted.end - height)


@dataclass(frozen=True)
class Spread:
    """How a layer that enlarges writes rows: input row y goes to the output rows from ``y * factor - before``.

    It goes to ``extent`` of them. The operator itself writes from ``first * factor - before`` on.
    """

    factor: int
    before: int = 0
    extent: int = 1

    def needed(self, rows: Rows, height: int) -> Rows:
        """Return which of the ``height`` input rows the output ``rows`` are computed from."""
        first = -((self.extent - 1 - self.before - rows.first) // self.factor)
        first = min(max(0, first), height - 1)
        return Rows(first, min(height, max(first, (rows.end - 1 + self.before) // self.factor) + 1))

    def first_written(self, needed: Rows) -> int:
        """Return the output row that the operator writes first when it gets the rows ``needed``."""
        return needed.first * self.factor - self.before


@dataclass(frozen=True, eq=False)
class MapLayer:
    """One operator of the network that works on feature maps.

    Attributes:
        node: the operator with its attributes; its inputs are feature maps and names in ``constants``.
        inputs: the feature maps that it reads.
        output: what it computes.
        constants: its other inputs by name.
        geometry: which rows it reads.
        padding: of a layer with a border: what the operator Pad adds at the left and right.
    """

    node: onnx.NodeProto
    inputs: tuple[FeatureMap, ...]
    output: FeatureMap
    constants: Mapping[str, np.ndarray]
    geometry: Window | Spread = Window()
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Norm:
    """An instance norm, whose ``group`` neighbouring channels share a mean and a deviation.

    Attributes:
        epsilon: what is added to the variance.
        scale, shift: float32 [input.channels].
    """

    input: FeatureMap
    output: FeatureMap
    group: int
    epsilon: float
    scale: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True, eq=False)
class TracedNetwork:
    """A network for one size: from ``image``, [1, 3, H, W], to ``styled``, with all that lies between, in order."""

    image: FeatureMap
    styled: FeatureMap
    layers: tuple[MapLayer | Norm, ...]
    opset: int


@dataclass(frozen=True)
class _Reshaped:
    """A feature map under another shape, [1, channels / group, group * height, width]."""

    base: FeatureMap
    group: int

    @property
    def name(self) -> str:
        """The name of the map itself."""
        return self.base.name


def trace(model: bytes, height: int, width: int, weights: np.ndarray) -> TracedNetwork:
    """Trace a style file's network for a picture of ``height`` x ``width``.

    ``weights`` are the shares of its rows, [1, rows]. Raises UntraceableNetworkError if it has other operators than
    those that strips can compute.
    """
    try:
        return _Tracer(onnx.load_model_from_string(model)).trace(height, width, weights)
    except UntraceableNetworkError:
        raise
    except Exception as error:  # the file is not trusted, and the reference operators raise many kinds
        raise UntraceableNetworkError(f"The network cannot be traced ({error}).") from error


@dataclass(eq=False)
class _Tracer:
    model: onnx.ModelProto
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    maps: dict[str, FeatureMap | _Reshaped] = field(default_factory=dict)
    layers: list[MapLayer | Norm] = field(default_factory=list)

    def trace(self, height: int, width: int, weights: np.ndarray) -> TracedNetwork:
        graph = self.model.graph
        self.constants[""] = np.empty(0)
        self.constants |= {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.constants["style_weights"] = weights
        image = FeatureMap("image", 3, height, width)
        self.maps["image"] = image
        for node in graph.node:
            self._add(node)
        styled = self.maps["styled"]
        if not isinstance(styled, FeatureMap) or (styled.channels, styled.height, styled.width) != (3, height, width):
            raise UntraceableNetworkError("The network returns a picture of another size.")
        opset = max(entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx"))
        return TracedNetwork(image, styled, tuple(self.layers), opset)

    def _add(self, node: onnx.NodeProto) -> None:
        mapped = [self.maps[name] for name in node.input if name in self.maps]
        if node.op_type == "Shape" and mapped:
            attributes = _attributes(node)
            shape = np.array(_shape(mapped[0]), np.int64)
            self.constants[node.output[0]] = shape[attributes.get("start", 0) : attributes.get("end", 4)]
        elif not mapped:
            self._compute(node)
        elif node.op_type == "Reshape":
            self._reshape(node, mapped[0])
        elif node.op_type == "InstanceNormalization":
            self._norm(node, mapped[0])
        else:
            maps = [item for item in mapped if isinstance(item, FeatureMap)]
            if len(maps) < len(mapped) or len(node.output) != 1:
                raise UntraceableNetworkError(f"The network's {node.op_type} is of another kind.")
            adders = {
                **{"Conv": self._convolution, "ConvTranspose": self._transposed, "Pad": self._pad},
                **{"Slice": self._slice, "DepthToSpace": self._depth_to_space, "Resize": self._resize},
                "Concat": self._concat,
            }
            adders.get(node.op_type, self._pointwise)(node, maps)

    def _compute(self, node: onnx.NodeProto) -> None:
        """Compute an operator whose inputs do not depend on the picture's pixels."""
        inputs = {name: self.constants[name] for name in node.input if name}
        if sum(value.size for value in inputs.values()) > LARGEST_CONSTANT:
            raise UntraceableNetworkError("The network computes with constants that are too large.")
        model = helper.make_model(
            helper.make_graph(
                [node],
                "constant",
                [helper.make_empty_tensor_value_info(name) for name in inputs],
                [helper.make_empty_tensor_value_info(name) for name in node.output],
            ),
            opset_imports=self.model.opset_import,
            ir_version=self.model.ir_version,
        )
        values = ReferenceEvaluator(model).run(None, inputs)
        self.constants |= dict(zip(node.output, map(np.asarray, values), strict=True))

    def _append(self, node: onnx.NodeProto, inputs: list[FeatureMap], size: tuple[int, int, int], **more: Any) -> None:
        """Add a layer whose output has ``size``: channels, height and width."""
        if min(size) < 1:
            raise UntraceableNetworkError("The picture is too small for the network.")
        output = FeatureMap(node.output[0], *size)
        constants = {name: self.constants[name] for name in node.input if name and name not in self.maps}
        # Reshaping and back gives a map another name.
        named = [self.maps[name].name if name in self.maps else name for name in node.input]
        renamed = onnx.NodeProto()
        renamed.CopyFrom(node)
        del renamed.input[:]
        renamed.input.extend(named)
        self.maps[output.name] = output
        self.layers.append(MapLayer(renamed, tuple(inputs), output, constants, **more))

    def _pointwise(self, node: onnx.NodeProto, inputs: list[FeatureMap]) -> None:
        first = inputs[0]
        size = first.channels, first.height, first.width
        if node.op_type not in POINTWISE or any((m.channels, m.height, m.width) != size for m in inputs):
            raise UntraceableNetworkError(f"The network has {node.op_type}.")
        if node.op_type != "BatchNormalization":
            for name in node.input:
                if name in self.constants and name and not _is_per_channel(self.constants[name], first.channels):
                    raise UntraceableNetworkError(f"The network's {node.op_type} has a constant picture.")
        self._append(node, inputs, size)

    def _concat(self, node: onnx.NodeProto, inputs: list[FeatureMap]) -> None:
        first = inputs[0]
        same = all((m.height, m.width) == (first.height, first.width) for m in inputs)
        if _attributes(node)["axis"] not in (1, -3) or len(inputs) < len(node.input) or not same:
            raise UntraceableNetworkError("The network's Concat is of another kind.")
        self._append(node, inputs, (sum(m.channels for m in inputs), first.height, first.width))

    def _convolution(self, node: onnx.NodeProto, inputs: list[FeatureMap]) -> None:
        (item,), attributes = inputs, _attributes(node)
        kernel = self.constants[node.input[1]]
        if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or kernel.ndim != 4:
            raise UntraceableNetworkError("The network's convolution is of another kind.")
        strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        extents = [(size - 1) * dilation + 1 for size, dilation in zip(kernel.shape[2:], dilations, strict=True)]
        height = (item.height + top + bottom - extents[0]) // strides[0] + 1
        width = (item.width + left + right - extents[1]) // strides[1] + 1
        geometry = Window(strides[0], top, extents[0], "constant" if top or bottom else "")
        changed = _with_attribute(node, "pads", [0, left, 0, right])
        self._append(changed, inputs, (kernel.shape[0], height, width), geometry=geometry)

    def _transposed(self, node: onnx.NodeProto, inputs: list[FeatureMap]) -> None:
        (item,), attributes = inputs, _attributes(node)
        kernel = self.constants[node.input[1]]
        plain = attributes.get("auto_pad", b"NOTSET") == b"NOTSET" and "output_shape" not in attributes
        if not plain or kernel.ndim != 4 or set(attributes.get("dilations", [1, 1])) != {1}:
            raise UntraceableNetworkError("The network's transposed convolution is of another kind.")
        strides, added = attributes.get("strides", [1, 1]), attributes.get("output_padding", [0, 0])
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        height = (item.height - 1) * strides[0] + kernel.shape[2] + added[0] - top - bottom
        width = (item.width - 1) * strides[1] + kernel.shape[3] + added[1] - left - right
        channels = kernel.shape[1] * attributes.get("group", 1)
        changed = _with_attribute(node, "pads", [0, left, 0, right])
        self._append(changed, inputs, (channels, height, width), geometry=Spread(strides[0], top, kernel.shape[2]))

    def _pad(self, node: onnx.NodeProto, inputs: list[FeatureMap]) -> None:
        (item,), mode = inputs, _attributes(node).get("mode", b"constant").decode()
        amounts = [int(amount) for amount in self.constants[node.input[1]]]
        if len(node.input) > 3 and node.input[3]:
            axes = [int(axis) % 4 for axis in self.constants[node.input[3]]]
            given = dict(zip([*axes, *(axis + 4 for axis in axes)], amounts, strict=True))
            amounts = [given.get(index, 0) for index in range(8)]
        value = self.constants[node.input[2]] if len(node.input) > 2 and node.input[2] else np.zeros(1)
        _, channels, top, left, _, more_channels, bottom, right = amounts
        if mode not in BORDERS or channels or more_channels or min(amounts) < 0 or value.any():
            raise UntraceableNetworkError("The network's padding is of another kind.")
        geometry = Window(1, top, 1, mode)
        size = item.channels, item.height + top + bottom, item.width + left + right
        plain = helper.make_node("Pad", [item.name], [node.output[0]], mode=mode)
        self._append(plain, inputs, size, geometry=geometry, padding=(left, right))

    def _slice(self, node: onnx.NodeProto, inputs: list[FeatureMap]) -> None:
        (item,) = inputs
        starts, ends, *others = [self.constants[name].tolist() for name in node.input[1:]]
        axes = others[0] if others else list(range(len(starts)))
        extents, steps = [1, item.channels, item.height, item.width], others[1] if len(others) > 1 else [1] * len(axes)
        ranges = [range(extent) for extent in extents]
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            ranges[axis] = range(extents[axis])[start:end:step]
        whole = all(len(ranges[axis]) == extents[axis] for axis in (0, 1))
        if not whole or any(r.step != 1 for r in ranges):
            raise UntraceableNetworkError("The network's Slice is of another kind.")
        rows, columns = ranges[2], ranges[3]
        names = [f"{node.output[0]}/{part}" for part in ("first", "end", "axis")]
        for name, value in zip(names, (columns.start, columns.stop, 3), strict=True):
            self.constants[name] = np.array([value], np.int64)
        plain = helper.make_node("Slice", [item.name, *names], [node.output[0]])
        size = item.channels, len(rows), len(columns)
        self._append(plain, inputs, size, geometry=Window(1, -rows.start, 1))

    def _depth_to_space(self, node: onnx.NodeProto, inputs: list[FeatureMap]) -> None:
        (item,), factor = inputs, _attributes(node)["blocksize"]
        size = item.channels // factor**2, item.height * factor, item.width * factor
        self._append(node, inputs, size, geometry=Spread(factor, 0, factor))

    def _resize(self, node: onnx.NodeProto, inputs: list[FeatureMap]) -> None:
        (item,), attributes = inputs, _attributes(node)
        names = [name for name in node.input[2:] if name and self.constants[name].size]
        if len(names) != 1 or attributes.get("mode", b"nearest") != b"nearest" or attributes.get("axes") is not None:
            raise UntraceableNetworkError("The network's Resize is of another kind.")
        values = self.constants[names[0]].astype(np.float64)
        factors = values if len(node.input) == 3 else values / np.array(_shape(item))
        factor = round(factors[2])
        coordinates = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
        rounding = attributes.get("nearest_mode", b"round_prefer_floor").decode()
        down = (coordinates, rounding) in (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"))
        if factors.tolist() != [1, 1, factor, factor] or factor < 1 or not (down and factor <= 2):
            raise UntraceableNetworkError("The network's Resize is of another kind.")
        size = item.channels, item.height * factor, item.width * factor
        scales = f"{node.output[0]}/scales"
        self.constants[scales] = factors.astype(np.float32)
        plain = helper.make_node("Resize", [item.name, "", scales], [node.output[0]])
        plain.attribute.extend(node.attribute)
        self._append(plain, inputs, size, geometry=Spread(factor, 0, factor))

    def _reshape(self, node: onnx.NodeProto, item: FeatureMap | _Reshaped) -> None:
        base, group = (item, 1) if isinstance(item, FeatureMap) else (item.base, item.group)
        shape = [int(extent) for extent in self.constants[node.input[1]]]
        sizes = [1, base.channels // group, base.height * group, base.width]
        if not _attributes(node).get("allowzero", 0):
            shape = [have if want == 0 else want for want, have in zip(shape, sizes, strict=False)]
        if shape.count(-1) == 1:
            shape[shape.index(-1)] = math.prod(sizes) // -math.prod(shape)
        if len(shape) != 4 or shape[0] != 1 or shape[3] != base.width or not shape[1] or base.channels % shape[1]:
            raise UntraceableNetworkError("The network's Reshape is of another kind.")
        new_group = base.channels // shape[1]
        if shape[2] != base.height * new_group:
            raise UntraceableNetworkError("The network's Reshape is of another kind.")
        self.maps[node.output[0]] = base if new_group == 1 else _Reshaped(base, new_group)

    def _norm(self, node: onnx.NodeProto, item: FeatureMap | _Reshaped) -> None:
        base, group = (item, 1) if isinstance(item, FeatureMap) else (item.base, item.group)
        scale, shift = (self.constants[name].astype(np.float32).repeat(group) for name in node.input[1:])
        if scale.shape != (base.channels,) or shift.shape != (base.channels,):
            raise UntraceableNetworkError("The network's instance norm is of another kind.")
        output = FeatureMap(node.output[0], base.channels, base.height, base.width)
        self.maps[output.name] = output if group == 1 else _Reshaped(output, group)
        epsilon = _attributes(node).get("epsilon", 1e-5)
        self.layers.append(Norm(base, output, group, epsilon, scale, shift))


def _shape(item: FeatureMap | _Reshaped) -> tuple[int, int, int, int]:
    base, group = (item, 1) if isinstance(item, FeatureMap) else (item.base, item.group)
    return 1, base.channels // group, base.height * group, base.width


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _with_attribute(node: onnx.NodeProto, name: str, value: Any) -> onnx.NodeProto:
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del changed.attribute[:]
    changed.attribute.extend([*kept, helper.make_attribute(name, value)])
    return changed


def _is_per_channel(value: np.ndarray, channels: int) -> bool:
    """Return whether a constant has one value, or one for each channel, for a feature map."""
    shape = (1,) * (4 - value.ndim) + value.shape
    return len(shape) == 4 and shape[0] == 1 and shape[1] in (1, channels) and shape[2:] == (1, 1)
