import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

torch = pytest.importorskip("torch")

from benchmarks import inference
from benchmarks.inference import CLASSICAL, ONNX_RUNTIME, OURS, PYTORCH, Way
from benchmarks.yardstick import FirstCall, MatrixProduct, graph_cost
from export.to_onnx import export_styles
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.fast.training_checkpoint import TrainingCheckpoint
from nst_core.fast.transformer import TransformerNetwork
from nst_core.style_file import StyleCard
from plugin.engine.machine.provider import CPU, Provider

HERE = torch.device("cpu")


@pytest.fixture(scope="module")
def style(tmp_path_factory):
    path = tmp_path_factory.mktemp("styles") / "tiny.onnx"
    torch.manual_seed(0)
    settings = TrainSettings(network=TransformerSettings(width=4, residual_blocks=1))
    checkpoint = TrainingCheckpoint(settings, 0, TransformerNetwork(settings.network), {}, "none", ("",), 0, 0)
    export_styles(checkpoint, [StyleCard("Tiny")], np.zeros((64, 64, 3), np.uint8), path)
    return path


def record(network, seconds, size=64, runtime=ONNX_RUNTIME, flops=2 * 100**3, values=0):
    way = {"runtime": runtime, "precision": "fp32", "how": "", "size": size}
    product = MatrixProduct(100, "fp32", HERE)
    made = {"network": network, **way, "flops": flops, "values": values}
    timed = {network: seconds, "product": [0.5] * len(seconds)} if seconds else {}
    return made | inference.measured(made, FirstCall(1.0, 2.0), timed, product, bytes_per_second=1e6)


def test_the_shares_are_those_worked_out_by_hand():
    # As many operations as the product, in twice its time; 250 000 numbers of four bytes in a second at 1 MB/s.
    found = record(OURS, [1.0, 1.0, 1.0], values=125_000)
    assert found["share_of_matrix_rate"] == pytest.approx(0.5) and found["share_of_floor"] == pytest.approx(0.5)
    assert record(OURS, [1.0], values=200_000)["share_of_floor"] == pytest.approx(0.8)
    assert found["flops_per_second"] == pytest.approx(4e6) and found["seconds"] == 1.0


def test_ratios_are_of_what_ran_alike():
    records = [
        record(OURS, [1.0, 3.0, 1.0]),
        record(CLASSICAL, [4.0, 6.0, 4.0]),
        record(OURS, [2.0], runtime=PYTORCH),
        record(CLASSICAL, [10.0], runtime=PYTORCH),
        record(OURS, [5.0], size=128),
        record(CLASSICAL, None, size=128),  # ran out of memory
    ]
    found = [(r["runtime"], r["size"], r["ratio"]) for r in inference.ratios(records)]
    assert found == [(ONNX_RUNTIME, 64, 0.25), (PYTORCH, 64, 0.2)]
    assert "| 128x128 | ONNX Runtime fp32 | classic | out of memory |" in inference.timings_table(records)
    assert inference.beside_pytorch(records[:4]) == "0.100 at 64x64"


def test_half_precision_spares_the_norms_and_the_last_convolution(style, tmp_path):
    model = onnx.load(inference.half(style, tmp_path / "half.onnx"))
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    kinds = {value.name: value.type.tensor_type.elem_type for value in inferred}
    by_node: dict[str, list[int]] = {}
    for node in model.graph.node:
        by_node.setdefault(node.op_type, []).append(kinds.get(node.output[0]))
    half, whole = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    assert by_node["Conv"] == [half] * 7 + [whole] and set(by_node["InstanceNormalization"]) == {whole}
    assert graph_cost(model, 64, 64) == graph_cost(onnx.load(style), 64, 64)
    painted = [
        inference.open_way(Way(ONNX_RUNTIME, "fp32"), path, 48, HERE, 1)() for path in (style, tmp_path / "half.onnx")
    ]
    assert painted[0].dtype == painted[1].dtype == np.float32
    assert 0 < np.abs(painted[0] - painted[1]).max() < 0.02


def test_every_way_paints_the_same(style):
    ways = [Way(ONNX_RUNTIME, "fp32"), Way(PYTORCH, "fp32"), Way(PYTORCH, "bf16"), Way(ONNX_RUNTIME, "fp32", "bound")]
    found = inference.differences(ways, {(OURS, "fp32"): style}, style, 64, HERE, 1)
    assert found["ONNX Runtime fp32"] == found["ONNX Runtime fp32 bound"] == 0
    assert 0 < found["PyTorch fp32"] < 0.1 < found["PyTorch bf16"] < 20


def test_the_placement_counts_the_nodes_that_ran(style, tmp_path):
    found = inference.placement(style, Provider(CPU, ""), tmp_path)
    assert list(found) == [CPU] and found[CPU]["Conv"] == 8 and found[CPU]["InstanceNormalization"] == 7


def test_the_command_writes_its_tables(style, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(inference, "CLASSIC", replace(inference.CLASSIC, width=8, residual_blocks=1))
    arguments = ["--style", str(style), "--sizes", "32,64", "--turns", "2", "--matrix", "64", "--threads", "1"]
    inference.main([str(tmp_path / "out"), *arguments, "--device", "cpu"])
    report = (tmp_path / "out" / "inference.md").read_text()
    assert report.strip() == capsys.readouterr().out.strip()
    found = json.loads((tmp_path / "out" / "inference.json").read_text())
    assert len(found["records"]) == 2 * 2 * 2 and len(found["ratios"]) == 2 * 2
    for made in found["records"]:
        assert made["seconds"] > 0 and made["first_seconds"] > 0 and made["mib"] > 0
        assert 0 < made["share_of_matrix_rate"] <= made["share_of_floor"]
        assert f"| {made['size']}x{made['size']} | {made['runtime']} fp32 | {made['network']} |" in report
    assert onnxruntime.__version__ in report and "CUDA" not in report.split("placement")[-1]
    shown = [f"{r['ratio']:.3f}" for r in found["ratios"] if r["runtime"] == PYTORCH]
    assert f"| PyTorch fp32 | {' | '.join(shown)} |" in report


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--style", "no-such-style"], "no-such-style"),
        (["--clock", "processor", "--threads", "2"], "--threads 1"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(arguments, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        inference.main([str(tmp_path), "--device", "cpu", *arguments])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and sentence in error
