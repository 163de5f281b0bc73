"""The filter with all kinds of pixels, layers and selections in GIMP."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.host.checks import (
    HEIGHT,
    ROUNDING,
    WIDTH,
    assert_refused,
    in_rectangle,
    negative,
    noise_pixels,
    pixels,
    raw_pixels,
    srgb_to_linear,
    write_last_values,
)

FACTORS = {
    "run_mode": ("NONINTERACTIVE", "WITH_LAST_VALS"),
    "base": ("RGB", "GRAY"),
    "precision": (
        "U8_NON_LINEAR",
        "U8_LINEAR",
        "U16_NON_LINEAR",
        "U16_LINEAR",
        "U32_NON_LINEAR",
        "U32_LINEAR",
        "HALF_NON_LINEAR",
        "HALF_LINEAR",
        "FLOAT_NON_LINEAR",
        "FLOAT_LINEAR",
    ),
    "alpha": (False, True),
    "selection": ("none", "hard", "feathered", "empty"),
    "output": ("layer", "in-place", "image"),
    "place": ("canvas", "larger", "beyond"),
}
# The size of the canvas, and the layer's offset in it.
PLACES = {
    "canvas": ((WIDTH, HEIGHT), (0, 0)),
    "larger": ((20, 18), (-9, -8)),
    "beyond": ((100, 80), (-7, 60)),
}


def all_pairs() -> list[dict]:
    """Return few cases, chosen greedily, in which every two values of different factors occur together."""
    cases = [dict(zip(FACTORS, values, strict=True)) for values in itertools.product(*FACTORS.values())]

    def pairs(case: dict) -> set:
        return set(itertools.combinations(case.items(), 2))

    wanted, chosen = set().union(*map(pairs, cases)), []
    while wanted:
        chosen.append(max(cases, key=lambda case: len(pairs(case) & wanted)))
        wanted -= pairs(chosen[-1])
    return chosen


@pytest.mark.parametrize("case", all_pairs(), ids=lambda case: "-".join(map(str, case.values())))
def test_all_pairs_of_run_mode_image_selection_and_output(session, variables, case):
    grey, precision, output = case["base"] == "GRAY", case["precision"], case["output"]
    canvas, offset = PLACES[case["place"]]
    image, layer = session.call(
        "new_image",
        pixels=noise_pixels(grey, case["alpha"]),
        base=case["base"],
        precision=precision,
        alpha=case["alpha"],
        canvas=canvas,
        offset=offset,
    )
    if case["selection"] == "empty":
        session.call("select", image=image, rectangle=(5000, 5000, 10, 10))
    elif case["selection"] != "none":
        x, y = max(offset[0], 0) + 2, max(offset[1], 0) + 2
        session.call("select", image=image, rectangle=(x, y, 16, 14), feather=4.0 * (case["selection"] == "feathered"))
    selected = case["selection"] in ("hard", "feathered")
    mask = session.call("selection", drawable=layer) if selected else np.ones((HEIGHT, WIDTH), np.float32)
    assert selected == (mask.min() == 0) and mask.max() > 0.9
    state, raw, before = session.call("describe_image", image=image), raw_pixels(session, layer), pixels(session, layer)
    layer_before = session.call("describe_layer", layer=layer)

    arguments = {"style": "negative", "output": output}
    if case["run_mode"] == "WITH_LAST_VALS":
        write_last_values(Path(variables["GIMP3_DIRECTORY"]), arguments)
        arguments = {}
    result = session.call("run", image=image, drawables=[layer], run_mode=case["run_mode"], **arguments)

    assert result["status"] == "success", result["message"]
    painted = result["layer"]
    after, facts = pixels(session, painted), session.call("describe_layer", layer=painted)
    rounding = next((most for kind, most in ROUNDING.items() if precision.startswith(kind)), 2e-6)
    # Eight linear bits are very coarse in the shadows, so the rounding is compared in linear light.
    light = srgb_to_linear if precision == "U8_LINEAR" else np.positive
    visible = before[..., 3] > 0
    if output == "layer":
        full = np.ones_like(mask, bool)
        given = session.call("layer_mask", layer=painted)
        assert given is None if not selected else (given == mask).all()
        assert facts == layer_before | {"name": facts["name"], "has_mask": selected}
    else:
        full = mask > 0.999
    assert (after[..., 3] == before[..., 3]).all()
    difference = np.abs(light(after) - light(negative(before))).max(2)
    # Where a soft selection is not quite full, GIMP blends in linear light; sRGB's slope there is at most 12.92.
    assert (difference <= rounding + 12.92 * (1 - mask) * (output != "layer"))[full & visible].all()
    assert np.abs(after - before)[full & visible].max() > 0.5
    assert np.abs(light(after) - light(before))[~visible | ((mask == 0) & ~full)].max(initial=0) <= rounding
    if output == "in-place":
        assert painted == layer and session.call("describe_image", image=image) == state
        assert (raw_pixels(session, layer) == raw)[mask == 0].all()
    else:
        assert (raw_pixels(session, layer) == raw).all()
    if output == "image":
        assert session.call("describe_image", image=image) == state
        assert (facts["size"], facts["offset"]) == ((WIDTH, HEIGHT), (0, 0))
        session.call("delete", image=facts["image"])
    session.call("delete", image=image)


def test_selected_part_matches_the_whole_painting(session):
    """A selection does not change what the network sees: a painted part equals that part of the whole painting."""
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        photo.thumbnail((120, 120))
        before = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    image, layer = session.call("new_image", pixels=before, alpha=False)
    whole = session.call("run", image=image, drawables=[layer])["layer"]
    session.call("select", image=image, rectangle=(40, 30, 30, 25))
    session.call("run", image=image, drawables=[layer], output="in-place")
    inside = in_rectangle(before.shape, (40, 30, 30, 25))
    # Raw bytes, because the floats that babl makes of them may differ in the last bit with and without alpha.
    assert (raw_pixels(session, layer) == raw_pixels(session, whole)[..., :3])[inside].all()
    assert np.abs(pixels(session, layer) - before)[inside].mean() > 0.05
    session.call("delete", image=image)


@pytest.mark.parametrize("profile", ["new_rgb_adobe", "new_rgb_srgb_linear"])
def test_colours_follow_the_image_profile(session, profile):
    image, layer = session.call("new_image", pixels=noise_pixels(), precision="U16_NON_LINEAR", profile=profile)
    before = pixels(session, layer)
    assert np.abs(before - noise_pixels()).max() < 1e-3
    encoded = raw_pixels(session, layer).view(np.uint16) / 65535
    assert np.abs(encoded - before).max() > 0.1, "the image has the sRGB space"
    result = session.call("run", image=image, drawables=[layer], style="negative")
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() < 1e-3
    session.call("delete", image=image)


def test_feathered_selection_blends_in_linear_light(session):
    image, layer = session.call("new_image", pixels=noise_pixels(alpha=False), precision="FLOAT_LINEAR", alpha=False)
    session.call("select", image=image, rectangle=(10, 8, 20, 14), feather=8.0)
    mask, before = session.call("selection", drawable=layer)[..., None], pixels(session, layer)
    linear = session.call("pixels", drawable=layer, linear=True)

    assert (
        session.call("run", image=image, drawables=[layer], style="negative", output="in-place")["status"] == "success"
    )

    assert ((mask > 0.1) & (mask < 0.9)).sum() > 50
    after = session.call("pixels", drawable=layer, linear=True)
    whole = srgb_to_linear(negative(before)[..., :3])
    assert np.abs(after[..., :3] - (linear[..., :3] * (1 - mask) + whole * mask)).max() < 2e-3
    assert (after[mask[..., 0] == 0] == linear[mask[..., 0] == 0]).all()
    session.call("delete", image=image)


def test_photo_shines_through_the_edge_of_two_soft_paintings_but_not_of_one(session):
    """As the help page says: paint the whole photo, then a part; not a part and then the rest."""
    image, layer = session.call("new_image", pixels=noise_pixels(alpha=False), precision="FLOAT_LINEAR", alpha=False)
    photo = session.call("pixels", drawable=layer, linear=True)[..., :3]
    painted = srgb_to_linear(negative(pixels(session, layer))[..., :3])
    session.call("select", image=image, rectangle=(10, 8, 20, 14), feather=8.0)
    mask = session.call("selection", drawable=layer)[..., None]
    part = session.call("run", image=image, drawables=[layer], style="negative")["layer"]
    session.call("invert_selection", image=image)
    session.call("run", image=image, drawables=[layer], style="negative")
    seen_through = mask * (1 - mask)
    assert seen_through.max() > 0.2
    shown = srgb_to_linear(session.call("composite", image=image)[..., :3])
    assert np.abs(shown - (painted * (1 - seen_through) + photo * seen_through)).max() < 5e-3
    # The whole photo below the soft part.
    session.call("select_nothing", image=image)
    session.call("remove", layer=session.call("describe_image", image=image)["selected"][0])
    session.call("run", image=image, drawables=[layer], style="negative")
    assert session.call("describe_layer", layer=part)["position"] == 0
    shown = srgb_to_linear(session.call("composite", image=image)[..., :3])
    assert np.abs(shown - painted).max() < 2e-3
    session.call("delete", image=image)


def test_single_pixel_layer(session):
    image, layer = session.call("new_image", pixels=np.array([[[0.2, 0.4, 1, 1]]], np.float32))
    assert (
        session.call("run", image=image, drawables=[layer], style="negative", output="in-place")["status"] == "success"
    )
    assert np.abs(pixels(session, layer)[0, 0] - [0.8, 0.6, 0, 1]).max() <= ROUNDING["U8"]
    session.call("delete", image=image)


@pytest.mark.parametrize("precision", ["FLOAT_LINEAR", "HALF_NON_LINEAR"])
def test_highlights_above_one_stay_where_strength_leaves_the_photo(session, precision):
    bright = noise_pixels(alpha=False)
    bright[3, 4, :3], bright[5, 6, :3] = (4, 0.5, 2), np.nan
    image, layer = session.call("new_image", pixels=bright, precision=precision, alpha=False)
    before = pixels(session, layer)
    assert before[3, 4, 0] == pytest.approx(4, rel=2e-3) and np.isnan(before[5, 6, :3]).all()
    half = pixels(
        session, session.call("run", image=image, drawables=[layer], style="negative", strength=50.0)["layer"]
    )
    # The negative of what is above 1 is 0, because the network sees it as 1.
    assert half[3, 4, :3] == pytest.approx([2, 0.5, 1], rel=2e-3)
    whole = pixels(session, session.call("run", image=image, drawables=[layer], style="negative")["layer"])
    assert whole[3, 4, :3] == pytest.approx([0, 0.5, 0], abs=2e-3)
    assert np.isfinite(half).all() and np.isfinite(whole).all()
    session.call("run", image=image, drawables=[layer], style="negative", strength=0.0, output="in-place")
    np.testing.assert_allclose(pixels(session, layer), before, rtol=1e-4)
    session.call("delete", image=image)


@pytest.mark.parametrize("what", ["group", "text", "mask", "vector", "link"])
def test_layer_without_own_pixels_is_painted_as_new_layer_only(session, what):
    image, layer = session.call("new_image", pixels=noise_pixels(), in_group=what == "group")
    if what == "group":
        drawable = session.call("describe_layer", layer=layer)["parent"]
    elif what == "mask":
        drawable = session.call("add_mask", layer=layer)
    elif what == "link":
        drawable = session.call("add_link", image=image, path=str(SAMPLES / "rocket.jpg"))
    else:
        drawable = session.call(f"add_{what}", image=image)
    if drawable is None:
        pytest.skip("GIMP 3.0 has no such layers")
    shown = layer if what == "mask" else drawable
    before, layers = pixels(session, shown), session.call("describe_image", image=image)["layers"]

    refused = session.call("run", image=image, drawables=[drawable], style="negative", output="in-place")
    assert refused["status"] == "execution-error"
    assert "New layer above" in refused["message"]
    assert session.call("describe_image", image=image)["layers"] == layers
    assert (pixels(session, shown) == before).all()

    result = session.call("run", image=image, drawables=[drawable], style="negative")
    assert result["status"] == "success"
    assert session.call("describe_image", image=image)["layers"] == ["Neural Style: Negative, 100 %", *layers]
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() <= 2 * ROUNDING["U8"]
    session.call("delete", image=image)


def test_layer_effects_are_included_in_the_painting(session):
    image, layer = session.call("new_image", pixels=noise_pixels(alpha=False))
    before = pixels(session, layer)
    session.call("add_inversion", layer=layer)
    result = session.call("run", image=image, drawables=[layer], style="negative")
    # The negative of the inverted layer is the layer itself.
    assert np.abs(pixels(session, result["layer"]) - before).max() <= 1 / 255
    in_place = session.call("run", image=image, drawables=[layer], style="negative", output="in-place")
    assert_refused(in_place, "effects", "New layer above")
    assert (pixels(session, layer) == before).all()
    session.call("delete", image=image)
