import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nst_core.base.errors import StyleError
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import MOST_PICTURES, freedom_maps, paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.machine.memory import TooLargeError
from plugin.engine.progress import StoppedError, Stopper

CPU = InstantSettings(fast=FastSettings(device="cpu"))


def flat(colour, height, width):
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = colour
    return Picture(pixels)


def test_painting_takes_the_styles_colours(photo, style):
    painted = paint_instantly(photo, {style: 1.0}, CPU).pixels
    assert painted.shape == photo.pixels.shape and painted[..., 3].min() == 1
    means = [pixels[..., :3].mean((0, 1)) for pixels in (painted, style.pixels, photo.pixels)]
    assert np.abs(means[0] - means[1]).max() < 0.5 * np.abs(means[2] - means[1]).max()


def test_painting_follows_the_photos_shapes(read, style):
    """The painting of the mirrored photo looks like the mirrored painting."""
    photo = read("chelsea.jpg", 288)
    mirrored = Picture(np.ascontiguousarray(photo.pixels[:, ::-1]))
    painted, other = (paint_instantly(entry, {style: 1.0}, CPU).pixels[..., :3].mean(2) for entry in (photo, mirrored))
    turned, unturned = (np.corrcoef(other.ravel(), entry.ravel())[0, 1] for entry in (painted[:, ::-1], painted))
    assert turned > 0.1 and turned > unturned + 0.1


def test_painting_is_the_same_to_the_bit_with_and_without_the_cache(photo, style, home):
    first = paint_instantly(photo, {style: 1.0}, CPU).pixels
    assert len(list((home / "cache" / "styles").glob("*.npz"))) == 1
    second = paint_instantly(photo, {style: 1.0}, CPU).pixels
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (33, 47), (300, 2)])
def test_any_size_is_painted(height, width, style):
    pixels = np.random.default_rng(0).random((height, width, 4), np.float32)
    painted = paint_instantly(Picture(pixels), {style: 1.0}, CPU).pixels
    assert painted.shape == pixels.shape and np.isfinite(painted).all()
    assert np.array_equal(painted[..., 3], pixels[..., 3])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 900), (20, 20)])
def test_any_size_of_style_is_used(height, width, photo):
    pixels = np.random.default_rng(0).random((height, width, 4), np.float32)
    assert np.isfinite(paint_instantly(photo, {Picture(pixels): 1.0}, CPU).pixels).all()


def test_style_of_one_colour_paints_it_and_says_so(photo):
    result = paint_instantly(photo, {flat((0.2, 0.5, 0.3), 64, 64): 1.0}, CPU)
    assert any("one colour" in note for note in result.notes)
    assert np.abs(result.pixels[..., :3].mean((0, 1)) - (0.2, 0.5, 0.3)).max() < 0.08
    assert result.pixels[16:-16, 16:-16, :3].std((0, 1)).max() < 0.05


def test_shares_mix_styles(photo):
    dark, light = flat((0.1, 0.1, 0.1), 64, 64), flat((0.9, 0.9, 0.9), 64, 64)
    means = [
        paint_instantly(photo, {dark: share, light: 1 - share}, CPU).pixels[..., :3].mean()
        for share in (0.99, 0.5, 0.01)
    ]
    assert means[0] < means[1] - 0.1 < means[2] - 0.2


def test_too_many_styles_are_refused(photo):
    styles = {flat(number / 10, 4, 4): 1 / 9 for number in range(MOST_PICTURES + 1)}
    with pytest.raises(StyleError, match="9 style pictures are too many; give at most 8"):
        paint_instantly(photo, styles, CPU)


def test_strength_and_alpha_are_those_of_a_trained_style(photo, style):
    untouched = replace(CPU, fast=FastSettings(device="cpu", blend=BlendSettings(strength=0.0)))
    assert np.array_equal(paint_instantly(photo, {style: 1.0}, untouched).pixels, photo.pixels)
    pixels = photo.pixels.copy()
    pixels[:10, :, 3] = 0
    painted = paint_instantly(Picture(pixels), {style: 1.0}, CPU).pixels
    assert np.array_equal(painted[:10], pixels[:10])


def test_stroke_size_motifs_and_brushwork_change_the_picture(photo, style):
    settings = [
        CPU,
        replace(CPU, motifs=0.0),
        replace(CPU, brushwork=0.0),
        replace(CPU, fast=FastSettings(device="cpu", stroke_size=150.0)),
    ]
    first, *others = (paint_instantly(photo, {style: 1.0}, entry).pixels for entry in settings)
    assert min(np.abs(first - other).mean() for other in others) > 0.005


def test_style_is_less_free_in_detailed_areas():
    seen = np.full((192, 256, 3), 0.5, np.float32)
    seen[:, 128:] += np.random.default_rng(0).normal(0, 0.2, (192, 128, 1)).astype(np.float32)
    for detail, least in ((100.0, 0.0), (60.0, 0.4)):
        maps = freedom_maps(seen, detail)
        assert list(maps) == [5, 4]
        for free in maps.values():
            middle = free.shape[1] // 2
            assert free[:, : middle - 3].min() > 0.99 and least <= free[:, middle + 3 :].min() < least + 0.1
    assert all((free == 1).all() for free in freedom_maps(seen, 0.0).values())


def test_more_detail_keeps_more_of_the_photo(read, style):
    photo = read("chelsea.jpg", 200)
    likeness = []
    for detail in (0.0, 100.0):
        settings = replace(CPU, fast=FastSettings(device="cpu", detail=detail))
        painted = paint_instantly(photo, {style: 1.0}, settings).pixels[..., :3].mean(2)
        likeness.append(np.corrcoef(painted.ravel(), photo.pixels[..., :3].mean(2).ravel())[0, 1])
    assert likeness[1] > likeness[0] + 0.05


def test_picture_that_does_not_fit_is_refused(style, monkeypatch):
    monkeypatch.setattr("plugin.engine.machine.memory.available_memory", lambda: 300 * 2**20)
    monkeypatch.setattr("plugin.engine.machine.memory.give_back_freed_memory", lambda: None)
    with pytest.raises(TooLargeError, match="make it smaller"):
        paint_instantly(flat(0.5, 1000, 1000), {style: 1.0}, CPU)


def test_stopper_stops_within_a_level(photo, style):
    stopper, stages = Stopper(), []

    def progress(step):
        stages.append(step.fraction)
        if step.fraction > 0.3:
            stopper.stop()
        return True

    with pytest.raises(StoppedError):
        paint_instantly(photo, {style: 1.0}, CPU, progress, stopper)
    assert stages == sorted(stages) and stages[-1] < 0.6


@pytest.mark.parametrize("setting", ["motifs", "brushwork"])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(StyleError, match=f"{setting} is 101 %; give a number from 0 to 100"):
        InstantSettings(**{setting: 101.0})


def test_torch_is_not_imported():
    code = (
        "import sys, numpy as np;"
        "from plugin.engine.imaging.picture import Picture;"
        "from plugin.engine.instant.instant_painting import paint_instantly;"
        "p = Picture(np.random.default_rng(0).random((40, 40, 4), np.float32));"
        "paint_instantly(p, {p: 1.0});"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 0
