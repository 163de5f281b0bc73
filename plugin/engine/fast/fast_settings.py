"""How the fast path paints, in numbers. Standard library only: a host may know them without the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.imaging.blend_settings import BlendSettings

# Such as 1024 x 683: strokes of this size are seen in the whole picture, and still tell its details.
WORKING_PIXELS = 700_000


@dataclass(frozen=True)
class FastSettings:
    """How to paint. Raises StyleError for a value out of range.

    Attributes:
        stroke_size: in percent of the strokes that the network was trained to paint, 50 to 200. It paints strokes of
            so many pixels, so that for larger ones it works on a smaller picture, and for smaller ones on a larger.
        full_resolution: whether strokes are of so many pixels of the picture, however large it is. Else they are of
            so many pixels of a picture of at most WORKING_PIXELS, so that a small copy shows what a large one becomes.
        device: ``auto``, ``cuda`` or ``cpu``.
        blend: how the painting is mixed with the photo.
    """

    stroke_size: float = 100.0
    full_resolution: bool = False
    device: str = "auto"
    blend: BlendSettings = field(default_factory=BlendSettings)

    def __post_init__(self) -> None:
        if not 50 <= self.stroke_size <= 200:
            raise StyleError(
                _("The stroke size is {stroke_size:g} %; give one from 50 to 200.").format(stroke_size=self.stroke_size)
            )


def seen_size(height: int, width: int, settings: FastSettings) -> tuple[int, int]:
    """Height and width at which the network sees a picture, and so paints strokes of the size asked for."""
    scale = 100.0 / settings.stroke_size
    if not settings.full_resolution:
        scale *= min(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))
