import pytest

from benchmarks.measuring.record_files import write_file
from nst_core.base.errors import StyleError


def test_failed_write_leaves_no_file(tmp_path, full_disk):
    path = tmp_path / "folder" / "record.json"
    with full_disk(), pytest.raises(StyleError, match=r"record.json cannot be written"):
        write_file(path, lambda partial: partial.write_text("x" * 5000))
    assert list(path.parent.iterdir()) == []
