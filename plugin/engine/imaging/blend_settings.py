"""The settings of mixing a painting with its photo. Standard library only: hosts without NumPy use them."""

from __future__ import annotations

from dataclasses import dataclass

from nst_core.base.errors import StyleError
from nst_core.base.language import _

# In percent. The error message for a value out of range repeats these numbers.
STRENGTH_RANGE = (0.0, 100.0)
# Whose colours a painting has: its own; the photo's, by luminance alone afterwards (recolouring.py); the photo's, to
# which those of the style picture are matched beforehand; or its own on the untouched photo, without strokes.
COLOR_CHOICES = OWN_COLORS, PHOTOS, PHOTOS_BEFORE, COLORS_ONLY = "painting", "photo", "photo-before", "only"


@dataclass(frozen=True)
class BlendSettings:
    """The shares of painting and photo in the result. Raises StyleError for a value out of range.

    Attributes:
        strength: in percent, 0 (the photo) to 100 (the painting).
        keep_colors: take the strokes of the painting, and the colours and the large-scale luminance of the photo.
    """

    strength: float = 100.0
    keep_colors: bool = False

    def __post_init__(self) -> None:
        if not STRENGTH_RANGE[0] <= self.strength <= STRENGTH_RANGE[1]:
            raise StyleError(_("The strength is {strength:g}; give one from 0 to 100.").format(strength=self.strength))
