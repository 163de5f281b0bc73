"""Style files that an attacker could send: damaged, oversized, or made to take all memory, all time or other files."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nst_core.style_file import PREFIX
from tests.style_files import negative_style, style_with_metadata

Writer = Callable[[Path], None]
"""Writes a hostile file to a path."""


# ---- the description --------------------------------------------------------------------------------------------


def described(card=None, **entries) -> Writer:
    """A style for the negative with other metadata."""
    return lambda path: style_with_metadata(path, card, **entries)


def with_cards(text: str) -> Writer:
    """A style with a text in place of its list of cards."""

    def write(path: Path) -> None:
        model = negative_style()
        metadata = {entry.key: entry.value for entry in model.metadata_props} | {PREFIX + "styles": text}
        helper.set_model_props(model, metadata)
        path.write_bytes(model.SerializeToString())

    return write


def content(data: bytes) -> Writer:
    return lambda path: path.write_bytes(data) and None


def changed(change: Callable[[bytes], bytes]) -> Writer:
    return lambda path: path.write_bytes(change(negative_style().SerializeToString())) and None


def thumbnail(size, kind="JPEG", **options) -> Writer:
    """A style whose thumbnail is a flat picture of this size."""

    def write(path: Path) -> None:
        file = io.BytesIO()
        Image.new("L", size).save(file, kind, **options)
        style_with_metadata(path, {"thumbnail": base64.b64encode(file.getvalue()).decode()})

    return write


def sparse(size: int) -> Writer:
    """A file of zeros that takes no room on the disk."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return write


CARD = {"name": "x", "title": "X", "artist": "", "year": "", "licence": "", "thumbnail": ""}
HOSTILE_DESCRIPTIONS: dict[str, Writer] = {
    "a number that does not end": content(b"\xff" * (1 << 20)),
    "a million fields": content(b"\x08\x01" * (1 << 20)),
    "a million entries": content(b"\x72\x00" * (1 << 20)),
    "nothing": content(b""),
    "a text": content(b"no network"),
    "a Git LFS pointer": content(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
    "8 GB of zeros": sparse(8 << 30),
    "cut off": changed(lambda data: data[:-100]),
    "two files in one": changed(lambda data: data * 2),
    "lists in lists": with_cards("[" * 200_000),
    "tables in tables": with_cards('{"a":' * 200_000),
    "300000 cards": with_cards(json.dumps([CARD] * 300_000)),
    "257 cards": with_cards(json.dumps([CARD] * 257)),
    "no cards": with_cards("[]"),
    "a number as cards": with_cards("1"),
    "a table as cards": with_cards("{}"),
    "null as a card": with_cards("[null]"),
    "a card of lists": with_cards(json.dumps([{key: [[[]]] for key in CARD}])),
    "a number of a million digits": with_cards("9" * 1_000_000),
    "a title of half a character": with_cards(json.dumps([CARD | {"title": "\ud800"}])),
    "a title of escape codes": described({"title": "\x1b[2J\x1b]0;title\x07\nsecond line"}),
    "a title that turns the line around": described({"title": "\u202efdp.exe"}),
    "a title of 2 MB": described({"title": "x" * (2 << 20)}),
    "a name that mixes": described({"name": "a,b:0.5"}),
    "a name that leaves the folder": described({"name": "../../x", "title": "../../x"}),
    "no name and no title": described({"name": "", "title": ""}),
    "a thumbnail of 30000x30000": thumbnail((30_000, 30_000), "PNG"),
    "a JPEG of 20000x20000": thumbnail((20_000, 20_000)),
    "a progressive JPEG": thumbnail((900, 900), progressive=True),
    "a thumbnail that is no base64": described({"thumbnail": "!" * 100_000}),
    "4 MB of description": described(trained="x" * (4 << 20)),
    "sizes of 0": described(multiple_of="0"),
    "sizes below 0": described(minimum_size="-8"),
    "a minimum of two billion": described(minimum_size="2000000000"),
    "a multiple of two billion": described(multiple_of="2000000000"),
    "a size of a million digits": described(bytes_per_pixel="9" * 1_000_000),
    "a size that is no number": described(multiple_of="nan"),
    "memory that it does not take": described(bytes_per_pixel=str(2**31 - 1)),
    "a later format": described(format="99"),
    "no format": described(format=None),
}


# ---- the graph --------------------------------------------------------------------------------------------------

node, floats, whole = helper.make_node, np.float32, np.int64


def graph(*nodes, opset=18, **constants) -> Writer:
    """A style whose graph makes "styled" from "image", "one" and ``constants``."""

    def write(path: Path) -> None:
        model = negative_style()
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        for name, value in constants.items():
            array = value if isinstance(value, np.ndarray) else np.array(value, whole)
            model.graph.initializer.append(numpy_helper.from_array(array, name))
        model.opset_import[0].version = opset
        path.write_bytes(model.SerializeToString())

    return write


def adds(*nodes, **constants) -> Writer:
    """A style that adds "big", which ``nodes`` make, to the picture, through its mean."""
    return graph(
        *nodes,
        node("Cast", ["big"], ["cast"], to=TensorProto.FLOAT),
        node("ReduceMean", ["cast"], ["mean"], keepdims=0),
        node("Add", ["image", "mean"], ["styled"]),
        **constants,
    )


def model(change: Callable[[onnx.ModelProto], object]) -> Writer:
    """A style for the negative with a change to its model."""

    def write(path: Path) -> None:
        changed_model = negative_style()
        change(changed_model)
        path.write_bytes(changed_model.SerializeToString())

    return write


def external(tensor: TensorProto, location: str) -> TensorProto:
    """Move a tensor's data to a file, as an attacker would."""
    tensor.ClearField("float_data")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def tensor(shape=(1,), kind=TensorProto.FLOAT, name="t") -> TensorProto:
    return TensorProto(name=name, data_type=kind, dims=shape)


def body(*nodes, inputs=(), outputs=("styled",)) -> onnx.GraphProto:
    def values(names):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]

    return helper.make_graph(nodes, "body", values(inputs), values(outputs))


