"""The data that a host and the engine exchange (see api.py), without arrays. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from nst_core.style_file import Style
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.regions.region_settings import PROTECTED_STRENGTH

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe


@dataclass(frozen=True)
class Masks:
    """The masks of a picture, in eight bits, row by row; they may be smaller than the picture.

    Attributes:
        regions: where each of several styles goes.
        protected: where less of the style goes, or None.
        protected_strength: percent of the style that is left there.
        feather: by how many pixels of the picture the edges of all masks soften on each side.
    """

    width: int
    height: int
    regions: tuple[bytes, ...] = ()
    protected: bytes | None = None
    protected_strength: float = PROTECTED_STRENGTH
    feather: int = 0


@dataclass(frozen=True, eq=False)
class RawPicture:
    """A picture as a host has it, row by row.

    Attributes:
        channels: 4 for sRGB-encoded RGB with straight alpha, 3 for the same without alpha.
        data: float32 values in 0..1, in the machine's byte order, or one byte for each value if ``eight_bits`` is set,
            which is a quarter of the data to send.
        mask: how much of each pixel is selected, in values of the same kind; None if all of it is.
        masks: which style goes where, or None.
    """

    width: int
    height: int
    channels: int
    data: bytes | memoryview
    mask: bytes | None = None
    eight_bits: bool = False
    masks: Masks | None = None


@dataclass(frozen=True)
class FastRequest:
    """A request to paint in trained styles; ``styles`` gives each style's share."""

    styles: dict[Style, float]
    settings: FastSettings


@dataclass(frozen=True)
class PicturePath:
    """A picture file that the engine reads itself, and when the file was changed, in nanoseconds."""

    path: str
    modified: int


StylePicture: TypeAlias = PicturePath | RawPicture


@dataclass(frozen=True)
class InstantRequest:
    """A request to paint in the style of pictures, or of a mixture of pictures and trained styles.

    ``pictures`` and ``styles`` give the share of each; all shares together sum to 1.
    """

    pictures: tuple[tuple[StylePicture, float], ...]
    settings: InstantSettings
    styles: tuple[tuple[Style, float], ...] = ()


RegionStyleChoice: TypeAlias = tuple[tuple[Style, float], ...] | StylePicture | None
"""The style of a region: trained styles and their shares, a picture, or None for the photo as it is."""


@dataclass(frozen=True)
class RegionsRequest:
    """A request to paint the regions of pictures, whose ``Masks`` say where, and the rest in the style ``rest``."""

    regions: tuple[RegionStyleChoice, ...]
    rest: RegionStyleChoice
    settings: InstantSettings


@dataclass(frozen=True, eq=False)
class IterativeRequest:
    """A request to paint in the style of a picture."""

    style_picture: RawPicture
    recipe: Recipe
    blend: BlendSettings = field(default_factory=BlendSettings)


@dataclass(frozen=True, eq=False)
class MixRequest:
    """A request to mix a photo again with its render, as ``PaintedPicture.render`` holds it. It needs no PyTorch."""

    render: bytes
    blend: BlendSettings = field(default_factory=BlendSettings)


StyleRequest: TypeAlias = FastRequest | InstantRequest | RegionsRequest | IterativeRequest
Request: TypeAlias = StyleRequest | MixRequest


@dataclass(frozen=True, eq=False)
class PaintedPicture:
    """A painting.

    Attributes:
        picture: has an alpha channel, and the size and kind of values of the picture that was painted.
        seconds: by stage.
        notes: sentences that the user should see once.
        render: for a MixRequest later: the painting before it was enlarged and mixed, unless it is too large to keep.
            Empty except after an IterativeRequest.
    """

    picture: RawPicture
    seconds: dict[str, float]
    notes: list[str]
    render: bytes = b""


@dataclass(frozen=True)
class OpenedLayer:
    """An opened layer's number, and the width and height of the small copy on which previews are sketched."""

    number: int
    width: int
    height: int


@dataclass(frozen=True)
class Area:
    """A rectangle of a layer, in the layer's pixels, which may have fractions."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class LayerView:
    """An area of a layer, and the width and height at which it is shown, which are at most the area's own."""

    area: Area
    width: int
    height: int


@dataclass(frozen=True)
class PreviewRequest:
    """A request to preview styles.

    Attributes:
        styles: each trained style and its share.
        stroke_size: in percent.
        area: whole pixels of the layer to paint with strokes at full resolution; None to paint the whole layer with
            strokes relative to its size.
        detail: as in ``FastSettings``.
        render: a render of the whole layer to show in place of styles, as in ``PaintedPicture``; empty for styles.
        pictures: each style picture and its share; all shares together sum to 1.
        motifs, brushwork: as in ``InstantSettings``, for style pictures.
        masks: which style goes where, or None. The styles and pictures above have what no region has.
        regions: the styles of the masks' regions.
    """

    styles: tuple[tuple[Style, float], ...]
    stroke_size: float
    area: Area | None = None
    detail: float | None = None
    render: bytes = b""
    pictures: tuple[tuple[StylePicture, float], ...] = ()
    motifs: float = InstantSettings.motifs
    brushwork: float = InstantSettings.brushwork
    masks: Masks | None = None
    regions: tuple[RegionStyleChoice, ...] = ()

    @property
    def settings(self) -> FastSettings:
        """The settings of a painting that looks like the preview."""
        return FastSettings(self.stroke_size, self.area is not None, self.detail)


@dataclass(frozen=True)
class PreviewResult:
    """A preview's number, and a sentence that the user should see, or nothing."""

    number: int
    note: str


@dataclass(frozen=True)
class Estimate:
    """The seconds that a render will take, its device and its feature network."""

    seconds: float
    device: str
    feature_network: str
