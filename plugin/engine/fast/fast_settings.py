"""The settings of fast painting. Standard library only: a host uses them before the engine is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.style_file import DETAIL_RANGE
from plugin.engine.imaging.blend_settings import BlendSettings

# For example 1024 x 683: strokes of this size show in the whole picture, and still render its details.
WORKING_PIXELS = 700_000
# In percent. The error message for a value out of range repeats these numbers.
STROKE_SIZE_RANGE = (50.0, 200.0)
# In GiB. The error message for a value out of range repeats these numbers.
MAX_MEMORY_RANGE = (0.25, 1024.0)


@dataclass(frozen=True)
class FastSettings:
    """The settings of painting with a trained network. Raises StyleError for a value out of range.

    Attributes:
        stroke_size: in percent of the strokes that the network was trained to paint, 50 to 200. The network paints
            strokes of a fixed number of pixels, so for larger strokes it works on a smaller picture, and for smaller
            ones on a larger picture.
        full_resolution: whether strokes have that number of pixels in the picture itself, however large it is.
            Otherwise they have it in a picture of at most WORKING_PIXELS, so a small copy previews a large picture.
        detail: how much of the photo's detail, such as faces and lettering, a picture's style or one with two rows
            keeps: 0 (bold) to 100 (faithful); None for the style's own default. Other styles have no such choice.
        device: ``auto``, ``cuda`` or ``cpu``.
        blend: how the painting is mixed with the photo.
        max_memory: how much of the machine's memory the whole process may take, in GiB; None for all that is free. A
            picture that needs more is painted in narrower strips, which takes longer, or refused.
    """

    stroke_size: float = 100.0
    full_resolution: bool = False
    detail: float | None = None
    device: str = "auto"
    blend: BlendSettings = field(default_factory=BlendSettings)
    max_memory: float | None = None

    def __post_init__(self) -> None:
        if not STROKE_SIZE_RANGE[0] <= self.stroke_size <= STROKE_SIZE_RANGE[1]:
            raise StyleError(
                _("The stroke size is {stroke_size:g} %; give one from 50 to 200.").format(stroke_size=self.stroke_size)
            )
        if self.detail is not None and not DETAIL_RANGE[0] <= self.detail <= DETAIL_RANGE[1]:
            raise StyleError(_("The detail is {detail:g}; give one from 0 to 100.").format(detail=self.detail))
        if self.max_memory is not None and not MAX_MEMORY_RANGE[0] <= self.max_memory <= MAX_MEMORY_RANGE[1]:
            raise StyleError(
                _("The most memory is {max_memory:g} GiB; give 0.25 to 1024.").format(max_memory=self.max_memory)
            )


def working_size(height: int, width: int, settings: FastSettings) -> tuple[int, int]:
    """Compute the height and width at which the network paints a picture with strokes of the requested size."""
    scale = 100.0 / settings.stroke_size
    if not settings.full_resolution:
        scale *= min(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))
