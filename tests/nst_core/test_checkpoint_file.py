import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.checkpoint_file import write_checkpoint


def test_written_checkpoint_is_read_back(tmp_path):
    write_checkpoint({"step": 3, "weight": torch.arange(4.0)}, tmp_path / "a.checkpoint")
    state = torch.load(tmp_path / "a.checkpoint", weights_only=True)
    assert state["step"] == 3 and torch.equal(state["weight"], torch.arange(4.0))
    assert [file.name for file in tmp_path.iterdir()] == ["a.checkpoint"]


def test_full_disk_raises_style_error_and_keeps_old_file(tmp_path, full_disk):
    path = tmp_path / "a.checkpoint"
    write_checkpoint({"step": 1}, path)
    before = path.read_bytes()
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        write_checkpoint({"step": 2, "weight": torch.zeros(10_000)}, path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["a.checkpoint"]
