"""Edit Again: the record on a painted layer, and a new painting in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.host.checks import (
    AGAIN,
    ROUNDING,
    assert_refused,
    negative,
    noise_pixels,
    pixels,
    raw_pixels,
    require_torch,
)
from tests.host.gimp import Session
from tests.style_files import style_with_metadata


def paint_again(session: Session, image: int, *layers: int, **arguments) -> dict:
    return session.call("run", procedure=AGAIN, image=image, drawables=list(layers), **arguments)


@pytest.fixture
def painting(session):
    """An image, its photo, and a painting of the selected part of the photo at 50 %."""
    image, photo = session.call("new_image", pixels=noise_pixels(), canvas=(100, 80), offset=(33, 21))
    session.call("select", image=image, rectangle=(33 + 12, 21 + 12, 5, 7))
    result = session.call("run", image=image, drawables=[photo], style="negative", strength=50.0)
    assert result["status"] == "success", result["message"]
    yield image, photo, result["layer"]
    session.call("delete", image=image)


def test_repainting_replaces_the_old_painting(session, painting):
    image, photo, old = painting
    raw, mask = raw_pixels(session, photo), session.call("layer_mask", layer=old)
    session.call("call_method", item=old, method="set_opacity", arguments=[40.0])
    before = session.call("describe_layer", layer=old)
    session.call("select", image=image, rectangle=(0, 0, 50, 30))  # is ignored
    result = paint_again(session, image, old, style="negative")
    assert result["status"] == "success", result["message"]
    new = result["layer"]
    assert session.call("describe_layer", layer=new) == before | {"name": "Neural Style: Negative, 100 %"}
    assert before["opacity"] == pytest.approx(40, abs=0.3)
    assert session.call("describe_image", image=image)["layers"] == ["Neural Style: Negative, 100 %", "photo"]
    assert session.call("describe_image", image=image)["selected"] == [new]
    assert np.abs(pixels(session, new) - negative(pixels(session, photo))).max() <= ROUNDING["U8"]
    assert (session.call("layer_mask", layer=new) == mask).all() and mask.sum() == 5 * 7
    assert (raw_pixels(session, photo) == raw).all()


def test_repainting_uses_the_current_photo(session, painting):
    image, photo, old = painting
    session.call("call_method", item=photo, method="resize", arguments=[50, 20, 4, -3])
    result = paint_again(session, image, old, style="negative")
    assert result["status"] == "success", result["message"]
    facts = session.call("describe_layer", layer=result["layer"])
    assert (facts["size"], facts["offset"]) == ((50, 20), (33 - 4, 21 + 3))
    seen, painted = pixels(session, photo), pixels(session, result["layer"])
    assert (painted[..., 3] == seen[..., 3]).all()
    assert np.abs(painted - negative(seen))[seen[..., 3] > 0].max() <= ROUNDING["U8"]


def test_repainting_above_keeps_a_custom_name(session, painting):
    image, _, old = painting
    session.call("call_method", item=old, method="set_name", arguments=["mine"])
    result = paint_again(session, image, old, style="negative", output="layer", strength=25.0)
    assert session.call("describe_image", image=image)["layers"] == ["mine #1", "mine", "photo"]
    assert paint_again(session, image, result["layer"], style="negative", strength=75.0)["status"] == "success"
    assert session.call("describe_image", image=image)["layers"] == ["mine #1", "mine", "photo"]


def test_painting_of_a_painting_can_be_repainted_after_the_first(session, painting):
    image, _, first = painting
    second = session.call("run", image=image, drawables=[first], style="negative")["layer"]
    assert paint_again(session, image, first, style="negative", strength=0.0)["status"] == "success"
    assert paint_again(session, image, second, style="negative")["status"] == "success"


def test_last_values_paint_the_photo_of_a_selected_painting(session, painting):
    image, photo, old = painting
    session.call("select", image=image, rectangle=(0, 0, 100, 80))
    expected = session.call("run", image=image, drawables=[photo])["layer"]
    session.call("call_method", item=old, method="set_offsets", arguments=[1, 2])
    result = session.call("run", image=image, drawables=[old], run_mode="WITH_LAST_VALS")
    assert result["status"] == "success", result["message"]
    assert (raw_pixels(session, result["layer"]) == raw_pixels(session, expected)).all()
    new, source = (session.call("describe_layer", layer=layer) for layer in (result["layer"], photo))
    assert new["offset"] == source["offset"]
    assert new["position"] == session.call("describe_layer", layer=old)["position"] - 1 == 0


def test_scripts_paint_a_selected_painting_as_given(session, painting):
    image, _, old = painting
    session.call("select", image=image, rectangle=(0, 0, 100, 80))
    before = pixels(session, old)
    result = session.call("run", image=image, drawables=[old], style="negative")
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() <= ROUNDING["U8"]


def test_painting_without_its_photo_is_painted_itself(session, painting):
    image, photo, old = painting
    session.call("select", image=image, rectangle=(0, 0, 100, 80))
    session.call("remove", layer=photo)
    before = pixels(session, old)
    (new,) = session.call("paint_from_sources", drawables=[old], style="negative")
    assert np.abs(pixels(session, new) - negative(before)).max() <= ROUNDING["U8"]


def test_photo_selected_with_its_painting_is_painted_once_above_both(session, painting):
    image, photo, old = painting
    session.call("select", image=image, rectangle=(0, 0, 100, 80))
    layers = session.call("paint_from_sources", drawables=[photo, old], style="negative")
    assert session.call("describe_image", image=image)["layers"] == [
        "Neural Style: Negative, 100 %",
        "Neural Style: Negative, 50 %",
        "photo",
    ]
    assert session.call("describe_image", image=image)["selected"] == layers
    # It can be edited again, because its record names the photo.
    assert paint_again(session, image, *layers, style="negative")["status"] == "success"


def test_photo_is_painted_into_the_selected_part_of_its_painting(session, painting):
    image, photo, old = painting
    session.call("call_method", item=old, method="set_offsets", arguments=[33 - 4, 21 + 3])
    before, photo_before = pixels(session, old), raw_pixels(session, photo)
    session.call("select", image=image, rectangle=(33 + 18, 21 + 6, 9, 30))
    selected = session.call("selection", drawable=old) > 0
    arguments = {"style": "negative", "output": "in-place"}
    assert session.call("paint_from_sources", drawables=[old], **arguments) == [old]
    after, height = pixels(session, old), before.shape[0]
    # Where the photo lies below the painting; the rest of the painting stays.
    expected, inside = before.copy(), selected.copy()
    expected[: height - 3, 4:] = negative(pixels(session, photo))[3:, :-4]
    inside[height - 3 :] = inside[:, :4] = False
    assert inside.sum() > 100
    assert np.abs(after - expected)[inside].max() <= ROUNDING["U8"]
    assert (after[~inside] == before[~inside]).all()
    assert (raw_pixels(session, photo) == photo_before).all()
    assert paint_again(session, image, old, style="negative")["status"] == "success"


def test_new_image_shows_the_photo_of_a_painting_painted(session, painting):
    image, photo, old = painting
    session.call("select", image=image, rectangle=(0, 0, 100, 80))
    (new,) = session.call("paint_from_sources", drawables=[old], style="negative", output="image")
    assert np.abs(pixels(session, new) - negative(pixels(session, photo))).max() <= ROUNDING["U8"]
    session.call("delete", image=session.call("describe_layer", layer=new)["image"])


def test_record_survives_saving_as_xcf(session, painting, tmp_path):
    image, _, _ = painting
    loaded, (old, photo) = session.call("save_and_load", image=image, path=str(tmp_path / "painting.xcf"))
    result = paint_again(session, loaded, old, style="negative")
    assert result["status"] == "success", result["message"]
    assert np.abs(pixels(session, result["layer"]) - negative(pixels(session, photo))).max() <= ROUNDING["U8"]
    session.call("delete", image=loaded)


def test_painting_in_a_duplicated_image_can_be_repainted(session, painting):
    """The duplicate numbers its layers anew, so the number in the record is another layer's, or none's."""
    image, photo, old = painting
    session.call("remove", layer=session.call("add_layer", image=image, pixels=noise_pixels(), name="gone"))
    second = session.call("run", image=image, drawables=[photo], style="negative", strength=10.0)["layer"]
    session.call("add_layer", image=image, pixels=noise_pixels(), name="on top")
    session.call("remove", layer=old)
    duplicate, (_, copy, original) = session.call("duplicate_image", image=image)
    before = pixels(session, original)
    result = paint_again(session, duplicate, copy, style="negative")
    assert result["status"] == "success", result["message"]
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() <= ROUNDING["U8"]
    session.call("remove", layer=original)
    assert_refused(paint_again(session, duplicate, result["layer"], style="negative"), "not a layer of this image")
    assert paint_again(session, image, second, style="negative")["status"] == "success"
    session.call("delete", image=duplicate)


def test_changed_style_is_named_when_it_is_used_again(gimp, variables, home, tmp_path):
    style = home / "styles" / "changing.onnx"
    style_with_metadata(style, {"name": "changing"})
    with Session(gimp.console, variables, tmp_path / "gimp.log") as session:
        image, photo = session.call("new_image", pixels=noise_pixels())
        layer = session.call("run", image=image, drawables=[photo], style="changing")["layer"]
        again = paint_again(session, image, layer, style="changing")
        assert "has changed since" not in session.log()
        style_with_metadata(style, {"name": "changing", "year": "2026"})
        assert paint_again(session, image, again["layer"], style="negative")["status"] == "success"
        assert "has changed since" not in session.log()
        layer = session.call("run", image=image, drawables=[photo], style="changing")["layer"]
        style_with_metadata(style, {"name": "changing", "year": "2027"})
        assert paint_again(session, image, layer, style="changing")["status"] == "success"
        assert session.log().count("The style has changed since 'Neural Style: Negative, 100 %' was painted") == 1
    style.unlink()


def test_record_of_an_older_version_names_its_source(session, painting):
    image, photo, old = painting
    session.call("make_record_older", layer=old)
    result = paint_again(session, image, old, style="negative")
    assert result["status"] == "success", result["message"]
    assert np.abs(pixels(session, result["layer"]) - negative(pixels(session, photo))).max() <= ROUNDING["U8"]


def test_kept_render_is_mixed_again_unless_something_that_it_depends_on_changed(session, variables, features, tmp_path):
    """Also after the image was saved and loaded. The log says whether a render was made."""
    require_torch()
    style, log = tmp_path / "style.png", Path(variables["GIMP3_DIRECTORY"], "neural-style.log")
    Image.effect_noise((60, 50), 90).convert("RGB").save(style)
    image, photo = session.call("new_image", pixels=noise_pixels(alpha=False))
    render = {"style_image": str(style), "features": features, "size": 64, "iterations": 3}

    def edit(layer: int, **settings) -> tuple[int, bool]:
        """Edit a painting; return the new one, and whether it was rendered."""
        result = paint_again(session, image, layer, **render | settings)
        assert result["status"] == "success", result["message"]
        return result["layer"], " render " in log.read_text(encoding="utf-8").split("\n\n")[-2]

    first = session.call("run", image=image, drawables=[photo], **render)["layer"]
    assert " render " in log.read_text(encoding="utf-8").split("\n\n")[-2]
    before, whole = pixels(session, photo), pixels(session, first)
    half, rendered = edit(first, strength=50.0)
    assert not rendered and np.abs(pixels(session, half) - (before + whole) / 2).max() <= 2 / 255
    again, rendered = edit(half)
    assert not rendered and np.abs(pixels(session, again) - whole).max() <= 2 / 255

    image, (layer, photo) = session.call("save_and_load", image=image, path=str(tmp_path / "kept.xcf"))
    layer, rendered = edit(layer, keep_colors=True)
    assert not rendered and np.abs(pixels(session, layer) - whole).mean() > 0.01
    layer, rendered = edit(layer, iterations=4)
    assert rendered
    Image.effect_noise((60, 50), 30).convert("RGB").save(style)
    layer, rendered = edit(layer, iterations=4)
    assert rendered
    session.call("call_method", item=photo, method="resize", arguments=[40, 29, 0, 0])
    layer, rendered = edit(layer, iterations=4)
    assert rendered and not edit(layer, iterations=4, strength=10.0)[1]


def test_repainting_errors_say_why(session, painting):
    image, photo, old = painting
    assert_refused(paint_again(session, image, photo), "'photo' was not painted", "Filters > Artistic > Neural Style")
    assert_refused(paint_again(session, image, old, style="negativ"), "did you mean negative")
    assert_refused(paint_again(session, image, old, output="in-place"), "'in-place'", "replace, layer")
    assert_refused(paint_again(session, image, old, strength=101.0), "from 0 to 100")
    session.call("call_method", item=old, method="set_lock_content", arguments=[True])
    assert_refused(paint_again(session, image, old, style="negative"), "locked")
    session.call("call_method", item=old, method="set_lock_content", arguments=[False])
    session.call("remove", layer=photo)
    assert_refused(paint_again(session, image, old, style="negative"), "not a layer of this image")
    assert session.call("describe_image", image=image)["layers"] == ["Neural Style: Negative, 50 %"]


def test_painting_in_a_new_image_cannot_be_repainted(session, painting):
    image, photo, _ = painting
    result = session.call("run", image=image, drawables=[photo], style="negative", output="image")
    new = session.call("describe_layer", layer=result["layer"])["image"]
    assert_refused(paint_again(session, new, result["layer"], style="negative"), "not a layer of this image")
    session.call("delete", image=new)


def test_layer_painted_in_place_has_a_record_but_no_source(session, painting):
    image, photo, _ = painting
    assert_refused(paint_again(session, image, photo), "'photo' was not painted")
    session.call("run", image=image, drawables=[photo], style="negative", output="in-place", strength=30.0)
    assert session.call("recorded_settings", layer=photo)["strength"] == 30.0
    assert_refused(paint_again(session, image, photo, style="negative"), "'photo'", "not a layer of this image")
