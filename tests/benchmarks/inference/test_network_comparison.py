import pytest

pytest.importorskip("torch")

import torch

from benchmarks.inference.backends import ONNX_RUNTIME, PYTORCH
from benchmarks.inference.inference_report import ratios_across_runtimes, timings_table
from benchmarks.inference.network_comparison import CLASSIC_NAME, OURS, evaluate_timings, time_ratios
from benchmarks.measuring.first_calls import FirstCall
from benchmarks.measuring.machine import MatrixProduct


def record(network, seconds, size=64, runtime=ONNX_RUNTIME, flops=2 * 100**3, values=0):
    product = MatrixProduct(100, "fp32", torch.device("cpu"))
    named = {"network": network, "runtime": runtime, "precision": "fp32", "how": "", "size": size}
    named |= {"flops": flops, "values": values}
    timed = {network: seconds, "product": [0.5] * len(seconds)} if seconds else {}
    return named | evaluate_timings(named, FirstCall(1.0, 2.0), timed, product, bytes_per_second=1e6)


def test_shares_of_the_machine_match_hand_calculation():
    # As many operations as the product, in twice its time; 250 000 numbers of four bytes in a second at 1 MB/s.
    ours = record(OURS, [1.0, 1.0, 1.0], values=125_000)
    assert ours["share_of_matrix_rate"] == pytest.approx(0.5) and ours["share_of_floor"] == pytest.approx(0.5)
    assert record(OURS, [1.0], values=200_000)["share_of_floor"] == pytest.approx(0.8)
    assert ours["flops_per_second"] == pytest.approx(4e6) and ours["seconds"] == 1.0


def test_ratios_compare_networks_in_the_same_backend_and_size():
    records = [
        record(OURS, [1.0, 3.0, 1.0]),
        record(CLASSIC_NAME, [4.0, 6.0, 4.0]),
        record(OURS, [2.0], runtime=PYTORCH),
        record(CLASSIC_NAME, [10.0], runtime=PYTORCH),
        record(OURS, [5.0], size=128),
        record(CLASSIC_NAME, None, size=128),  # ran out of memory
    ]
    ratios = [(r["runtime"], r["size"], r["ratio"]) for r in time_ratios(records)]
    assert ratios == [(ONNX_RUNTIME, 64, 0.25), (PYTORCH, 64, 0.2)]
    assert "| 128x128 | ONNX Runtime fp32 | classic | out of memory |" in timings_table(records)
    assert ratios_across_runtimes(records[:4]) == "0.100 at 64x64"
