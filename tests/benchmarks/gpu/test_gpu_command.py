import json

import pytest

pytest.importorskip("torch")

from benchmarks.gpu.parts import GPU_PARTS


def test_failed_part_does_not_stop_the_next(run, out, monkeypatch):
    def fail(options, deadline):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setitem(GPU_PARTS, "pace", fail)
    with pytest.raises(SystemExit) as stopped:
        run("pace,fall-back")
    assert stopped.value.code == 1
    state = json.loads((out / "gpu.json").read_text())
    assert "device-side assert" in state["failed"]["pace"] and state["whole"] == {"fall-back": True}


def test_unknown_part_gives_one_sentence(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("dance")
    assert stopped.value.code == 2 and "choose from pace, train, inference" in capsys.readouterr().err
