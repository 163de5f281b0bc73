"""The filter and GIMP's kinds of pixels, layers and selections."""

from __future__ import annotations

import numpy as np
import pytest

from tests.host.filter_checks import (
    RECTANGLE,
    ROUNDING,
    assert_refused,
    in_rectangle,
    negative,
    pixels,
    raw_pixels,
    some_pixels,
    to_linear,
)


@pytest.mark.parametrize(
    ("base", "precision", "alpha"),
    [
        ("RGB", "U8_NON_LINEAR", True),
        ("RGB", "U8_NON_LINEAR", False),
        ("RGB", "U16_NON_LINEAR", False),
        ("RGB", "U16_LINEAR", True),
        ("RGB", "U32_NON_LINEAR", True),
        ("RGB", "HALF_LINEAR", True),
        ("RGB", "FLOAT_LINEAR", False),
        ("RGB", "FLOAT_NON_LINEAR", True),
        ("GRAY", "U8_NON_LINEAR", False),
        ("GRAY", "U16_NON_LINEAR", True),
        ("GRAY", "FLOAT_LINEAR", True),
    ],
)
def test_in_place_changes_only_the_selection(session, base, precision, alpha):
    image, layer = session.call(
        "new_image", pixels=some_pixels(base == "GRAY", alpha), base=base, precision=precision, alpha=alpha
    )
    session.call("select", image=image, rectangle=RECTANGLE)
    state, raw, before = (session.call("state", image=image), raw_pixels(session, layer), pixels(session, layer))

    result = session.call("run", image=image, drawables=[layer], style="negative", output="in-place")

    assert (result["status"], result["layer"]) == ("success", layer)
    assert session.call("state", image=image) == state
    raw_after, after = raw_pixels(session, layer), pixels(session, layer)
    inside = in_rectangle(before.shape, RECTANGLE)
    assert (raw_after[~inside] == raw[~inside]).all()
    assert (after[..., 3] == before[..., 3]).all()
    hidden = inside & (before[..., 3] == 0)
    assert hidden.any() == alpha
    expected = negative(before)[inside]
    rounding = next((most for kind, most in ROUNDING.items() if precision.startswith(kind)), 2e-6)
    assert np.abs(after[inside] - expected).max() <= rounding
    assert np.abs(after[inside] - before[inside]).max() > 0.5
    session.call("delete", image=image)


@pytest.mark.parametrize("profile", ["new_rgb_adobe", "new_rgb_srgb_linear"])
def test_colours_are_those_of_the_images_profile(session, profile):
    image, layer = session.call("new_image", pixels=some_pixels(), precision="U16_NON_LINEAR", profile=profile)
    before = pixels(session, layer)
    assert np.abs(before - some_pixels()).max() < 1e-3
    kept = raw_pixels(session, layer).view(np.uint16) / 65535
    assert np.abs(kept - before).max() > 0.1, "the image has the sRGB space"
    result = session.call("run", image=image, drawables=[layer], style="negative")
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() < 1e-3
    session.call("delete", image=image)


def test_a_feathered_selection_fades(session):
    image, layer = session.call("new_image", pixels=some_pixels(alpha=False), precision="FLOAT_LINEAR", alpha=False)
    session.call("select", image=image, rectangle=(10, 8, 20, 14), feather=8.0)
    mask, before = session.call("selection", drawable=layer)[..., None], pixels(session, layer)
    linear = session.call("pixels", drawable=layer, linear=True)

    assert (
        session.call("run", image=image, drawables=[layer], style="negative", output="in-place")["status"] == "success"
    )

    assert ((mask > 0.1) & (mask < 0.9)).sum() > 50
    after = session.call("pixels", drawable=layer, linear=True)
    whole = to_linear(negative(before)[..., :3])
    assert np.abs(after[..., :3] - (linear[..., :3] * (1 - mask) + whole * mask)).max() < 2e-3
    assert (after[mask[..., 0] == 0] == linear[mask[..., 0] == 0]).all()
    session.call("delete", image=image)


def test_a_single_pixel(session):
    image, layer = session.call("new_image", pixels=np.array([[[0.2, 0.4, 1, 1]]], np.float32))
    assert (
        session.call("run", image=image, drawables=[layer], style="negative", output="in-place")["status"] == "success"
    )
    assert np.abs(pixels(session, layer)[0, 0] - [0.8, 0.6, 0, 1]).max() <= ROUNDING["U8"]
    session.call("delete", image=image)


@pytest.mark.parametrize("what", ["group", "text", "mask"])
def test_what_has_no_pixels_of_its_own_gets_a_new_layer_only(session, what):
    image, layer = session.call("new_image", pixels=some_pixels(), in_group=what == "group")
    if what == "group":
        drawable = session.call("facts", layer=layer)["parent"]
    else:
        drawable = session.call("add_text", image=image) if what == "text" else session.call("add_mask", layer=layer)
    shown = layer if what == "mask" else drawable
    before, layers = pixels(session, shown), session.call("state", image=image)["layers"]

    refused = session.call("run", image=image, drawables=[drawable], style="negative", output="in-place")
    assert refused["status"] == "execution-error"
    assert "New layer above" in refused["message"]
    assert session.call("state", image=image)["layers"] == layers
    assert (pixels(session, shown) == before).all()

    result = session.call("run", image=image, drawables=[drawable], style="negative")
    assert result["status"] == "success"
    assert session.call("state", image=image)["layers"] == ["Neural Style: Negative, 100 %", *layers]
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() <= 2 * ROUNDING["U8"]
    session.call("delete", image=image)


def test_effects_are_painted_as_they_are_seen(session):
    image, layer = session.call("new_image", pixels=some_pixels(alpha=False))
    before = pixels(session, layer)
    session.call("add_inversion", layer=layer)
    result = session.call("run", image=image, drawables=[layer], style="negative")
    # The negative of the negative.
    assert np.abs(pixels(session, result["layer"]) - before).max() <= 1 / 255
    in_place = session.call("run", image=image, drawables=[layer], style="negative", output="in-place")
    assert_refused(in_place, "effects", "New layer above")
    assert (pixels(session, layer) == before).all()
    session.call("delete", image=image)
