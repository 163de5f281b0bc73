"""The filter in a GIMP whose Python cannot load the engine, which then runs in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plugin.engine.process import warm_worker
from tests.conftest import SAMPLES
from tests.host.checks import (
    AGAIN,
    assert_refused,
    find_child,
    find_worker,
    noise_pixels,
    pixels,
    raw_pixels,
    require_torch,
    wait_until,
)
from tests.host.gimp import Session, environment, make_profile


@pytest.fixture(scope="module")
def other_variables(gimp, home, tmp_path_factory) -> dict[str, str]:
    """The variables of a GIMP with another Python than the environment, where no worker stays."""
    profile = make_profile(tmp_path_factory.mktemp("gimp") / "profile", other_python=True)
    return environment(profile, home) | {warm_worker.STAY_VARIABLE: "0"}


@pytest.fixture(scope="module")
def other(gimp, other_variables, tmp_path_factory) -> Iterator[Session]:
    with Session(gimp.console, other_variables, tmp_path_factory.mktemp("log") / "gimp.log") as session:
        yield session


@pytest.fixture
def painting(tmp_path) -> str:
    Image.effect_noise((64, 64), 50).convert("RGB").save(tmp_path / "painting.png")
    return str(tmp_path / "painting.png")


def test_worker_paints_bit_identical_pictures(session, other):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        before = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    before[:, 200:300, 3] = 0.5
    painted, shown = [], []
    for gimp in (session, other):
        image, layer = gimp.call("new_image", pixels=before, precision="FLOAT_NON_LINEAR")
        gimp.call("select", image=image, rectangle=(50, 50, 300, 150), feather=20.0)
        result = gimp.call("run", image=image, drawables=[layer], strength=70.0, keep_colors=True, output="image")
        assert result["status"] == "success", result["message"]
        painted.append(pixels(gimp, result["layer"]))
        shown.append(gimp.call("preview", layer=layer, styles=["udnie"])[-1]["rgb"])
        gimp.call("delete", image=gimp.call("describe_layer", layer=result["layer"])["image"])
        gimp.call("delete", image=image)
    assert (painted[0] == painted[1]).all() and (painted[0] != before).any()
    assert (shown[0] == shown[1]).all()


def test_render_in_worker_can_be_stopped_and_repainted(other, features, painting):
    require_torch()
    image, layer = other.call("new_image", pixels=noise_pixels())
    before = pixels(other, layer)
    render = {"style_image": painting, "features": features, "size": 64}
    (new,) = other.call("paint_and_stop", drawables=[layer], part=0, iterations=5000, **render)
    assert np.abs(pixels(other, new) - before).max() > 0.01
    result = other.call("run", procedure=AGAIN, image=image, drawables=[new], style="negative")
    assert result["status"] == "success", result["message"]
    assert other.call("describe_image", image=image)["layers"] == ["Neural Style: Negative, 100 %", "photo"]
    assert_refused(other.call("run", image=image, drawables=[layer], **render | {"features": "/no.pt"}), "/no.pt")
    other.call("delete", image=image)


def test_worker_estimates_the_render_time(other, slim_weights):
    require_torch()
    ((seconds, network, trouble),) = other.call(
        "estimate", shape=(30, 40), sizes=[1024, 64], features=str(slim_weights)
    )
    assert 0 < seconds < 60 and network == "slim" and not trouble


def test_dead_worker_is_reported_in_one_sentence(other, other_variables, features, painting):
    require_torch()
    image, layer = other.call("new_image", pixels=noise_pixels())
    raw = raw_pixels(other, layer)
    other.start(
        "run", image=image, drawables=[layer], style_image=painting, features=features, size=64, iterations=10000
    )
    wait_until(lambda: find_worker(other)).kill()
    assert_refused(other.answer(), "ended unexpectedly", "-9", "install.py")
    assert (raw_pixels(other, layer) == raw).all()
    assert "ended unexpectedly" in Path(other_variables["GIMP3_DIRECTORY"], "neural-style.log").read_text()
    other.call("delete", image=image)


def test_filter_and_worker_end_when_gimp_is_killed(gimp, other_variables, features, painting, tmp_path):
    require_torch()
    with Session(gimp.console, other_variables, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=noise_pixels(alpha=False).repeat(8, 0).repeat(8, 1))
        session.start("run", image=image, drawables=[layer], style_image=painting, features=features, iterations=5000)
        worker = wait_until(lambda: find_worker(session))
        wait_until(lambda: any("libtorch" in map.path for map in worker.memory_maps()))
        filter_process = find_child(session.process.pid, "neural-style.py")
        session.process.kill()
        session.process.wait(10)
        for process in (filter_process, worker):
            process.wait(2)
