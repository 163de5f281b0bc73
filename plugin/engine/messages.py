"""What a host without arrays and the engine say to each other (see service.py). Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nst_core.style_file import Style
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.blend_settings import BlendSettings

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe


@dataclass(frozen=True, eq=False)
class RawPicture:
    """A picture as a host has it, row by row.

    Attributes:
        channels: 4, sRGB-encoded RGB and straight alpha, or 3 for the same without alpha.
        data: float32, 0..1, of the machine's byte order; or, of an ``eight_bits`` picture, a byte for each value, which
            is a quarter to carry about.
        mask: how much of each pixel is selected, in numbers of the same kind; None if all of it is.
    """

    width: int
    height: int
    channels: int
    data: bytes | memoryview
    mask: bytes | None = None
    eight_bits: bool = False


@dataclass(frozen=True)
class FastRequest:
    """To paint in trained styles, with their shares."""

    styles: dict[Style, float]
    settings: FastSettings


@dataclass(frozen=True, eq=False)
class IterativeRequest:
    """To paint in the style of a picture."""

    style_picture: RawPicture
    recipe: Recipe
    blend: BlendSettings = field(default_factory=BlendSettings)


@dataclass(frozen=True, eq=False)
class Painted:
    """A picture that was painted, with alpha, of the size and in numbers of the kind in which it came; seconds by
    stage; and sentences that the user should hear, once.
    """

    picture: RawPicture
    seconds: dict[str, float]
    notes: list[str]


@dataclass(frozen=True)
class OpenedLayer:
    """A layer that was opened to try things on, and the size at which it is shown."""

    number: int
    width: int
    height: int


@dataclass(frozen=True)
class PreviewRequest:
    """What to try.

    Attributes:
        styles: with their shares.
        stroke_size: in percent.
        corner: the left upper corner, in the layer's pixels, of the part to paint with strokes at full resolution; None
            for the whole layer with strokes relative to it.
    """

    styles: tuple[tuple[Style, float], ...]
    stroke_size: float
    corner: tuple[int, int] | None = None

    @property
    def settings(self) -> FastSettings:
        return FastSettings(stroke_size=self.stroke_size, full_resolution=self.corner is not None)


@dataclass(frozen=True)
class PreviewResult:
    """A wish that was tried, whether a graphics card did it, and the reason why it did or did not, in one phrase."""

    number: int
    on_gpu: bool
    reason: str


@dataclass(frozen=True)
class Estimate:
    """Seconds that a render will take, what will compute it, and the feature network that it will use."""

    seconds: float
    device: str
    feature_network: str
