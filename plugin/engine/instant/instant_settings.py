"""The settings of instant painting. Standard library only: a host uses them before the engine is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.style_file import DEFAULT_DETAIL
from plugin.engine.fast.fast_settings import FastSettings

# In percent. The error message for a value out of range repeats these numbers.
SWAP_RANGE = (0.0, 100.0)
# The size at which style pictures are measured, as in the training of styles. A style picture of another size is
# scaled to it, so its strokes have the same size whatever its resolution.
STYLE_PIXELS = 512**2
# What a coarse reduction leaves of a larger style picture, before a fine one to STYLE_PIXELS.
READ_PIXELS = 4 * STYLE_PIXELS


@dataclass(frozen=True)
class InstantSettings:
    """The settings of painting in the style of any picture. Raises StyleError for a value out of range.

    Attributes:
        motifs: how much large shapes of the style picture, such as stars and whorls, replace those of the photo, in
            percent.
        brushwork: the same for its strokes.
        fast: size of the strokes, device, and how the painting is mixed with the photo.
    """

    motifs: float = 60.0
    brushwork: float = 40.0
    fast: FastSettings = field(default_factory=FastSettings)

    def __post_init__(self) -> None:
        for name, value in ((_("motifs"), self.motifs), (_("brushwork"), self.brushwork)):
            if not SWAP_RANGE[0] <= value <= SWAP_RANGE[1]:
                raise StyleError(
                    _("The setting {name} is {value:g} %; give a number from 0 to 100.").format(name=name, value=value)
                )

    @property
    def detail(self) -> float:
        """How much of the photo's detail is kept, 0..100."""
        return DEFAULT_DETAIL if self.fast.detail is None else self.fast.detail

    @property
    def swaps(self) -> dict[int, float]:
        """The share of swapped patches by level, 0..1; a level that is not named has none."""
        return {5: self.motifs / 100.0, 4: self.brushwork / 100.0}
