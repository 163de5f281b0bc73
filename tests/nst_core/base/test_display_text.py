import pytest

from nst_core.base.display_text import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The Great Wave off Kanagawa", "The Great Wave off Kanagawa"),
        ("Zweites „Bild“, 日本, Чёрный", "Zweites „Bild“, 日本, Чёрный"),
        ("a\tb\r\n c\u2028d", "a b c d"),
        ("\x1b[31mred\x1b[0m\x9b\x07\x00", "[31mred[0m"),
        ("\u202egnp.\u202c\u2066\u200f\ufeff", "gnp."),
        ("\ud800\udc00", ""),
        ("👩\u200d🎨", "👩\u200d🎨"),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 19 + "…"),
        ("\x00" * 1000 + "x", ""),
    ],
)
def test_text_is_shown_on_one_line(text, shown):
    assert one_line(text, 27 if "Great" in text or "Bild" in text else 20) == shown
