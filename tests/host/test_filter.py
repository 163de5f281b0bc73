"""The filter in a real GIMP, without its dialog."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from nst_core.settings import RenderSettings
from plugin.engine.picture import Picture
from plugin.engine.style_library import find_styles
from plugin.engine.stylize import StylizeSettings, stylize
from tests.conftest import SAMPLES
from tests.host.conftest import unavailable
from tests.host.gimp import Session, script_fu

WIDTH, HEIGHT = 41, 30
RECTANGLE = (5, 6, 20, 11)
# Half floats have 11 bits; linear 16-bit integers are coarse in the shadows.
ROUNDING = {"U8": 0.51 / 255, "HALF": 2.5e-4, "U16_LINEAR": 2e-4, "U16_NON": 0.51 / 65535}


def some_pixels(grey: bool = False, alpha: bool = True) -> np.ndarray:
    """[H, W, 4]: noise, with some transparent and half transparent columns if there is an alpha channel."""
    random = np.random.default_rng(7)
    pixels = np.ones((HEIGHT, WIDTH, 4), np.float32)
    pixels[..., :3] = random.random((HEIGHT, WIDTH, 1 if grey else 3))
    if alpha:
        pixels[:, 10:14, 3] = 0
        pixels[:, 14:18, 3] = 0.4
    return pixels


def in_rectangle(shape: tuple[int, ...], rectangle: tuple[int, int, int, int]) -> np.ndarray:
    x, y, width, height = rectangle
    inside = np.zeros(shape[:2], bool)
    inside[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = True
    return inside


def negative(before: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """What the test's style makes of sRGB-encoded pixels, alpha and the colour under transparent pixels kept."""
    after = before.copy()
    visible = before[..., 3] > 0
    # Half transparent pixels are shown to the network mixed with the mean visible colour.
    alpha = before[..., 3:]
    mean = (before[..., :3] * alpha).sum((0, 1)) / alpha.sum()
    seen = before[..., :3] * alpha + mean * (1 - alpha)
    after[visible, :3] = (before[..., :3] * (1 - strength) + (1 - seen) * strength)[visible]
    return after


def test_the_filter_is_in_the_menu(session):
    filter = session.call("describe")
    assert filter["menu_paths"] == ["<Image>/Filters/Artistic"]
    assert filter["menu_label"] == "_Neural Style…"
    assert filter["image_types"] == "RGB*, GRAY*"


def test_defaults_are_the_engines(session):
    defaults = session.call("describe")["defaults"]
    for name in ("strength", "stroke-size", "keep-colors"):
        assert defaults[name] == getattr(StylizeSettings(), name.replace("-", "_"))
    assert defaults["size"] == RenderSettings().size
    assert defaults["iterations"] == RenderSettings().iterations
    assert defaults["style"] == "great-wave"


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


@pytest.mark.parametrize("in_group", [False, True])
@pytest.mark.parametrize(
    ("canvas", "offset"), [((WIDTH, HEIGHT), (0, 0)), ((100, 80), (33, 21)), ((20, 12), (-9, -11))], ids=str
)
def test_a_new_layer_lies_over_the_old_one(session, canvas, offset, in_group):
    rectangle = (offset[0] + 12, offset[1] + 12, 5, 7)
    image, layer = session.call(
        "new_image", pixels=some_pixels(), precision="U16_NON_LINEAR", canvas=canvas, offset=offset, in_group=in_group
    )
    session.call("select", image=image, rectangle=rectangle)
    raw, before, mask = (raw_pixels(session, layer), pixels(session, layer), session.call("selection", drawable=layer))
    place = session.call("facts", layer=layer)

    result = session.call("run", image=image, drawables=[layer], style="negative", strength=50.0)

    assert result["status"] == "success"
    new = session.call("facts", layer=result["layer"])
    assert new == place | {"name": "Negative 50 %"}
    assert session.call("facts", layer=layer) == place | {"position": 1}
    assert (raw_pixels(session, layer) == raw).all()
    painted = pixels(session, result["layer"])
    assert (painted[..., 3] == before[..., 3]).all()
    assert np.abs(painted - negative(before, 0.5)).max() < 1e-4
    assert np.count_nonzero(mask) == 5 * 7
    assert (session.call("layer_mask", layer=result["layer"]) == mask).all()
    assert session.call("state", image=image)["selected"] == [result["layer"]]
    session.call("delete", image=image)


def test_without_a_selection_the_new_layer_has_no_mask_and_gains_alpha(session):
    image, layer = session.call("new_image", pixels=some_pixels(grey=True, alpha=False), base="GRAY", alpha=False)
    before = pixels(session, layer)
    result = session.call("run", image=image, drawables=[layer], style="negative")
    assert session.call("layer_mask", layer=result["layer"]) is None
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() <= ROUNDING["U8"]
    assert session.call("state", image=image)["layers"] == ["Negative 100 %", "photo"]
    session.call("delete", image=image)


