import pytest

from nst_core.base.errors import StyleError
from plugin.cli.outputs import check_picture_output


def test_unusable_picture_outputs_are_refused(tmp_path):
    check_picture_output(tmp_path / "fine.png")
    for path, reason in (
        (tmp_path / "x.xyz", "does not end like a picture"),
        (tmp_path / "no" / "x.png", "no folder"),
        (tmp_path, "folder"),
    ):
        with pytest.raises(StyleError, match=reason):
            check_picture_output(path)
