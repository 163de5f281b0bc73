"""The settings of painting in regions. Standard library only: a host uses them before the engine is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.instant.instant_settings import InstantSettings

MOST_REGIONS = 8
# What names the photo as it is, where a style is named.
NO_STYLE = "none"
# In pixels. The error message for a value out of range repeats these numbers.
FEATHER_RANGE = (0, 1000)
# In percent: enough for a face to belong to the painting, and little enough to recognise it.
PROTECTED_STRENGTH = 25.0


@dataclass(frozen=True)
class RegionSettings:
    """The settings of painting in regions. Raises StyleError for a value out of range.

    Attributes:
        feather: by how many pixels of the picture the edge of a mask softens on each side, 0 to 1000.
        instant: the settings of every style, trained or from a picture.
    """

    feather: int = 0
    instant: InstantSettings = field(default_factory=InstantSettings)

    def __post_init__(self) -> None:
        if not FEATHER_RANGE[0] <= self.feather <= FEATHER_RANGE[1]:
            raise StyleError(
                _("The feather is {feather} pixels; give a number from 0 to 1000.").format(feather=self.feather)
            )