def test_strength_zero_changes_no_bit(session):
    image, layer = session.call("new_image", pixels=some_pixels())
    raw = raw_pixels(session, layer)
    result = session.call("run", image=image, drawables=[layer], style="negative", output="in-place", strength=0.0)
    assert result["status"] == "success"
    assert (raw_pixels(session, layer) == raw).all()
    session.call("delete", image=image)


def test_a_strength_out_of_range_is_not_taken(session):
    image, layer = session.call("new_image", pixels=some_pixels())
    session.call("run", image=image, drawables=[layer], style="negative", strength=900.0)
    session.call("run", image=image, drawables=[layer], style="negative", strength=-1.0)
    assert session.call("state", image=image)["layers"] == ["Negative 100 %", "Negative 100 % #1", "photo"]
    session.call("delete", image=image)


def test_the_bundled_style_is_the_default_and_paints_as_the_engine_does(session):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        photo.thumbnail((130, 130))
        before = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    image, layer = session.call("new_image", pixels=before, alpha=False)
    result = session.call("run", image=image, drawables=[layer])
    styles = find_styles("great-wave")
    assert session.call("state", image=image)["layers"] == ["The Great Wave off Kanagawa 100 %", "photo"]
    painted = stylize(Picture(before), styles).pixels
    assert np.abs(pixels(session, result["layer"]) - painted).max() <= 2 * ROUNDING["U8"]
    session.call("delete", image=image)


@pytest.mark.parametrize(("base", "precision"), [("RGB", "U16_LINEAR"), ("GRAY", "U8_NON_LINEAR")])
def test_a_new_image_is_like_the_old_one(session, base, precision):
    image, layer = session.call(
        "new_image",
        pixels=some_pixels(base == "GRAY"),
        base=base,
        precision=precision,
        canvas=(100, 80),
        offset=(33, 21),
        profile="new_rgb_adobe",
        resolution=(200.0, 100.0),
    )
    session.call("select", image=image, rectangle=(33 + 20, 21 + 5, 15, 10))
    kept, raw, before = session.call("state", image=image), raw_pixels(session, layer), pixels(session, layer)
    result = session.call("run", image=image, drawables=[layer], style="negative", output="image")
    assert result["status"] == "success", result["message"]
    assert session.call("state", image=image) == kept and (raw_pixels(session, layer) == raw).all()
    new = session.call("facts", layer=result["layer"])
    assert new["image"] != image
    assert (new["size"], new["offset"]) == ((WIDTH, HEIGHT), (0, 0))
    assert session.call("layer_mask", layer=result["layer"]) is None
    state = session.call("state", image=new["image"])
    assert state == kept | {"layers": [new["name"]], "selected": [result["layer"]], "size": (WIDTH, HEIGHT)}
    expected = before.copy()
    inside = in_rectangle(before.shape, (20, 5, 15, 10))
    expected[inside] = negative(before)[inside]
    assert np.abs(pixels(session, result["layer"]) - expected).max() < (2e-3 if base == "RGB" else ROUNDING["U8"])
    session.call("delete", image=image)
    session.call("delete", image=new["image"])


def test_several_layers_are_one_new_image(session):
    image, first = session.call("new_image", pixels=some_pixels(), offset=(-5, 3))
    second = session.call("add_layer", image=image, pixels=some_pixels()[::-1, :17], name="second")
    result = session.call("run", image=image, drawables=[first, second], style="negative", output="image")
    assert result["status"] == "success", result["message"]
    new = session.call("facts", layer=result["layer"])
    assert (new["position"], new["offset"], new["size"]) == (1, (0, 3), (WIDTH, HEIGHT))
    state = session.call("state", image=new["image"])
    assert (len(state["layers"]), state["size"]) == (2, (WIDTH, HEIGHT + 3))
    session.call("delete", image=image)
    session.call("delete", image=new["image"])


def test_stroke_size_and_kept_colours_are_the_engines(session):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        photo.thumbnail((130, 130))
        before = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    image, layer = session.call("new_image", pixels=before, alpha=False)
    for settings in (StylizeSettings(stroke_size=150), StylizeSettings(keep_colors=True)):
        arguments = {"stroke_size": settings.stroke_size, "keep_colors": settings.keep_colors}
        result = session.call("run", image=image, drawables=[layer], **arguments)
        painted = stylize(Picture(before), find_styles("great-wave"), settings).pixels
        assert np.abs(pixels(session, result["layer"]) - painted).max() <= 2 * ROUNDING["U8"]
    session.call("delete", image=image)


