import pytest

pytest.importorskip("torch")


def test_report_names_the_chosen_providers(run):
    report, state = run("fall-back")
    assert state["whole"] == {"fall-back": True}
    assert report.count("CPUExecutionProvider (this ONNX Runtime is built for the CPU)") >= 1