def nested(depth: int) -> onnx.NodeProto:
    inner = node("Identity", ["image"], ["styled"])
    for _ in range(depth):
        inner = node("If", ["condition"], ["styled"], then_branch=body(inner), else_branch=body(inner))
    return inner


def add_function(changed_model: onnx.ModelProto) -> None:
    loop = node("Loop", ["n", "", "x"], ["y"], body=body(outputs=()))
    opsets = [helper.make_opsetid("", 18)]
    changed_model.functions.append(helper.make_function("own", "f", ["x"], ["y"], [loop], opsets))
    changed_model.opset_import.append(helper.make_opsetid("own", 1))


def endless(kind: str) -> Writer:
    step = body(
        node("Identity", ["c"], ["d"]), node("Identity", ["v"], ["w"]), inputs=("i", "c", "v"), outputs=("d", "w")
    )
    steps = np.array(2**62, whole)
    if kind == "Loop":
        return graph(node("Loop", ["steps", "", "image"], ["styled"], body=step), steps=steps)
    return graph(node("Scan", ["image", "image"], ["styled"], body=step, num_scan_inputs=1))


def powers(count: int, side: int) -> Writer:
    """A product of many matrices."""
    nodes = [node("Expand", ["one", "shape"], ["m0"])]
    nodes += [node("MatMul", [f"m{number}", "m0"], [f"m{number + 1}"]) for number in range(count)]
    return adds(*nodes, node("Identity", [f"m{count}"], ["big"]), shape=[side, side])


def chain(count: int) -> Writer:
    nodes = [node("Relu", [f"r{number}" if number else "image"], [f"r{number + 1}"]) for number in range(count)]
    return graph(*nodes, node("Identity", [f"r{count}"], ["styled"]))


