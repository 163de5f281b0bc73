import onnx
import pytest
from onnx import TensorProto, helper

from nst_core.base.errors import StyleError
from nst_core.base.onnx_model import OPERATORS, inspect_model, read_model
from plugin.engine.machine import paths
from tests.style_files import negative_style

BUNDLED = sorted(paths.bundled_styles_folder().glob("*.onnx"))


def external_tensor(name="stolen"):
    """A tensor whose data ONNX Runtime would read from another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.UINT8, dims=[16], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "/etc/passwd"), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def constant_node(tensor=None):
    return helper.make_node("Constant", [], ["stolen"], value=tensor or external_tensor())


def graph_with(node):
    return helper.make_graph([node], "inner", [], [helper.make_tensor_value_info("stolen", TensorProto.UINT8, [16])])


def add_initializer(model):
    model.graph.initializer.append(external_tensor())


def add_constant(model):
    model.graph.node.append(constant_node())


def add_sparse_initializer(model):
    model.graph.sparse_initializer.add(values=external_tensor(), dims=[16])


def add_sparse_constant(model):
    sparse = onnx.SparseTensorProto(indices=external_tensor(), dims=[16])
    model.graph.node.append(helper.make_node("Constant", [], ["stolen"], sparse_value=sparse))


def add_branch(model):
    branch = graph_with(constant_node())
    model.graph.node.append(helper.make_node("If", ["one"], ["stolen"], then_branch=branch, else_branch=branch))


def add_branch_in_branch(model):
    inner = graph_with(constant_node())
    outer = graph_with(helper.make_node("If", ["one"], ["stolen"], then_branch=inner, else_branch=inner))
    model.graph.node.append(helper.make_node("If", ["one"], ["stolen"], then_branch=outer, else_branch=outer))


def add_function(model):
    model.functions.append(helper.make_function("own", "f", [], ["stolen"], [constant_node()], []))


def add_training(model):
    model.training_info.add(initialization=graph_with(constant_node()))


def add_location_alone(model):
    model.graph.initializer.append(TensorProto(name="x", data_location=TensorProto.EXTERNAL))


def add_external_data_alone(model):
    tensor = TensorProto(name="x")
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.initializer.append(tensor)


@pytest.mark.parametrize(
    "change",
    [
        add_initializer,
        add_constant,
        add_sparse_initializer,
        add_sparse_constant,
        add_branch,
        add_branch_in_branch,
        add_function,
        add_training,
        add_location_alone,
        add_external_data_alone,
    ],
)
def test_external_data_is_refused_wherever_it_is(tmp_path, change):
    model = negative_style()
    change(model)
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    assert inspect_model(model.SerializeToString()).reads_files
    with pytest.raises(StyleError, match="refers to other files"):
        read_model(tmp_path / "x.onnx")


def test_graph_that_comes_twice_is_inspected_twice():
    """Readers merge the two."""
    hidden = onnx.ModelProto()
    add_initializer(hidden)
    assert inspect_model(negative_style().SerializeToString() + hidden.SerializeToString()).reads_files


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_operators_are_those_that_the_onnx_package_reads(path):
    contents = inspect_model(read_model(path))
    assert contents.operators == {node.op_type for node in onnx.load(path).graph.node}
    assert not contents.reads_files


def test_operators_of_other_domains_are_named_with_them():
    model = negative_style()
    model.graph.node.append(helper.make_node("FusedConv", [], ["x"], domain="com.microsoft"))
    model.graph.node.append(helper.make_node("Relu", [], ["y"], domain="ai.onnx"))
    assert inspect_model(model.SerializeToString()).operators == {"Sub", "Relu", "com.microsoft.FusedConv"}


@pytest.mark.parametrize(
    ("operator", "domain"),
    [("Loop", ""), ("If", ""), ("Scan", ""), ("RandomNormal", ""), ("Relu", "own"), ("a\x1b", "")],
)
def test_other_operators_than_those_of_styles_are_refused(tmp_path, operator, domain):
    model = negative_style()
    model.graph.node.append(helper.make_node(operator, [], ["x"], domain=domain))
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(StyleError, match="operators that no style needs") as raised:
        read_model(tmp_path / "x.onnx")
    assert str(raised.value).isprintable()


def test_operators_of_styles_are_onnx_operators():
    assert {schema.name for schema in onnx.defs.get_all_schemas_with_history()} >= OPERATORS


def test_damaged_large_and_missing_models_are_refused(tmp_path):
    whole = negative_style().SerializeToString()
    (tmp_path / "cut.onnx").write_bytes(whole[:-1])
    (tmp_path / "many.onnx").write_bytes(whole + b"\x72\x00" * 300_000)
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(8 << 30)
    for name, reason in (("cut", "too soon"), ("many", "many parts"), ("large", "large"), ("missing", "No such file")):
        with pytest.raises(StyleError, match=reason):
            read_model(tmp_path / f"{name}.onnx")


def test_deep_nesting_is_refused():
    graph = graph_with(constant_node(TensorProto()))
    for _ in range(20):
        graph = graph_with(helper.make_node("If", ["one"], ["stolen"], then_branch=graph))
    with pytest.raises(ValueError, match="within graphs"):
        inspect_model(helper.make_model(graph).SerializeToString())
