"""Plan a render whose regions have styles of their own, or whose style picture has a mask. Never imports PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.imaging.picture import Picture
from plugin.engine.regions.partition import UNITS, as_weights, partition

if TYPE_CHECKING:
    import torch

    from nst_core.losses.guided_objective import StyleGuide


@dataclass(frozen=True, eq=False)
class PictureStyle:
    """A style picture, and its mask, float32 [h, w] in 0..1: the part whose style is taken; None for all of it."""

    picture: Picture
    mask: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class RenderRegion:
    """A mask, float32 [H, W] in 0..1, and the style there; None for a region that stays as in the photo."""

    mask: np.ndarray
    style: PictureStyle | None


@dataclass(frozen=True, eq=False)
class RenderRegions:
    """The styles of a photo's parts.

    Attributes:
        rest: the style where no region's mask is; None for what stays a photo.
        regions: the parts that have their own styles.
        feather: by how many pixels of the photo the edge of a mask softens on each side.
    """

    rest: PictureStyle | None
    regions: tuple[RenderRegion, ...] = ()
    feather: int = 0


@dataclass(frozen=True, eq=False)
class RegionPlan:
    """A photo, whose mask is what the styles cover, and its styles with their shares, each uint16 [H, W] in units."""

    picture: Picture
    shares: Sequence[tuple[PictureStyle, np.ndarray]]
    notes: Sequence[str] = ()

    @property
    def style_picture(self) -> Picture:
        """The first style picture."""
        return self.shares[0][0].picture

    @property
    def is_plain(self) -> bool:
        """Whether one style picture, without a mask, has the whole photo."""
        (style, share), *others = self.shares
        return not others and style.mask is None and bool((share == UNITS).all())

    def guides(self, device: torch.device) -> tuple[StyleGuide, ...]:
        """Return what the render needs to know of the styles; nothing for a plain render."""
        from nst_core.losses.guided_objective import StyleGuide
        from nst_core.pictures.arrays import as_tensor
        from plugin.engine.imaging.picture import network_input

        if self.is_plain:
            return ()
        guides = []
        for style, share in self.shares:
            mask, picture = (
                as_tensor(a).to(device) for a in (as_weights(share)[..., None], network_input(style.picture))
            )
            style_mask = None if style.mask is None else as_tensor(style.mask[..., None]).to(device)
            guides.append(StyleGuide(picture, mask, style_mask))
        return tuple(guides)


def plan_regions(picture: Picture, styles: RenderRegions) -> RegionPlan:
    """Plan the render of ``picture``. Raises StyleError as ``partition`` does, or if no pixel has a style."""
    regions = styles.regions
    size = picture.height, picture.width
    all_shares, notes = partition([region.mask for region in regions], size, styles.feather)
    shares = dict[PictureStyle, np.ndarray]()
    for style, share in zip([*(region.style for region in regions), styles.rest], all_shares, strict=True):
        if style is not None and share.any():
            shares[style] = shares[style] + share if style in shares else share
    if not shares:
        raise StyleError(_("No part of the photo has a style, so there is nothing to paint; give another mask."))
    covered = np.stack(list(shares.values())).sum(0, dtype=np.uint16)
    if not (covered == UNITS).all():
        mask = as_weights(covered)
        picture = replace(picture, mask=mask if picture.mask is None else picture.mask * mask)
    return RegionPlan(picture, list(shares.items()), notes)
