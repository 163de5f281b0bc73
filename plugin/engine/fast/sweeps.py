"""Cut a traced network at its instance norms into sweeps: passes over the picture in strips, from top to bottom.

Each sweep but the last ends at the input of one norm and measures it, because only then is the whole picture's mean
and deviation known. Feature maps of the smallest size are stored from one sweep to the next; larger ones would take
more memory than they save time, so they are computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from plugin.engine.fast.traced_network import (
    FeatureMap,
    MapLayer,
    Norm,
    Rows,
    Spread,
    TracedNetwork,
    UntraceableNetworkError,
    Window,
)

IR_VERSION = 9  # of ONNX files with operators of opset 18
HALF_SUFFIX = "/half"  # of a stored map, which is float16
# Rows of a strip far from the borders of a map, in rows of the smallest map.
INNER_ROWS = Rows(1 << 20, (1 << 20) + (1 << 10))
ENDLESS = 1 << 40  # rows
# The least rows of a strip, in rows of the smallest map: what a border mirrors then lies in the strip next to it.
FEWEST_ROWS = 4


@dataclass(frozen=True, eq=False)
class Sweep:
    """A pass over the picture.

    Attributes:
        sources: the maps that it reads: the image, or what an earlier sweep stored.
        layers: what it computes, in order.
        stored: the maps that it stores in place of those that were stored before; empty to leave them.
        measured: the norm whose input it measures, or None for the last sweep, which paints.
        smallest: the height of the network's smallest maps; strips are counted in their rows.
    """

    sources: tuple[FeatureMap, ...]
    layers: tuple[MapLayer | Norm, ...]
    stored: tuple[FeatureMap, ...]
    measured: Norm | None
    result: FeatureMap
    smallest: int

    @property
    def targets(self) -> tuple[FeatureMap, ...]:
        """The maps that it computes for every row once."""
        return (*self.stored, *(() if self.result in self.stored else (self.result,)))

    def rows_of(self, target: FeatureMap, strip: Rows) -> Rows:
        """Return the rows of a target that belong to a strip, each to one."""
        first, end = (edge * target.height // self.smallest for edge in (strip.first, strip.end))
        return Rows(first, end)

    def strip_from(self, first: int, rows: int) -> Rows:
        """Return the strip that begins at ``first`` and has about ``rows`` rows."""
        end = first + max(FEWEST_ROWS, rows)
        return Rows(first, end if end + FEWEST_ROWS <= self.smallest else self.smallest)

    def needed(self, strip: Rows) -> dict[str, Rows]:
        """Return the rows of every map, by name, that a strip takes."""
        return self._needed({target.name: self.rows_of(target, strip) for target in self.targets})

    def _needed(self, wanted: Mapping[str, Rows], endless: bool = False) -> dict[str, Rows]:
        needed = dict(wanted)
        for layer in reversed(self.layers):
            for item in _inputs(layer):
                rows = _geometry(layer).needed(needed[layer.output.name], ENDLESS if endless else item.height)
                needed[item.name] = rows.joined(needed.get(item.name))
        return needed

    def check_borders(self) -> None:
        """Raise UntraceableNetworkError if the strips at the borders mirror rows that are not in them."""
        for strip in (self.strip_from(0, 0), Rows(max(0, self.smallest - FEWEST_ROWS), self.smallest)):
            needed = self.needed(strip)
            for layer in self.layers:
                geometry, (item, *_) = _geometry(layer), _inputs(layer)
                rows = needed[layer.output.name]
                if isinstance(geometry, Window) and geometry.needed(rows, item.height) != geometry.wanted(rows).within(
                    item.height
                ):
                    raise UntraceableNetworkError("The network mirrors more than a strip at the border.")

    def inner_needed(self) -> tuple[dict[str, Rows], dict[str, Rows]]:
        """Return the rows of the targets, and of every map, that a strip far from all borders takes."""
        wanted = {}
        for target in self.targets:
            factor = round(target.height / self.smallest) or 1
            wanted[target.name] = Rows(INNER_ROWS.first * factor, INNER_ROWS.end * factor)
        return wanted, self._needed(wanted, endless=True)


def plan_sweeps(network: TracedNetwork) -> list[Sweep]:
    """Return the sweeps that compute a network, in order.

    Raises UntraceableNetworkError if strips cannot compute it.
    """
    smallest = min(layer.output.height for layer in network.layers)
    sources: tuple[FeatureMap, ...] = (network.image,)
    sweeps = []
    for norm in (layer for layer in network.layers if isinstance(layer, Norm)):
        before = _ancestors(network, {norm.input.name}, set())
        computed = {network.image.name, *(layer.output.name for layer in before)}
        frontier: dict[str, FeatureMap] = {}
        for layer in network.layers:
            if layer not in before:
                frontier |= {item.name: item for item in _inputs(layer) if item.name in computed}
        # In the order in which they are computed, so each keeps its place from sweep to sweep if it can.
        maps = tuple(frontier.values())
        stored = maps if all(item.height == smallest for item in maps) else ()
        goals = {norm.input.name, *(item.name for item in stored)}
        layers = _ancestors(network, goals, {item.name for item in sources})
        sweeps.append(Sweep(_read_by(layers, goals, sources), layers, stored, norm, norm.input, smallest))
        sources = stored or sources
    goals = {network.styled.name}
    layers = _ancestors(network, goals, {item.name for item in sources})
    sweeps.append(Sweep(_read_by(layers, goals, sources), layers, (), None, network.styled, smallest))
    for sweep in sweeps:
        sweep.check_borders()
    return sweeps


def _read_by(
    layers: Sequence[MapLayer | Norm], goals: set[str], sources: Sequence[FeatureMap]
) -> tuple[FeatureMap, ...]:
    read = {item.name for layer in layers for item in _inputs(layer)} | goals
    return tuple(item for item in sources if item.name in read)


def _ancestors(network: TracedNetwork, goals: set[str], given: set[str]) -> tuple[MapLayer | Norm, ...]:
    """Return the layers that compute ``goals`` from the maps ``given``."""
    wanted, layers = set(goals), []
    for layer in reversed(network.layers):
        if layer.output.name in wanted - given:
            layers.append(layer)
            wanted |= {item.name for item in _inputs(layer)}
    return tuple(reversed(layers))


def _inputs(layer: MapLayer | Norm) -> tuple[FeatureMap, ...]:
    return (layer.input,) if isinstance(layer, Norm) else layer.inputs


def _geometry(layer: MapLayer | Norm) -> Window | Spread:
    return Window() if isinstance(layer, Norm) else layer.geometry


@dataclass(frozen=True, eq=False)
class Affine:
    """What an instance norm does once the statistics are known: float32 factors and offsets by channel."""

    factor: np.ndarray
    offset: np.ndarray


@dataclass
class Moments:
    """The sums over a map's channels, in float64, from which their means and deviations follow."""

    total: np.ndarray
    squares: np.ndarray
    count: int = 0

    def add(self, totals: np.ndarray, squares: np.ndarray, width: int) -> None:
        """Add the sums of rows, float32 [1, channels, rows], of ``width`` values each."""
        self.total += totals[0].sum(1, np.float64)
        self.squares += squares[0].sum(1, np.float64)
        self.count += totals.shape[2] * width

    def affine(self, norm: Norm) -> Affine:
        """Return the norm with these statistics."""
        channels, count = self.total.reshape(-1, norm.group).sum(1), self.count * norm.group
        mean = channels / count
        variance = np.maximum(self.squares.reshape(-1, norm.group).sum(1) / count - mean**2, 0)
        factor = norm.scale / np.sqrt(variance + norm.epsilon).repeat(norm.group)
        offset = norm.shift - mean.repeat(norm.group) * factor
        return Affine(factor.astype(np.float32), offset.astype(np.float32))


