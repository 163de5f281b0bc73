"""Turn what a network painted into the result: at the photo's size, mixed with the photo, in rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite_rows
from plugin.engine.imaging.detail import Enlargement, is_enlarged
from plugin.engine.imaging.picture import WHITES, NetworkInput, Picture
from plugin.engine.imaging.picture_rows import ArrayRows, PictureRows, ResampledRows, whole_picture
from plugin.engine.imaging.recolouring import LuminanceDifference

PaintedRows = Iterable[tuple[slice, np.ndarray]]
"""Rows of a painting from top to bottom, and what is painted there, float32 [rows, width, 3] in 0..1."""


def finish(
    picture: Picture, photo: NetworkInput, seen: PictureRows, painted: PaintedRows, blend: BlendSettings
) -> np.ndarray:
    """Enlarge or reduce a painting to the size of its picture, and mix them: [H, W, 4] of the kind of its values.

    ``photo`` is the picture as networks see it, ``seen`` the same at the size that the network saw, and ``painted`` the
    painting of that.
    """
    canvas = _Mixed(picture)
    at_full_size = _at_full_size(photo, seen, painted)
    if not blend.keep_colors:
        for rows, paint in at_full_size:
            canvas.mix(rows, paint, blend)
        return canvas.values
    # The difference in luminance is known only when everything is painted.
    kept = _Kept(picture)
    difference = LuminanceDifference(picture.height, picture.width)
    for rows, paint in at_full_size:
        _in_bands(rows, lambda part, paint: difference.add(part, picture.rows(part), paint), paint)
        kept.keep(rows, paint)
    for rows in bands(picture.height, picture.width):
        canvas.mix(rows, kept.rows(rows), blend, difference)
    return canvas.values


def collected(painted: PaintedRows, height: int, width: int) -> np.ndarray:
    """Return a whole painting, float32 [height, width, 3]; its channels lie one after another."""
    planes = np.empty((3, height, width), np.float32)
    for rows, paint in painted:
        planes[:, rows] = paint.transpose(2, 0, 1)
    return planes.transpose(1, 2, 0)


def _at_full_size(photo: NetworkInput, seen: PictureRows, painted: PaintedRows) -> PaintedRows:
    size, seen_size = (photo.height, photo.width), (seen.height, seen.width)
    if size == seen_size:
        return painted
    small = collected(painted, *seen_size)
    if not is_enlarged(seen_size, size):
        reduced = ResampledRows(ArrayRows(small), *size)
        return ((rows, reduced.rows(rows)) for rows in bands(*size))
    enlargement = Enlargement(small, whole_picture(seen), *size)
    return _in_parallel(size, lambda rows: enlargement.rows(rows, photo.rows(rows)))


def _in_parallel(size: tuple[int, int], compute: Callable[[slice], np.ndarray]) -> PaintedRows:
    """Compute bands of rows on all cores, as many at a time as there are cores."""
    parts, cores = list(bands(*size)), os.cpu_count() or 1
    for first in range(0, len(parts), cores):
        group = parts[first : first + cores]
        yield from zip(group, in_threads(compute, group), strict=True)


class _Mixed:
    """The result, of the kind of the picture's values, [H, W, 4]."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        kind = picture.values.dtype
        # For floats in the layout of the picture, which NumPy copies fastest.
        as_picture = kind == np.float32 and picture.values.shape[2] == 4
        self.values = np.empty_like(picture.values) if as_picture else np.empty((*picture.values.shape[:2], 4), kind)

    def mix(
        self, rows: slice, paint: np.ndarray, blend: BlendSettings, difference: LuminanceDifference | None = None
    ) -> None:
        """Mix rows of the painting, float32 [rows, W, 3], into the picture's."""

        def mix(part: slice, paint: np.ndarray) -> None:
            darker = difference.rows(part) if difference else None
            if self.values.dtype == np.float32:
                composite_rows(self._picture, part, paint, blend, darker, self.values[part])
                return
            planes = np.empty((4, *paint.shape[:2]), np.float32)
            composite_rows(self._picture, part, paint, blend, darker, planes.transpose(1, 2, 0))
            planes *= np.float32(WHITES[self.values.dtype.type])
            planes += np.float32(0.5)
            for channel, plane in enumerate(planes):
                np.copyto(self.values[part, :, channel], plane, casting="unsafe")

        _in_bands(rows, mix, paint)


class _Kept:
    """A whole painting: as floats for a picture of floats, else in 16 bits, which is finer than the result."""

    def __init__(self, picture: Picture) -> None:
        kind = np.float32 if picture.values.dtype == np.float32 else np.uint16
        # In memory like a network's output: the last bit of a luminance depends on that.
        self._pixels = np.empty((3, picture.height, picture.width), kind).transpose(1, 2, 0)

    def keep(self, rows: slice, paint: np.ndarray) -> None:
        """Keep rows, float32 [rows, W, 3]."""
        if self._pixels.dtype != np.float32:
            paint = paint * np.float32(WHITES[np.uint16]) + np.float32(0.5)
        np.copyto(self._pixels[rows], paint, casting="unsafe")

    def rows(self, rows: slice) -> np.ndarray:
        """Return rows, float32 [rows, W, 3]."""
        part: np.ndarray = self._pixels[rows]
        return part if part.dtype == np.float32 else part / np.float32(WHITES[np.uint16])


def _in_bands(rows: slice, work: Callable[[slice, np.ndarray], object], paint: np.ndarray) -> None:
    """Call ``work`` on all cores with bands of ``rows`` and their parts of ``paint``."""

    def on_band(part: slice) -> None:
        work(slice(rows.start + part.start, rows.start + part.stop), paint[part])

    in_threads(on_band, bands(*paint.shape[:2]))
