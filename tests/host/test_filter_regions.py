"""The filter in a real GIMP: a style for each region, and less of it where something is protected."""

from __future__ import annotations

import numpy as np
import pytest

from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.picture import Picture
from plugin.engine.regions.masks import feathered, protected
from plugin.engine.regions.region_painting import Region, TrainedStyles, paint_regions
from plugin.engine.regions.region_settings import RegionSettings
from tests.host.checks import HEIGHT, RECTANGLE, ROUNDING, WIDTH, assert_refused, in_rectangle, noise_pixels, pixels

FEATHER = 3
OFFSET = (2, 1)


def boxes(*rectangles):
    """The masks of rectangles in the layer."""
    return [in_rectangle((HEIGHT, WIDTH), rectangle).astype(np.float32) for rectangle in rectangles]


def on_canvas(mask):
    """A mask of the layer as a channel of the larger image."""
    channel = np.zeros((HEIGHT + 5, WIDTH + 7), np.float32)
    channel[OFFSET[1] : OFFSET[1] + HEIGHT, OFFSET[0] : OFFSET[0] + WIDTH] = mask
    return channel


@pytest.fixture
def photo(session):
    """An image with two channels, and a layer that is smaller than the image."""
    before = noise_pixels(alpha=False)
    image, layer = session.call("new_image", pixels=before, alpha=False, canvas=(WIDTH + 7, HEIGHT + 5), offset=OFFSET)
    before = pixels(session, layer)
    for name, mask in zip(("sky", "house"), masks(), strict=True):
        session.call("add_channel", image=image, name=name, values=on_canvas(mask))
    return image, layer, before


def masks():
    return boxes((0, 0, WIDTH, 12), (10, 12, 20, HEIGHT - 12))


@pytest.mark.parametrize("output", ["layer", "in-place", "image"])
def test_two_channels_have_styles_and_the_selection_is_protected_in_one_run(session, photo, output):
    image, layer, before = photo
    session.call("select", image=image, rectangle=(RECTANGLE[0] + OFFSET[0], RECTANGLE[1] + OFFSET[1], *RECTANGLE[2:]))
    selected = session.call("selected_pixels", image=image)
    result = session.call(
        "run",
        image=image,
        drawables=[layer],
        regions="channel:sky=great-wave\nchannel:house=udnie\neverything=none",
        protect="selection",
        protected_strength=20.0,
        feather=FEATHER,
        output=output,
    )
    assert result["status"] == "success", result["message"]
    sky, house = masks()
    (face,) = boxes(RECTANGLE)
    picture = protected(Picture(before), feathered(face, FEATHER), 20.0)
    regions = [
        Region(sky, TrainedStyles(find_styles("great-wave"))),
        Region(house, TrainedStyles(find_styles("udnie"))),
    ]
    expected = paint_regions(picture, regions, None, RegionSettings(FEATHER)).pixels
    after = pixels(session, result["layer"])
    assert np.abs(after - expected)[..., :3].max() < ROUNDING["U8"] + 1e-3
    assert np.array_equal(session.call("selected_pixels", image=image), selected)
    if output != "image":
        assert not session.call("describe_layer", layer=result["layer"])["has_mask"]


def test_other_places_and_styles(session, photo):
    image, layer, before = photo
    (mask,) = boxes((0, 0, 15, HEIGHT))
    session.call("set_mask", layer=layer, values=mask)
    result = session.call("run", image=image, drawables=[layer], style="negative", regions="mask=none", output="layer")
    after = pixels(session, result["layer"])[..., :3]
    assert np.abs(after - before[..., :3])[:, :15].max() < ROUNDING["U8"]
    assert np.abs(after + before[..., :3] - 1)[:, 15:].max() < 2 * ROUNDING["U8"]
    session.call("select", image=image, rectangle=(OFFSET[0], OFFSET[1], 15, HEIGHT))
    result = session.call(
        "run", image=image, drawables=[layer], style="negative", regions="outside=none", output="layer"
    )
    outside = pixels(session, result["layer"])[..., :3]
    assert np.abs(outside - before[..., :3])[:, 15:].max() < ROUNDING["U8"]
    assert np.abs(outside + before[..., :3] - 1)[:, :15].max() < 2 * ROUNDING["U8"]
    whole = session.call("run", image=image, drawables=[layer], regions="alpha=udnie", output="layer")
    session.call("select_nothing", image=image)
    plain = session.call("run", image=image, drawables=[layer], style="udnie", output="layer")
    assert np.array_equal(pixels(session, whole["layer"]), pixels(session, plain["layer"]))
    painted = paint_fast(Picture(before), find_styles("udnie")).pixels
    assert np.abs(pixels(session, plain["layer"]) - painted)[..., :3].max() < ROUNDING["U8"] + 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"regions": "selection=udnie"}, ["Nothing is selected"]),
        ({"regions": "mask=udnie"}, ["has no mask"]),
        ({"regions": "channel:se=udnie"}, ["There is no channel 'se'"]),
        ({"regions": "channel:sky"}, ["is no region; write one as in channel:sky=starry-night"]),
        ({"regions": "left=udnie"}, ["There is no place 'left'"]),
        ({"regions": "channel:sky=udni"}, ["did you mean udnie"]),
        ({"regions": "\n".join(["channel:sky=udnie"] * 9)}, ["9 regions are too many"]),
        ({"protect": "everything"}, ["There is no place 'everything'"]),
        ({"feather": 2000}, ["feather", "from 0 to 1000"]),
    ],
)
def test_bad_regions_are_refused(session, photo, arguments, words):
    image, layer, _before = photo
    assert_refused(session.call("run", image=image, drawables=[layer], output="layer", **arguments), *words)