def test_a_single_pixel(session):
    image, layer = session.call("new_image", pixels=np.array([[[0.2, 0.4, 1, 1]]], np.float32))
    assert (
        session.call("run", image=image, drawables=[layer], style="negative", output="in-place")["status"] == "success"
    )
    assert np.abs(pixels(session, layer)[0, 0] - [0.8, 0.6, 0, 1]).max() <= ROUNDING["U8"]
    session.call("delete", image=image)


def test_several_layers_are_painted_each(session):
    image, first = session.call("new_image", pixels=some_pixels())
    second = session.call("add_layer", image=image, pixels=some_pixels()[::-1, :17], name="second")
    before = [pixels(session, layer) for layer in (first, second)]
    result = session.call("run", image=image, drawables=[first, second], style="negative", output="in-place")
    assert (result["status"], result["layer"]) == ("success", first)
    for layer, old in zip((first, second), before, strict=True):
        assert np.abs(pixels(session, layer) - negative(old)).max() <= ROUNDING["U8"]
    result = session.call("run", image=image, drawables=[first, second], style="negative")
    layers = session.call("state", image=image)["layers"]
    assert layers == ["Negative 100 % #1", "second", "Negative 100 %", "photo"]
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
    assert session.call("state", image=image)["layers"] == ["Negative 100 %", *layers]
    assert np.abs(pixels(session, result["layer"]) - negative(before)).max() <= 2 * ROUNDING["U8"]
    session.call("delete", image=image)


@dataclass(frozen=True)
class Refusal:
    """Arguments that cannot work, and what the message must say."""

    arguments: dict
    words: tuple[str, ...]


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal({"style": "negativ"}, ("'negativ'", "did you mean negative")),
        Refusal({"style": "xyzzy"}, ("'xyzzy'", "choose from", "negative")),
        Refusal({"style": ""}, ("choose from", "negative")),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(session, refusal):
    image, layer = session.call("new_image", pixels=some_pixels())
    raw = raw_pixels(session, layer)
    result = session.call("run", image=image, drawables=[layer], output="in-place", **refusal.arguments)
    assert_refused(result, *refusal.words)
    assert (raw_pixels(session, layer) == raw).all()
    assert session.call("state", image=image)["layers"] == ["photo"]
    session.call("delete", image=image)


def test_a_style_picture_that_is_none_is_named(session):
    need_torch()
    image, layer = session.call("new_image", pixels=some_pixels())
    result = session.call("run", image=image, drawables=[layer], style_image=__file__)
    assert_refused(result, "cannot open", __file__)
    session.call("delete", image=image)


def test_a_style_picture_that_is_not_there_is_refused_by_gimp(session):
    image, layer = session.call("new_image", pixels=some_pixels())
    result = session.call("run", image=image, drawables=[layer], style_image="/no/such/painting.jpg")
    assert result["status"] == "calling-error"
    assert session.call("state", image=image)["layers"] == ["photo"]
    session.call("delete", image=image)


def test_a_selection_beside_the_layer_is_an_error(session):
    image, layer = session.call("new_image", pixels=some_pixels(), canvas=(200, 100))
    session.call("select", image=image, rectangle=(100, 50, 20, 20))
    for output in ("layer", "in-place"):
        result = session.call("run", image=image, drawables=[layer], style="negative", output=output)
        assert_refused(result, "does not touch", "'photo'")
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


def test_a_layer_too_large_is_an_error(session):
    image, _ = session.call("new_image", pixels=some_pixels())
    huge = session.call("add_huge_layer", image=image, side=100_000)
    result = session.call("run", image=image, drawables=[huge], style="negative")
    assert_refused(result, "10000.0 megapixels", "make it smaller")
    session.call("delete", image=image)


@pytest.mark.parametrize("of", ["layer", "group"])
def test_locked_pixels_are_an_error(session, of):
    image, layer = session.call("new_image", pixels=some_pixels(), in_group=of == "group")
    raw = raw_pixels(session, layer)
    session.call("lock", item=session.call("facts", layer=layer)["parent"] if of == "group" else layer)
    result = session.call("run", image=image, drawables=[layer], style="negative", output="in-place")
    assert_refused(result, "locked", "'group'" if of == "group" else "'photo'")
    assert (raw_pixels(session, layer) == raw).all()
    session.call("delete", image=image)


def test_an_indexed_image_is_an_error(session):
    image, layer = session.call("new_image", pixels=some_pixels(alpha=False), alpha=False)
    session.call("make_indexed", image=image)
    for output in ("layer", "in-place"):
        result = session.call("run", image=image, drawables=[layer], style="negative", output=output)
        assert_refused(result, "indexed", "Mode")
    assert session.call("state", image=image)["layers"] == ["photo"]
    session.call("delete", image=image)