RowRule = Callable[[Mapping[str, Rows], Rows], Rows]
"""Takes the rows of every map that a strip needs, and the strip; returns which rows of an array to keep."""


class SweepModel:
    """A sweep as an ONNX model, whose inputs and outputs are the rows of a strip.

    Inputs are the sources, and for each layer that needs them the numbers of rows to make up or to cut off, which
    ``row_inputs`` returns for a strip. Stored maps are float16. The outputs are the stored maps; then the sums and the
    sums of squares of each row of the measured map, float32 [1, channels, rows], or the painting.
    """

    def __init__(self, sweep: Sweep, norms: Mapping[str, Affine], opset: int) -> None:
        self.sweep = sweep
        self._norms = norms
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, np.ndarray] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._pads: dict[str, MapLayer] = {}
        self._cuts: dict[str, RowRule] = {}
        self._wanted, self._needed = sweep.inner_needed()
        for source in sweep.sources:
            self._add_source(source)
        for layer in sweep.layers:
            if isinstance(layer, Norm):
                self._add_norm(layer)
            else:
                self._add_layer(layer)
        outputs = self._outputs()
        weights = [numpy_helper.from_array(value, name) for name, value in self._weights.items()]
        graph = helper.make_graph(self._nodes, "sweep", self._inputs, outputs, weights)
        opsets = [helper.make_opsetid("", opset)]
        self.data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()

    def row_inputs(self, needed: Mapping[str, Rows], strip: Rows) -> dict[str, np.ndarray]:
        """Return the numbers of rows for a strip, which takes the rows ``needed``."""
        inputs = {}
        for name, layer in self._pads.items():
            assert isinstance(layer.geometry, Window)
            above, below = layer.geometry.missing(needed[layer.output.name], layer.inputs[0].height)
            left, right = layer.padding
            inputs[name] = np.array([0, 0, above, left, 0, 0, below, right], np.int64)
        for name, rule in self._cuts.items():
            rows = rule(needed, strip)
            inputs[name] = np.array([rows.first, rows.end], np.int64)
        return inputs

    def _add_source(self, source: FeatureMap) -> None:
        shape: list[str | int | None] = [1, source.channels, f"{source.name} rows", source.width]
        if source.name == "image":
            self._inputs.append(helper.make_tensor_value_info(source.name, TensorProto.FLOAT, shape))
            return
        half = source.name + HALF_SUFFIX
        self._inputs.append(helper.make_tensor_value_info(half, TensorProto.FLOAT16, shape))
        self._add_node("Cast", [half], source.name, to=TensorProto.FLOAT)

    def _add_norm(self, norm: Norm) -> None:
        """Add a factor and an offset, which the runtime merges with a convolution before them."""
        affine, name = self._norms[norm.output.name], norm.output.name
        factor = self._weight(f"{name}/factor", affine.factor[:, None, None])
        offset = self._weight(f"{name}/offset", affine.offset[:, None, None])
        self._add_node("Mul", [norm.input.name, factor], f"{name}/scaled")
        self._add_node("Add", [f"{name}/scaled", offset], name)

    def _add_layer(self, layer: MapLayer) -> None:
        self._weights |= layer.constants
        names = {item.name: self._input_of(layer, item) for item in layer.inputs}
        inputs = [names.get(name, name) for name in layer.node.input]
        geometry, output = layer.geometry, layer.output.name
        if isinstance(geometry, Spread):
            self._nodes.append(_renamed(layer.node, inputs, f"{output}/whole"))
            read = layer.inputs[0].name
            self._cut(
                f"{output}/whole",
                output,
                lambda needed, _: needed[output].less(geometry.first_written(needed[read])),
            )
            return
        if geometry.border:
            padded = output if layer.node.op_type == "Pad" else f"{output}/padded"
            amounts = self._add_input(f"{output}/pads", 8)
            self._pads[amounts] = layer
            self._add_node("Pad", [inputs[0], amounts], padded, mode=geometry.border)
            inputs[0] = padded
        if layer.node.op_type == "Slice" and layer.inputs[0].width == layer.output.width:
            self._add_node("Identity", inputs[:1], output)
        elif layer.node.op_type != "Pad":
            self._nodes.append(_renamed(layer.node, inputs, output))

    def _input_of(self, layer: MapLayer, item: FeatureMap) -> str:
        """Return the name of the rows of a map that a layer reads, cut from those that are there if it is fewer."""
        geometry, output = layer.geometry, layer.output.name
        enough = geometry.needed(self._needed[output], ENDLESS)
        if isinstance(geometry, Spread) or enough == self._needed[item.name]:
            return item.name
        return self._cut(
            item.name,
            f"{item.name}/for {output}",
            lambda needed, _: geometry.needed(needed[output], item.height).less(needed[item.name].first),
        )

    def _cut(self, source: str, result: str, rule: RowRule) -> str:
        """Add a Slice of the rows that ``rule`` returns, and return ``result``, its name."""
        rows = self._add_input(f"{result}/rows", 2)
        zero, one, two = (self._weight(f"number {number}", np.array([number], np.int64)) for number in range(3))
        first, end = f"{result}/first", f"{result}/end"
        self._add_node("Slice", [rows, zero, one], first)
        self._add_node("Slice", [rows, one, two], end)
        self._add_node("Slice", [source, first, end, two], result)
        self._cuts[rows] = rule
        return result

    def _outputs(self) -> list[onnx.ValueInfoProto]:
        result = self.sweep.result
        names = {target.name: self._own_rows(target) for target in self.sweep.targets}
        outputs = []
        for item in self.sweep.stored:
            half = f"{item.name}{HALF_SUFFIX} out"
            self._add_node("Cast", [names[item.name]], half, to=TensorProto.FLOAT16)
            outputs.append(helper.make_tensor_value_info(half, TensorProto.FLOAT16, None))
        last = [names[result.name]]
        if self.sweep.measured:
            columns = self._weight("number 3", np.array([3], np.int64))
            self._add_node("ReduceSum", [*last, columns], "sums", keepdims=0)
            self._add_node("ReduceSumSquare", [*last, columns], "squares", keepdims=0)
            last = ["sums", "squares"]
        return outputs + [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in last]

    def _own_rows(self, target: FeatureMap) -> str:
        """Return the name of the rows of a target that belong to the strip."""
        name = target.name
        if self._needed[name] == self._wanted[name]:
            return name
        return self._cut(
            name,
            f"{name}/own",
            lambda needed, strip: self.sweep.rows_of(target, strip).less(needed[name].first),
        )

    def _add_input(self, name: str, size: int) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, [size]))
        return name

    def _weight(self, name: str, value: np.ndarray) -> str:
        self._weights[name] = value
        return name

    def _add_node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))


def _renamed(node: onnx.NodeProto, inputs: Sequence[str], output: str) -> onnx.NodeProto:
    """Return a copy of an operator that reads and writes other tensors."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.input[:], copy.output[:]
    copy.input.extend(inputs)
    copy.output.append(output)
    return copy
