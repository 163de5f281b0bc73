"""What the filter refuses, and its error messages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nst_core.base.iterative_settings import ITERATIVE_RANGES
from tests.host.checks import (
    ROUNDING,
    assert_refused,
    negative,
    noise_pixels,
    pixels,
    raw_pixels,
    require_torch,
    write_last_values,
)
from tests.host.gimp import Session, script_fu


@dataclass(frozen=True)
class Refusal:
    """Invalid arguments, and the words of the message."""

    arguments: dict
    words: tuple[str, ...]


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal({"style": "negativ"}, ("'negativ'", "did you mean negative")),
        Refusal({"style": "xyzzy"}, ("'xyzzy'", "choose from", "negative")),
        Refusal({"style": ""}, ("choose from", "negative")),
        Refusal({"strength": 900.0}, ("strength", "900", "from 0 to 100")),
        Refusal({"strength": -0.1}, ("strength", "-0.1", "from 0 to 100")),
        Refusal({"stroke_size": 49.0}, ("stroke-size", "49", "from 50 to 200")),
        Refusal({"size": 2**31 - 1}, ("size", "2147483647", "from {} to {}".format(*ITERATIVE_RANGES["size"]))),
        Refusal({"iterations": 0}, ("iterations", "is 0", "from {} to {}".format(*ITERATIVE_RANGES["iterations"]))),
        Refusal({"output": "nowhere"}, ("output", "'nowhere'", "layer, in-place, image")),
    ],
    ids=str,
)
def test_invalid_arguments_are_named(session, refusal):
    image, layer = session.call("new_image", pixels=noise_pixels())
    raw = raw_pixels(session, layer)
    result = session.call("run", image=image, drawables=[layer], **{"output": "in-place"} | refusal.arguments)
    assert_refused(result, *refusal.words)
    assert (raw_pixels(session, layer) == raw).all()
    assert session.call("describe_image", image=image)["layers"] == ["photo"]
    session.call("delete", image=image)


@pytest.mark.parametrize("strength", [float("nan"), float("inf")])
def test_nan_and_infinity_become_the_default(session, strength):
    """GIMP's own library, in the script's process, replaces NaN and the infinities by the default."""
    image, layer = session.call("new_image", pixels=noise_pixels())
    result = session.call("run", image=image, drawables=[layer], style="negative", strength=strength)
    assert session.call("describe_layer", layer=result["layer"])["name"] == "Neural Style: Negative, 100 %"
    session.call("delete", image=image)


def test_invalid_number_is_named_in_script_fu(gimp, variables):
    with pytest.raises(RuntimeError, match=r"strength is 900\.0; give a number from 0 to 100"):
        script_fu(
            gimp,
            variables,
            """
            (let* ((image (car (gimp-image-new 20 20 RGB)))
                   (layer (car (gimp-layer-new image "photo" 20 20 RGBA-IMAGE 100 LAYER-MODE-NORMAL))))
              (gimp-image-insert-layer image layer 0 0)
              (plug-in-neural-style #:run-mode RUN-NONINTERACTIVE #:image image #:drawables (vector layer)
                                    #:style "negative" #:strength 900))
            """,
        )


def test_style_picture_that_is_no_picture_is_named(session):
    require_torch()
    image, layer = session.call("new_image", pixels=noise_pixels())
    result = session.call("run", image=image, drawables=[layer], style_image=__file__)
    assert_refused(result, "cannot open", __file__)
    session.call("delete", image=image)


@pytest.mark.parametrize("run_mode", ["NONINTERACTIVE", "WITH_LAST_VALS"])
def test_missing_style_picture_is_named(session, variables, run_mode):
    """Repeat names it too, after the picture was removed."""
    missing = "/no/such/painting.jpg"
    if run_mode == "WITH_LAST_VALS":
        write_last_values(Path(variables["GIMP3_DIRECTORY"]), {"style-image": f"file://{missing}"})
    arguments = {} if run_mode == "WITH_LAST_VALS" else {"style_image": missing}
    image, layer = session.call("new_image", pixels=noise_pixels())
    result = session.call("run", image=image, drawables=[layer], run_mode=run_mode, **arguments)
    assert_refused(result, missing, "choose another")
    assert session.call("describe_image", image=image)["layers"] == ["photo"]
    session.call("delete", image=image)


def test_selection_outside_the_layer_is_refused(session):
    image, layer = session.call("new_image", pixels=noise_pixels(), canvas=(200, 100))
    session.call("select", image=image, rectangle=(100, 50, 20, 20))
    for output in ("layer", "in-place"):
        result = session.call("run", image=image, drawables=[layer], style="negative", output=output)
        assert_refused(result, "does not touch", "'photo'")
    session.call("delete", image=image)


def test_too_large_layer_is_refused(session):
    image, _ = session.call("new_image", pixels=noise_pixels())
    huge = session.call("add_huge_layer", image=image, side=100_000)
    result = session.call("run", image=image, drawables=[huge], style="negative")
    assert_refused(result, "10000.0 megapixels", "make it smaller")
    session.call("delete", image=image)


def test_empty_group_is_refused(session):
    image, _ = session.call("new_image", pixels=noise_pixels())
    group = session.call("add_empty_group", image=image)
    for output in ("layer", "image"):
        result = session.call("run", image=image, drawables=[group], style="negative", output=output)
        assert_refused(result, "'empty group' is empty", "select another layer")
    assert session.call("describe_image", image=image)["layers"] == ["empty group", "photo"]
    session.call("delete", image=image)


def test_new_layer_beneath_a_floating_selection_is_refused(session):
    image, layer = session.call("new_image", pixels=noise_pixels())
    session.call("select", image=image, rectangle=(5, 6, 20, 11))
    floating = session.call("float_selection", layer=layer)
    result = session.call("run", image=image, drawables=[floating], style="negative")
    assert_refused(result, "floating selection", "anchor it")
    before = pixels(session, floating)
    result = session.call("run", image=image, drawables=[floating], style="negative", output="in-place")
    assert result["status"] == "success", result["message"]
    assert np.abs(pixels(session, floating) - negative(before))[before[..., 3] > 0].max() <= ROUNDING["U8"]
    session.call("delete", image=image)


@pytest.mark.parametrize("of", ["layer", "group"])
def test_locked_pixels_are_refused(session, of):
    image, layer = session.call("new_image", pixels=noise_pixels(), in_group=of == "group")
    raw = raw_pixels(session, layer)
    session.call("lock", item=session.call("describe_layer", layer=layer)["parent"] if of == "group" else layer)
    result = session.call("run", image=image, drawables=[layer], style="negative", output="in-place")
    assert_refused(result, "locked", "'group'" if of == "group" else "'photo'")
    assert (raw_pixels(session, layer) == raw).all()
    session.call("delete", image=image)


def test_indexed_image_is_refused(session):
    image, layer = session.call("new_image", pixels=noise_pixels(alpha=False), alpha=False)
    session.call("make_indexed", image=image)
    for output in ("layer", "in-place"):
        result = session.call("run", image=image, drawables=[layer], style="negative", output=output)
        assert_refused(result, "indexed", "Mode")
    assert session.call("describe_image", image=image)["layers"] == ["photo"]
    session.call("delete", image=image)


def test_no_selected_layer_is_refused(session):
    image, _ = session.call("new_image", pixels=noise_pixels())
    assert_refused(session.call("run", image=image, drawables=[], style="negative"), "select")
    session.call("delete", image=image)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (None, ("installation.json is missing", "install.py")),
        ({"python": "3.2", "program": "/no/such/python"}, ("/no/such/python", "install.py")),
        ({"python": "3.2", "site_packages": "/no/such/folder"}, ("/no/such/folder", "install.py")),
        ({"site_packages": "/no/such/folder"}, ("/no/such/folder", "install.py")),
        ({"site_packages": None}, ("installation.json", "install.py")),
    ],
    ids=str,
)
def test_broken_installation_is_named(session, variables, change, words):
    record = Path(variables["GIMP3_DIRECTORY"], "plug-ins", "neural-style", "installation.json")
    whole = record.read_text(encoding="utf-8")
    image, layer = session.call("new_image", pixels=noise_pixels())
    try:
        record.unlink()
        if change is not None:
            record.write_text(json.dumps(json.loads(whole) | change), encoding="utf-8")
        assert_refused(session.call("run", image=image, drawables=[layer], style="negative"), *words)
    finally:
        record.write_text(whole, encoding="utf-8")
    session.call("delete", image=image)


def test_python_that_an_update_replaced_or_removed_is_named(gimp, session, variables, tmp_path):
    """The environment's Python is a link to the system's, and its packages are for another version."""
    record = Path(variables["GIMP3_DIRECTORY"], "plug-ins", "neural-style", "installation.json")
    whole = record.read_text(encoding="utf-8")
    new = "{}.{}".format(*gimp.python_version)
    image, layer = session.call("new_image", pixels=noise_pixels())
    program = tmp_path / "python"
    try:
        for target, words in (
            (gimp.python, ("installed for Python 3.2,", f"now has Python {new}", "install.py")),
            (tmp_path / "python3.2", ("Python 3.2, which is missing from this system", "install.py")),
        ):
            program.unlink(missing_ok=True)
            program.symlink_to(target)
            record.write_text(json.dumps(json.loads(whole) | {"python": "3.2", "program": str(program)}))
            assert_refused(session.call("run", image=image, drawables=[layer], style="negative"), *words)
    finally:
        record.write_text(whole, encoding="utf-8")
    session.call("delete", image=image)


def test_unexpected_error_is_logged_in_full(session, variables):
    """The message of an unexpected error names the log, which has the traceback."""
    log = Path(variables["GIMP3_DIRECTORY"], "neural-style.log")
    module = Path(variables["GIMP3_DIRECTORY"], "plug-ins", "neural-style", "painting.py")
    whole = module.read_text(encoding="utf-8")
    image, layer = session.call("new_image", pixels=noise_pixels())
    assert_refused(session.call("run", image=image, drawables=[layer], style="negativ"), "'negativ'")
    assert "did you mean negative" in log.read_text(encoding="utf-8")
    try:
        module.write_text(f"{whole}\n\ndef paint(*_):\n    raise TypeError('odd')\n", encoding="utf-8")
        result = session.call("run", image=image, drawables=[layer], style="negative")
        assert_refused(result, "failed unexpectedly", "TypeError", str(log))
    finally:
        module.write_text(whole, encoding="utf-8")
    last = log.read_text(encoding="utf-8").split("\n\n")[-2]
    assert last.splitlines()[0].count(", ") == 3 and "GIMP 3." in last and "Traceback" in last and "TypeError" in last
    session.call("delete", image=image)


def test_large_log_is_replaced(session, variables):
    log = Path(variables["GIMP3_DIRECTORY"], "neural-style.log")
    log.write_bytes(b"x" * (2**20 + 1))
    image, _ = session.call("new_image", pixels=noise_pixels())
    assert_refused(session.call("run", image=image, drawables=[], style="negative"), "select")
    assert log.stat().st_size < 1000
    session.call("delete", image=image)


def test_each_message_is_shown_once(gimp, variables, tmp_path):
    with Session(gimp.console, variables, tmp_path / "gimp.log") as session:
        for sentence in ("The card rests.", "The card rests.", "The card broke."):
            session.call("show_message_once", sentence=sentence)
        log = session.log()
    assert (log.count("The card rests."), log.count("The card broke.")) == (1, 1)