def test_no_layer_is_an_error(session):
    image, _ = session.call("new_image", pixels=some_pixels())
    assert_refused(session.call("run", image=image, drawables=[], style="negative"), "select")
    session.call("delete", image=image)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (None, ("installation.json is missing", "install.py")),
        ({"python": "3.2"}, ("Python 3.2", "{}.{}".format(*sys.version_info), "install.py")),
        ({"site_packages": "/no/such/folder"}, ("/no/such/folder", "install.py")),
        ({"site_packages": None}, ("installation.json", "install.py")),
    ],
    ids=str,
)
def test_a_broken_installation_is_named(session, variables, change, words):
    record = Path(variables["GIMP3_DIRECTORY"], "plug-ins", "neural-style", "installation.json")
    whole = record.read_text(encoding="utf-8")
    image, layer = session.call("new_image", pixels=some_pixels())
    try:
        record.unlink()
        if change is not None:
            record.write_text(json.dumps(json.loads(whole) | change), encoding="utf-8")
        assert_refused(session.call("run", image=image, drawables=[layer], style="negative"), *words)
    finally:
        record.write_text(whole, encoding="utf-8")
    session.call("delete", image=image)


def test_an_iterative_render(session, features, tmp_path):
    need_torch()
    painting = tmp_path / "painting.webp"
    Image.fromarray((some_pixels()[..., :3] * 255).astype(np.uint8)).resize((90, 70)).save(painting)
    photo = np.ones((60, 90, 4), np.float32)
    photo[..., 0] = np.linspace(0, 1, 90)
    photo[:, 45:, 3] = 0.5
    image, layer = session.call("new_image", pixels=photo, precision="FLOAT_NON_LINEAR")
    session.call("select", image=image, rectangle=(20, 10, 40, 30))
    raw, before = raw_pixels(session, layer), pixels(session, layer)

    def paint(**arguments):
        few = {"style_image": str(painting), "features": features, "size": 64, "iterations": 3}
        return session.call("run", image=image, drawables=[layer], **few | arguments)

    result = paint(output="layer")
    assert result["status"] == "success", result["message"]
    assert session.call("state", image=image)["layers"] == ["painting 100 %", "photo"]
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


def test_nothing_runs_on_when_gimp_is_killed(gimp, variables, features, tmp_path):
    need_torch()
    painting = tmp_path / "painting.png"
    Image.effect_noise((64, 64), 50).save(painting)
    with Session(gimp.console, variables, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=some_pixels(alpha=False).repeat(8, 0).repeat(8, 1))
        session.start(
            "run", image=image, drawables=[layer], style_image=str(painting), features=features, iterations=5000
        )
        filter = until(lambda: child(session.process.pid, "neural-style.py"))
        until(lambda: any("libtorch" in map.path for map in filter.memory_maps()))
        time.sleep(1)
        assert filter.is_running()
        session.process.kill()
        filter.wait(10)


def test_script_fu(gimp, variables, tmp_path):
    photo, painted = tmp_path / "photo.png", tmp_path / "painted.png"
    pixels = (some_pixels()[..., :3] * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(photo)
    script_fu(
        gimp,
        variables,
        f"""
        (let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{photo}")))
               (layers (car (gimp-image-get-layers image))))
          (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 5 6 20 11)
          (plug-in-neural-style #:run-mode RUN-NONINTERACTIVE #:image image #:drawables layers
                                #:style "negative" #:output "in-place")
          (gimp-file-save RUN-NONINTERACTIVE image "{painted}" -1))
        """,
    )
    after = np.array(Image.open(painted).convert("RGB"))
    inside = in_rectangle(pixels.shape, RECTANGLE)
    assert (after[~inside] == pixels[~inside]).all()
    assert (after[inside] == 255 - pixels[inside]).all()


def raw_pixels(session: Session, layer: int) -> np.ndarray:
    """[H, W, bytes]: the pixels as GIMP keeps them."""
    width, height = session.call("facts", layer=layer)["size"]
    return np.frombuffer(session.call("raw", drawable=layer), np.uint8).reshape(height, width, -1)


def pixels(session: Session, layer: int) -> np.ndarray:
    return session.call("pixels", drawable=layer)


def to_linear(encoded: np.ndarray) -> np.ndarray:
    """The sRGB transfer function."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def assert_refused(result: dict, *words: str) -> None:
    """An error of one sentence that says these words."""
    assert result["status"] == "execution-error"
    message = result["message"]
    for word in words:
        assert word in message
    assert message[-1] in ".?"
    assert "Traceback" not in message
    assert "\n" not in message


def need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        unavailable("PyTorch is not installed")


def child(parent: int, script: str) -> psutil.Process | None:
    """The process of a plug-in."""
    return next(
        (p for p in psutil.Process(parent).children(True) if any(a.endswith(script) for a in p.cmdline())), None
    )


def until(condition, seconds: float = 60):
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return value
