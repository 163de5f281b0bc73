"""The filter in a real GIMP, without its dialog: what it offers, its settings, and where the painting goes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from nst_core.base.iterative_settings import IterativeSettings
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.instant.style_reading import read_style_picture
from tests.conftest import SAMPLES
from tests.host.checks import (
    AGAIN,
    FILTER,
    HEIGHT,
    RECTANGLE,
    ROUNDING,
    WIDTH,
    assert_refused,
    find_child,
    in_rectangle,
    negative,
    noise_pixels,
    pixels,
    raw_pixels,
    require_torch,
    wait_until,
)
from tests.host.gimp import Session


@pytest.mark.parametrize(("procedure", "label"), [(FILTER, "_Neural Style…"), (AGAIN, "Neural Style: E_dit Again…")])
def test_procedures_are_in_the_menu(session, procedure, label):
    described = session.call("describe_procedure", procedure=procedure)
    assert described["menu_paths"] == ["<Image>/Filters/Artistic"]
    assert described["menu_label"] == label
    assert described["image_types"] == "RGB*, GRAY*"


def test_argument_defaults_match_the_engine(session):
    defaults = session.call("describe_procedure")["defaults"]
    engine = vars(FastSettings()) | vars(BlendSettings())
    for name in ("strength", "stroke-size", "full-resolution", "keep-colors"):
        assert defaults[name] == engine[name.replace("-", "_")]
    assert defaults["size"] == IterativeSettings().size
    assert defaults["iterations"] == IterativeSettings().iterations
    assert defaults["style"] == "great-wave"


def test_default_style_paints_like_the_engine(session):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        photo.thumbnail((130, 130))
        before = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    image, layer = session.call("new_image", pixels=before, alpha=False)
    result = session.call("run", image=image, drawables=[layer])
    styles = find_styles("great-wave")
    assert session.call("describe_image", image=image)["layers"] == [
        "Neural Style: The Great Wave off Kanagawa, 100 %",
        "photo",
    ]
    painted = paint_fast(Picture(before), styles).pixels
    assert np.abs(pixels(session, result["layer"]) - painted).max() <= 2 * ROUNDING["U8"]
    session.call("delete", image=image)


def test_stroke_size_and_kept_colours_match_the_engine(session):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        photo.thumbnail((130, 130))
        before = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    image, layer = session.call("new_image", pixels=before, alpha=False)
    for settings in (FastSettings(stroke_size=150), FastSettings(blend=BlendSettings(keep_colors=True))):
        arguments = {"stroke_size": settings.stroke_size, "keep_colors": settings.blend.keep_colors}
        result = session.call("run", image=image, drawables=[layer], **arguments)
        painted = paint_fast(Picture(before), find_styles("great-wave"), settings).pixels
        assert np.abs(pixels(session, result["layer"]) - painted).max() <= 2 * ROUNDING["U8"]
    session.call("delete", image=image)


def test_style_picture_is_painted_at_once_on_request(session, tmp_path):
    """A format that only GIMP reads serves as well."""
    path, only_gimp = tmp_path / "painting.png", tmp_path / "painting.xcf"
    with Image.open(SAMPLES / "rocket.jpg") as painting:
        small = painting.resize((200, 150))
    small.save(path)
    full = np.dstack([np.array(small), np.full((150, 200), 255)]).astype(np.float32) / 255
    image, _ = session.call("new_image", pixels=full, alpha=False)
    session.call("save_and_load", image=image, path=str(only_gimp))
    image, layer = session.call("new_image", pixels=noise_pixels())
    before = pixels(session, layer)
    settings = InstantSettings(30, 70, FastSettings(stroke_size=150, blend=BlendSettings(keep_colors=True)))
    painted = paint_instantly(Picture(before), {read_style_picture(path): 1.0}, settings).pixels
    arguments = {"method": "instant", "motifs": 30.0, "brushwork": 70.0, "stroke_size": 150.0, "keep_colors": True}
    for file in (path, only_gimp):
        result = session.call("run", image=image, drawables=[layer], style_image=str(file), **arguments)
        assert result["status"] == "success", result["message"]
        assert np.abs(pixels(session, result["layer"]) - painted).max() <= 2 * ROUNDING["U8"]
    assert_refused(
        session.call("run", image=image, drawables=[layer], style_image=str(path), method="quick"),
        "no method 'quick'",
    )
    session.call("delete", image=image)


@pytest.mark.parametrize("in_group", [False, True])
@pytest.mark.parametrize(
    ("canvas", "offset"), [((WIDTH, HEIGHT), (0, 0)), ((100, 80), (33, 21)), ((20, 12), (-9, -11))], ids=str
)
def test_new_layer_matches_the_source_layer_and_selection(session, canvas, offset, in_group):
    rectangle = (offset[0] + 12, offset[1] + 12, 5, 7)
    image, layer = session.call(
        "new_image", pixels=noise_pixels(), precision="U16_NON_LINEAR", canvas=canvas, offset=offset, in_group=in_group
    )
    session.call("select", image=image, rectangle=rectangle)
    raw, before, mask = (raw_pixels(session, layer), pixels(session, layer), session.call("selection", drawable=layer))
    layer_before = session.call("describe_layer", layer=layer)

    result = session.call("run", image=image, drawables=[layer], style="negative", strength=50.0)

    assert result["status"] == "success"
    new = session.call("describe_layer", layer=result["layer"])
    assert new == layer_before | {"name": "Neural Style: Negative, 50 %", "has_mask": True}
    assert session.call("describe_layer", layer=layer) == layer_before | {"position": 1}
    assert (raw_pixels(session, layer) == raw).all()
    painted = pixels(session, result["layer"])
    assert (painted[..., 3] == before[..., 3]).all()
    assert np.abs(painted - negative(before, 0.5)).max() < 1e-4
    assert np.count_nonzero(mask) == 5 * 7
    assert (session.call("layer_mask", layer=result["layer"]) == mask).all()
    assert session.call("describe_image", image=image)["selected"] == [result["layer"]]
    session.call("delete", image=image)


@pytest.fixture
def blended(session):
    """An image whose upper layer has a mask with soft values, a mode, and an opacity; the layer and its mask."""
    image, _ = session.call("new_image", pixels=1 - noise_pixels(alpha=False), alpha=False)
    layer = session.call("add_layer", image=image, pixels=noise_pixels(), name="upper")
    mask = np.linspace(0, 1, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)
    session.call("set_mask", layer=layer, values=mask)
    session.call("set_mode", layer=layer, mode="MULTIPLY", opacity=40.0)
    yield image, layer, session.call("layer_mask", layer=layer)
    session.call("delete", image=image)


def test_new_layer_blends_as_a_duplicate_does(session, blended):
    image, layer, mask = blended
    result = session.call("run", image=image, drawables=[layer], style="negative")
    assert result["status"] == "success", result["message"]
    new = result["layer"]
    assert (session.call("layer_mask", layer=new) == mask).all()
    layer_before, described = (session.call("describe_layer", layer=each) for each in (layer, new))
    assert described["opacity"] == layer_before["opacity"] == pytest.approx(40, abs=0.3)
    shown, painted = session.call("composite", image=image), pixels(session, new)
    session.call("remove", layer=new)
    copy = session.call("duplicate", layer=layer, pixels=painted)
    duplicated = session.call("composite", image=image)
    assert np.abs(shown - duplicated).max() <= ROUNDING["U8"]
    session.call("remove", layer=copy)
    assert np.abs(shown - session.call("composite", image=image)).max() > 0.05


def test_new_layer_shows_the_selected_part_of_the_mask(session, blended):
    image, layer, mask = blended
    session.call("select", image=image, rectangle=RECTANGLE, feather=4.0)
    selected = session.call("selection", drawable=layer)
    assert ((selected > 0.1) & (selected < 0.9)).any()
    result = session.call("run", image=image, drawables=[layer], style="negative")
    product = session.call("layer_mask", layer=result["layer"])
    assert np.abs(product - mask * selected).max() <= 1.01 / 255
    assert (session.call("layer_mask", layer=layer) == mask).all()
    assert np.abs(session.call("selection", drawable=layer) - selected).max() == 0


def test_new_layer_keeps_a_mask_disabled_unless_something_is_selected(session, blended):
    image, layer, mask = blended
    session.call("call_method", item=layer, method="set_apply_mask", arguments=[False])
    result = session.call("run", image=image, drawables=[layer], style="negative")
    assert (session.call("layer_mask", layer=result["layer"]) == mask).all()
    painted = pixels(session, result["layer"])
    shown = session.call("composite", image=image)
    session.call("remove", layer=result["layer"])
    session.call("duplicate", layer=layer, pixels=painted)
    assert np.abs(shown - session.call("composite", image=image)).max() <= ROUNDING["U8"]
    session.call("select", image=image, rectangle=RECTANGLE)
    selected = session.call("selection", drawable=layer)
    result = session.call("run", image=image, drawables=[layer], style="negative")
    assert (session.call("layer_mask", layer=result["layer"]) == selected).all()


def test_new_layer_of_a_group_is_not_pass_through(session):
    image, layer = session.call("new_image", pixels=noise_pixels(), in_group=True)
    group = session.call("describe_layer", layer=layer)["parent"]
    session.call("set_mode", layer=group, mode="PASS_THROUGH", opacity=50.0)
    result = session.call("run", image=image, drawables=[group], style="negative")
    assert result["status"] == "success", result["message"]
    assert session.call("describe_layer", layer=result["layer"])["opacity"] == pytest.approx(50, abs=0.3)
    session.call("delete", image=image)


def test_new_layer_without_selection_has_alpha_and_no_mask(session):
    image, layer = session.call("new_image", pixels=noise_pixels(grey=True, alpha=False), base="GRAY", alpha=False)
    before = pixels(session, layer)
    result = session.call("run", image=image, drawables=[layer], style="negative")
    assert session.call("layer_mask", layer=result["layer"]) is None
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() <= ROUNDING["U8"]
    assert session.call("describe_image", image=image)["layers"] == ["Neural Style: Negative, 100 %", "photo"]
    session.call("delete", image=image)


def test_new_image_blends_its_layers_as_the_old_image_does(session, blended):
    image, upper, mask = blended
    lower = session.call("add_layer", image=image, pixels=noise_pixels(), name="lower")
    session.call("call_method", item=lower, method="set_opacity", arguments=[30.0])
    session.call("call_method", item=upper, method="set_offsets", arguments=[3, 0])
    session.call("lower", layer=lower, positions=1)
    result = session.call("run", image=image, drawables=[lower, upper], style="negative", output="image")
    assert result["status"] == "success", result["message"]
    new_lower, new_upper = result["layers"]
    assert (session.call("layer_mask", layer=new_upper) == mask).all()
    facts = {layer: session.call("describe_layer", layer=layer) for layer in (lower, upper, new_lower, new_upper)}
    assert facts[new_upper]["opacity"] == facts[upper]["opacity"]
    assert facts[new_upper]["mode"] == facts[upper]["mode"] == "multiply"
    # Nothing lies below the lowest layer that it could blend with.
    assert (facts[new_lower]["opacity"], facts[new_lower]["mode"]) == (100, "normal")
    session.call("delete", image=facts[new_lower]["image"])


def test_new_image_keeps_the_mask_of_its_only_layer(session, blended):
    image, layer, mask = blended
    session.call("select", image=image, rectangle=RECTANGLE)
    selected = session.call("selection", drawable=layer)
    before = pixels(session, layer)
    new = session.call("run", image=image, drawables=[layer], style="negative", output="image")["layer"]
    assert (session.call("layer_mask", layer=new) == mask).all()
    expected = before + (negative(before) - before) * selected[..., None]
    assert np.abs(pixels(session, new) - expected).max() <= ROUNDING["U8"]
    facts = session.call("describe_layer", layer=new)
    assert (facts["opacity"], facts["mode"]) == (100, "normal")
    session.call("delete", image=facts["image"])


@pytest.mark.parametrize(("base", "precision"), [("RGB", "U16_LINEAR"), ("GRAY", "U8_NON_LINEAR")])
def test_new_image_keeps_size_precision_profile_and_resolution(session, base, precision):
    image, layer = session.call(
        "new_image",
        pixels=noise_pixels(base == "GRAY"),
        base=base,
        precision=precision,
        canvas=(100, 80),
        offset=(33, 21),
        profile="new_rgb_adobe",
        resolution=(200.0, 100.0),
    )
    session.call("select", image=image, rectangle=(33 + 20, 21 + 5, 15, 10))
    image_before = session.call("describe_image", image=image)
    raw, before = raw_pixels(session, layer), pixels(session, layer)
    result = session.call("run", image=image, drawables=[layer], style="negative", output="image")
    assert result["status"] == "success", result["message"]
    assert session.call("describe_image", image=image) == image_before and (raw_pixels(session, layer) == raw).all()
    new = session.call("describe_layer", layer=result["layer"])
    assert new["image"] != image
    assert (new["size"], new["offset"]) == ((WIDTH, HEIGHT), (0, 0))
    assert session.call("layer_mask", layer=result["layer"]) is None
    state = session.call("describe_image", image=new["image"])
    assert state == image_before | {"layers": [new["name"]], "selected": [result["layer"]], "size": (WIDTH, HEIGHT)}
    expected = before.copy()
    inside = in_rectangle(before.shape, (20, 5, 15, 10))
    expected[inside] = negative(before)[inside]
    assert np.abs(pixels(session, result["layer"]) - expected).max() < (2e-3 if base == "RGB" else ROUNDING["U8"])
    session.call("delete", image=image)
    session.call("delete", image=new["image"])


def test_several_layers_go_into_one_new_image(session):
    image, first = session.call("new_image", pixels=noise_pixels(), offset=(-5, 3))
    second = session.call("add_layer", image=image, pixels=noise_pixels()[::-1, :17], name="second")
    result = session.call("run", image=image, drawables=[first, second], style="negative", output="image")
    assert result["status"] == "success", result["message"]
    new = session.call("describe_layer", layer=result["layer"])
    assert (new["position"], new["offset"], new["size"]) == (1, (0, 3), (WIDTH, HEIGHT))
    assert session.call("describe_layer", layer=result["layers"][1])["position"] == 0
    state = session.call("describe_image", image=new["image"])
    assert (len(state["layers"]), state["size"]) == (2, (WIDTH, HEIGHT + 3))
    session.call("delete", image=image)
    session.call("delete", image=new["image"])


def test_several_layers_are_painted_separately(session):
    image, first = session.call("new_image", pixels=noise_pixels())
    second = session.call("add_layer", image=image, pixels=noise_pixels()[::-1, :17], name="second")
    before = [pixels(session, layer) for layer in (first, second)]
    result = session.call("run", image=image, drawables=[first, second], style="negative", output="in-place")
    assert (result["status"], result["layer"]) == ("success", first)
    for layer, old in zip((first, second), before, strict=True):
        assert np.abs(pixels(session, layer) - negative(old)).max() <= ROUNDING["U8"]
    result = session.call("run", image=image, drawables=[first, second], style="negative")
    layers = session.call("describe_image", image=image)["layers"]
    assert layers == ["Neural Style: Negative, 100 % #1", "second", "Neural Style: Negative, 100 %", "photo"]
    session.call("delete", image=image)


def test_strength_zero_keeps_pixels_bit_for_bit(session):
    image, layer = session.call("new_image", pixels=noise_pixels())
    raw = raw_pixels(session, layer)
    result = session.call("run", image=image, drawables=[layer], style="negative", output="in-place", strength=0.0)
    assert result["status"] == "success"
    assert (raw_pixels(session, layer) == raw).all()
    session.call("delete", image=image)


def test_iterative_render_as_new_layer_and_in_place(session, features, tmp_path):
    require_torch()
    painting = tmp_path / "painting.webp"
    Image.fromarray((noise_pixels()[..., :3] * 255).astype(np.uint8)).resize((90, 70)).save(painting)
    photo = np.ones((60, 90, 4), np.float32)
    photo[..., 0] = np.linspace(0, 1, 90)
    photo[:, 45:, 3] = 0.5
    image, layer = session.call("new_image", pixels=photo, precision="FLOAT_NON_LINEAR")
    session.call("select", image=image, rectangle=(20, 10, 40, 30))
    raw, before = raw_pixels(session, layer), pixels(session, layer)

    def paint(**arguments):
        render = {"style_image": str(painting), "features": features, "size": 64, "iterations": 3}
        return session.call("run", image=image, drawables=[layer], **render | arguments)

    result = paint(output="layer")
    assert result["status"] == "success", result["message"]
    assert session.call("describe_image", image=image)["layers"] == ["Neural Style: painting, 100 %", "photo"]
    painted = pixels(session, result["layer"])
    assert (painted[..., 3] == before[..., 3]).all()
    assert np.isfinite(painted).all()
    assert np.abs(painted[..., :3] - before[..., :3]).mean() > 0.01

    assert paint(output="in-place")["status"] == "success"
    inside = in_rectangle(before.shape, (20, 10, 40, 30))
    assert (raw_pixels(session, layer)[~inside] == raw[~inside]).all()
    assert np.abs(pixels(session, layer)[inside] - painted[inside]).max() < 1e-5
    assert_refused(paint(output="layer", features="/no/weights.safetensors"), "/no/weights.safetensors")
    session.call("delete", image=image)


def test_stopping_keeps_the_layers_begun_so_far(session, features, tmp_path):
    """The painted layers and the one being painted are kept; the layers after it stay unchanged."""
    require_torch()
    painting = tmp_path / "painting.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8)).save(painting)
    image, first = session.call("new_image", pixels=noise_pixels())
    layers = [first, *(session.call("add_layer", image=image, pixels=noise_pixels(), name=name) for name in "bc")]
    raw = [raw_pixels(session, layer) for layer in layers]
    render = {"style_image": str(painting), "method": "iterative", "features": features, "size": 64, "iterations": 300}
    assert session.call("paint_and_stop", drawables=layers, part=1, output="in-place", **render) == layers[:2]
    changed = [(raw_pixels(session, layer) != before).any() for layer, before in zip(layers, raw, strict=True)]
    assert changed == [True, True, False]
    above = session.call("paint_and_stop", drawables=layers[::-1], part=0, **render | {"output": "layer"})
    assert len(above) == 1 and len(session.call("describe_image", image=image)["layers"]) == 4
    assert session.call("describe_layer", layer=above[0])["position"] == 0
    session.call("delete", image=image)


@pytest.mark.parametrize(
    ("seconds", "end"), [(0, "kill"), (2, "kill"), (2, "terminate")], ids=["loading PyTorch", "painting", "terminated"]
)
def test_filter_process_ends_with_gimp(gimp, variables, features, tmp_path, seconds, end):
    require_torch()
    painting = tmp_path / "painting.png"
    Image.effect_noise((64, 64), 50).save(painting)
    with Session(gimp.console, variables, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=noise_pixels(alpha=False).repeat(8, 0).repeat(8, 1))
        session.start(
            "run", image=image, drawables=[layer], style_image=str(painting), features=features, iterations=5000
        )
        filter_process = wait_until(lambda: find_child(session.process.pid, "neural-style.py"))
        wait_until(lambda: any("libtorch" in map.path for map in filter_process.memory_maps()))
        time.sleep(seconds)
        assert filter_process.is_running()
        getattr(session.process, end)()
        session.process.wait(10)
        filter_process.wait(2)