GRAPHS: dict[str, Writer] = {
    "Expand to 8 GB": adds(node("Expand", ["one", "shape"], ["big"]), shape=[2_000_000_000]),
    "Expand to 8 EB": adds(node("Expand", ["one", "shape"], ["big"]), shape=[2**30, 2**31]),
    "ConstantOfShape of 4 TB": adds(node("ConstantOfShape", ["shape"], ["big"]), shape=[2**40]),
    "ConstantOfShape below 0": adds(node("ConstantOfShape", ["shape"], ["big"]), shape=[-5]),
    "Range to 2^40": adds(node("Range", ["zero", "end", "step"], ["big"]), zero=0, end=2**40, step=1),
    "Tile of a million": adds(node("Tile", ["image", "times"], ["big"]), times=[1, 1, 1000, 1000]),
    "Resize by a million": adds(
        node("Resize", ["image", "", "scales"], ["big"], mode="nearest"), scales=np.array([1, 1, 1e6, 1e6], floats)
    ),
    "Pad by 2^30": adds(node("Pad", ["image", "pads"], ["big"]), pads=[0, 0, 0, 0, 0, 0, 2**30, 2**30]),
    "OneHot of 2^31": adds(
        node("OneHot", ["rows", "depth", "values"], ["big"]),
        rows=np.zeros(64, whole),
        depth=2**31,
        values=np.array([0, 1], floats),
    ),
    "Einsum of all pairs": adds(
        node("Flatten", ["image"], ["flat"]),
        node("Einsum", ["flat", "flat", "flat"], ["big"], equation="ai,bj,ck->abcijk"),
    ),
    "EyeLike of 40000": adds(
        node("ConstantOfShape", ["shape"], ["zeros"]), node("EyeLike", ["zeros"], ["big"]), shape=[40_000, 40_000]
    ),
    "a thousand matrices": powers(1000, 2000),
    "a matrix of 16000": powers(1, 16_000),
    "a kernel of 4001": adds(
        node("Expand", ["one", "shape"], ["kernel"]),
        node("Pad", ["image", "pads"], ["padded"]),
        node("Conv", ["padded", "kernel"], ["big"]),
        shape=[1, 3, 4001, 4001],
        pads=[0, 0, 2000, 2000, 0, 0, 2000, 2000],
    ),
    "100000 nodes": chain(100_000),
    "300000 nodes": chain(300_000),
    "an endless Loop": endless("Loop"),
    "a Scan": endless("Scan"),
    "an If": graph(nested(1), condition=np.array(True)),
    "17 graphs within graphs": graph(nested(17), condition=np.array(True)),
    "a Loop in a function": model(add_function),
    "weights in /etc/passwd": model(lambda m: external(m.graph.initializer[0], "/etc/passwd")),
    "weights in a parent folder": model(lambda m: external(m.graph.initializer[0], "../../../etc/passwd")),
    "a constant in a file": graph(
        node("Constant", [], ["c"], value=external(tensor(), "/etc/passwd")), node("Add", ["image", "c"], ["styled"])
    ),
    "a list of constants in a file": graph(
        node("Identity", ["image"], ["styled"], extra=[external(tensor(), "/dev/zero")]),
    ),
    "an operator of others": graph(node("Do", ["image"], ["styled"], domain="com.example")),
    "an operator of Microsoft": graph(node("FusedMatMul", ["image", "image"], ["styled"], domain="com.microsoft")),
    "an unknown operator": graph(node("Stylise", ["image"], ["styled"])),
    "random numbers": graph(node("RandomNormalLike", ["image"], ["styled"])),
    "an optional value": graph(node("Optional", ["image"], ["o"]), node("OptionalGetElement", ["o"], ["styled"])),
    "five channels": graph(node("Concat", ["image", "image"], ["styled"], axis=1)),
    "bytes": graph(node("Cast", ["image"], ["styled"], to=TensorProto.UINT8)),
    "half precision": graph(node("Cast", ["image"], ["styled"], to=TensorProto.FLOAT16)),
    "text": graph(node("Cast", ["image"], ["styled"], to=TensorProto.STRING)),
    "one number": graph(node("ReduceMean", ["image"], ["styled"], keepdims=0)),
    "half a picture": graph(node("AveragePool", ["image"], ["styled"], kernel_shape=[2, 2], strides=[2, 2])),
    "no numbers": graph(node("Sub", ["image", "one"], ["less"]), node("Sqrt", ["less"], ["styled"])),
    "infinite numbers": graph(node("Div", ["image", "zero"], ["styled"]), zero=np.zeros(1, floats)),
    "weights that are no numbers": graph(node("Mul", ["image", "w"], ["styled"]), w=np.full(1, np.nan, floats)),
    "no nodes": graph(),
    "a circle": graph(node("Relu", ["styled"], ["a"]), node("Relu", ["a"], ["styled"])),
    "one output twice": graph(node("Relu", ["image"], ["styled"]), node("Abs", ["image"], ["styled"])),
    "an input too many": model(
        lambda m: m.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    ),
    "another input": model(lambda m: setattr(m.graph.input[0], "name", "photo")),
    "another output": model(lambda m: setattr(m.graph.output[0], "name", "painting")),
    "weights without data": model(lambda m: m.graph.initializer.append(tensor((10, 10)))),
    "weights of 8 EB": model(lambda m: m.graph.initializer.append(tensor((2**30, 2**31)))),
    "weights of a negative size": model(lambda m: m.graph.initializer.append(tensor((-1, -1)))),
    "weights of no type": model(lambda m: m.graph.initializer.append(tensor(kind=99))),
    "operators of the future": graph(node("Relu", ["image"], ["styled"]), opset=9999),
    "a file format of the future": model(lambda m: setattr(m, "ir_version", 2**31)),
    "no operator set": model(lambda m: m.ClearField("opset_import")),
    "an index outside": graph(
        node("GatherND", ["image", "index"], ["g"]), node("Add", ["image", "g"], ["styled"]), index=[[0, 2**40]]
    ),
    "a scatter outside": graph(
        node("ScatterND", ["image", "index", "one"], ["styled"]), index=np.array([0, 0, -(2**40), 0], whole)
    ),
    "a shape that does not fit": graph(node("Reshape", ["image", "shape"], ["styled"]), shape=[7, 11, 13]),
    "a name of escape codes": graph(
        node("Reshape", ["image", "shape"], ["styled"], name="\x1b]0;title\x07\n\x1b[2J"), shape=[7, 11, 13]
    ),
    "half a gigabyte of weights": sparse(512 << 20),
    "60 MB of weights": graph(
        node("ReduceMean", ["w"], ["m"], keepdims=0),
        node("Add", ["image", "m"], ["styled"]),
        w=np.zeros(15_000_000, floats),
    ),
    "the runtime's own format": content(b"\x20\x00\x00\x00ORTM" + os.urandom(4096)),
}

HOSTILE = HOSTILE_DESCRIPTIONS | GRAPHS
