import pytest

from nst_core.base.errors import StyleError
from plugin.cli.options import read_toml


def test_toml_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfsize = 64\r\n")
    assert read_toml(tmp_path / "a.toml") == {"size": 64}


@pytest.mark.parametrize(
    "content",
    [b"size", b"\xff\xfe\x00", b"a = " + b"[" * 100_000, b"a = " + b"9" * 100_000, b"\x00", b"a = 1\na = 2"],
    ids=["text", "UTF-16", "nested", "number", "zero", "twice"],
)
def test_invalid_toml_gives_one_sentence(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(StyleError, match=r"a\.toml is not a TOML file") as error:
        read_toml(tmp_path / "a.toml")
    assert "\n" not in str(error.value)
