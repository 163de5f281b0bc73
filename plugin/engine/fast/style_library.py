"""The styles that are installed: every ``.onnx`` in the bundled folder and in the user's, found by name."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

from nst_core.base.display_text import one_line
from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.style_file import Style, read_styles
from plugin.engine.machine import paths

LONGEST_WARNING = 1000  # characters


@dataclass(frozen=True)
class Library:
    """The readable styles by name, and a sentence for each file in the style folders that cannot be read."""

    styles: dict[str, Style]
    left_out: list[str]


def read_library() -> Library:
    """Read the style folders; a user's style hides a bundled one of the same name."""
    styles: dict[str, Style] = {}
    left_out = []
    for folder in (paths.bundled_styles_folder(), paths.user_styles_folder()):
        for path in sorted(folder.glob("*.onnx")):
            # One bad file must not hide the others, whatever it is that reading it raises.
            try:
                styles |= {style.name: style for style in read_styles(path)}
            except StyleError as error:
                left_out.append(one_line(str(error), LONGEST_WARNING))
            except Exception as error:
                reason = _("{path} cannot be read ({error}); remove it.").format(path=path, error=error)
                left_out.append(one_line(reason, LONGEST_WARNING))
    return Library(dict(sorted(styles.items(), key=lambda item: item[1].title.casefold())), left_out)


def list_styles() -> list[Style]:
    """Return every readable style, by title."""
    return list(read_library().styles.values())


def find_styles(text: str) -> dict[Style, float]:
    """Return the styles that ``text`` names, with their shares, which sum to 1.

    ``text`` is a style's name, a style file (then its first style), or a mixture: ``great-wave:0.6,udnie:0.4``. Raises
    StyleError, with the closest names, if a name is unknown, or if a share is not a positive number.
    """
    if text.lower().endswith(".onnx"):
        return {read_styles(Path(text))[0]: 1.0}
    library = read_library().styles
    weights: dict[Style, float] = {}
    for part in text.split(","):
        name, _colon, share = part.strip().partition(":")
        style = _named(name, library)
        try:
            weights[style] = weights.get(style, 0.0) + float(share or 1.0)
        except ValueError:
            raise StyleError(
                _("{share!r} is not a share of a style; mix styles like this: great-wave:0.6,udnie:0.4").format(
                    share=share
                )
            ) from None
    if not all(0 < weight < math.inf for weight in weights.values()):
        raise StyleError(
            _("The shares of the styles in {text!r} must be above 0; leave out the styles you do not want.").format(
                text=text
            )
        )
    total = sum(weights.values())
    return {style: weight / total for style, weight in weights.items()}


def _named(name: str, styles: dict[str, Style]) -> Style:
    if name in styles:
        return styles[name]
    if not styles:
        raise StyleError(
            _("There is no style called {name!r}, because no style is installed; run install.py again.").format(
                name=name
            )
        )
    close = difflib.get_close_matches(name.lower(), styles, n=3, cutoff=0.4)
    if close:
        raise StyleError(
            _("There is no style called {name!r}; did you mean {close}?").format(name=name, close=" or ".join(close))
        )
    raise StyleError(
        _("There is no style called {name!r}; choose from {styles}.").format(
            name=name, styles=", ".join(sorted(styles))
        )
    )
