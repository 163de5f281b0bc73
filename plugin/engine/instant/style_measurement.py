"""Measure a style picture once, and keep the measurements on disk, by the picture's content."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst_core.base.files import written_whole
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.imaging.resampling import resample_picture
from plugin.engine.instant.feature_transforms import StyleStatistics, measure_style
from plugin.engine.instant.instant_networks import MULTIPLE, PAINTED_LEVELS, encode, encoder_file
from plugin.engine.instant.instant_settings import STYLE_PIXELS
from plugin.engine.machine import paths
from plugin.engine.machine.provider import Provider
from plugin.engine.progress import Stopper

MEASURED_STYLE_SIDE = 1536
# Three places at the deepest level, the side of a patch.
SMALLEST_STYLE_SIDE = 3 * MULTIPLE
SWAPPED_LEVELS = (5, 4)
# The standard deviation of all channels, in 0..1, below which a style picture has one colour.
ONE_COLOUR = 1 / 255
MOST_CACHED = 64
# Part of the cache's key; raise it when the measurements change their meaning.
VERSION = 1


@dataclass(frozen=True, eq=False)
class MeasuredStyle:
    """What is known of a style picture: its statistics by level, and whether it has only one colour."""

    levels: Mapping[int, StyleStatistics]
    one_colour: bool


def measured(picture: Picture, provider: Provider, stopper: Stopper) -> MeasuredStyle:
    """Return the measurements of a style picture, from the cache if they are there.

    A cache that cannot be read or written is not used.
    """
    image = style_image(picture)
    one_colour = bool(np.max(np.std(image, (1, 2))) < ONE_COLOUR)
    file = paths.cache_folder() / "styles" / f"{_key(image)}.npz"
    levels = _read(file)
    if levels is None:
        levels = {
            level: measure_style(encode(image, level, provider, stopper), level in SWAPPED_LEVELS)
            for level in PAINTED_LEVELS
        }
        _write(levels, file)
    return MeasuredStyle(levels, one_colour)


def style_image(picture: Picture) -> np.ndarray:
    """Return a style picture as its networks see it: float32 [3, H, W], rounded to 8 bits.

    Rounding makes files of the same picture equal, such as one with 8 and one with 16 bits.
    """
    rgb = network_input(picture)
    height, width = rgb.shape[:2]
    scale = min((STYLE_PIXELS / (height * width)) ** 0.5, MEASURED_STYLE_SIDE / max(height, width))
    seen = resample_picture(rgb, max(1, round(height * scale)), max(1, round(width * scale)))
    image = np.round(seen.transpose(2, 0, 1) * 255) / np.float32(255)
    extents = [max(SMALLEST_STYLE_SIDE, -(-extent // MULTIPLE) * MULTIPLE) for extent in image.shape[1:]]
    added = [(0, extent - before) for extent, before in zip(extents, image.shape[1:], strict=True)]
    return np.pad(image, [(0, 0), *added], mode="symmetric")


def _key(image: np.ndarray) -> str:
    digest = hashlib.sha256(f"{VERSION} {image.shape} {_networks_digest()}".encode())
    digest.update(np.ascontiguousarray(np.round(image * 255).astype(np.uint8)).data)
    return digest.hexdigest()[:32]


@functools.cache
def _networks_digest() -> str:
    return " ".join(hashlib.sha256(encoder_file(level).read_bytes()).hexdigest() for level in PAINTED_LEVELS)


def _read(file: Path) -> dict[int, StyleStatistics] | None:
    try:
        with np.load(file, allow_pickle=False) as saved:
            levels = {}
            for level in PAINTED_LEVELS:
                whitened = saved[f"whitened{level}"].astype(np.float32) if level in SWAPPED_LEVELS else None
                levels[level] = StyleStatistics(saved[f"mean{level}"], saved[f"root{level}"], whitened)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    with contextlib.suppress(OSError):
        file.touch()  # the least recently used are removed first
    return levels


def _write(levels: Mapping[int, StyleStatistics], file: Path) -> None:
    arrays: dict[str, np.ndarray] = {}
    for level, style in levels.items():
        arrays |= {f"mean{level}": style.mean, f"root{level}": style.root}
        if style.whitened is not None:
            arrays[f"whitened{level}"] = style.whitened.astype(np.float16)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as partial:
            np.savez(partial, allow_pickle=False, **arrays)
        files = sorted(file.parent.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for old in files[:-MOST_CACHED]:
            old.unlink(missing_ok=True)
    except OSError as error:
        logging.getLogger(__name__).info("The style cannot be kept (%s).", error)
