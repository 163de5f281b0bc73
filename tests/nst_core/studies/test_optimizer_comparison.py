import pytest

torch = pytest.importorskip("torch")

from nst_core.studies.optimizer_comparison import optimizers


def test_lbfgs_leads_at_equal_iterations(inputs, settings, check_progress):
    findings = optimizers(inputs, settings)
    last = {row["optimizer"]: row["loss"] for row in findings.rows if row["iterations"] == 40}
    assert last["L-BFGS"] < last["Adam, step decay"] < findings.losses[0]["L-BFGS"]
    assert last["L-BFGS"] < last["gradient descent"] < 0.8 * findings.losses[0]["gradient descent"]
    assert [row["iterations"] for row in findings.rows[:4]] == [2, 8, 20, 40]
    assert len({losses for name, losses in findings.losses[0].items() if name != "iteration"}) == 1  # one start
    check_progress()
