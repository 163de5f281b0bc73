"""The engine that stays after a run for the next one."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from plugin.engine.process import warm_worker
from tests.conftest import SAMPLES
from tests.host.checks import noise_pixels, pixels, require_torch, wait_until
from tests.host.gimp import Session, environment, make_profile

LISTENING = "00010000"  # of linux/net.h: SO_ACCEPTCON
pytestmark = pytest.mark.skipif(not warm_worker.SUPPORTED, reason="engines stay on Linux alone")


@pytest.fixture(params=[False, True], ids=["after GIMP's Python", "after its own process"])
def fresh(request, gimp, home, tmp_path) -> dict[str, str]:
    """The variables of a GIMP whose filter has not run yet."""
    return environment(make_profile(tmp_path / "profile", request.param), home)


def painted(session: Session, image: int, layer: int) -> np.ndarray:
    result = session.call("run", image=image, drawables=[layer], style="udnie", strength=70.0)
    assert result["status"] == "success", result["message"]
    done = pixels(session, result["layer"])
    session.call("remove", layer=result["layer"])
    return done


def engines(session: Session) -> list[psutil.Process]:
    """Those that stay for this GIMP, or work for its filter."""
    place = {"plugin.engine.process.worker", str(session.process.pid)}
    return [p for p in psutil.process_iter(["cmdline"]) if place <= {*(p.info["cmdline"] or ())}]


def idle(session: Session) -> psutil.Process:
    """The engine that stays, once it waits for somebody to join."""

    def waits() -> bool:
        name = warm_worker.worker_name(session.process.pid, "")
        lines = Path("/proc/net/unix").read_text().splitlines()
        return any(f"@{name}" in line and LISTENING in line.split() for line in lines)

    wait_until(waits, 30)
    return engines(session)[-1]


def test_later_runs_use_the_warm_worker_and_paint_the_same(gimp, fresh, tmp_path):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        before = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    with Session(gimp.console, fresh, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=before, precision="FLOAT_NON_LINEAR")
        first = painted(session, image, layer)
        engine = idle(session)
        for _ in range(2):
            assert (painted(session, image, layer) == first).all()
            assert idle(session) == engine and len(engines(session)) == 1
        # One that was killed is replaced.
        engine.kill()
        engine.wait(2)
        assert (painted(session, image, layer) == first).all()
        second = idle(session)
        # One of an installation before this one is left alone.
        Path(fresh["GIMP3_DIRECTORY"], "plug-ins/neural-style/installation.json").touch()
        assert (painted(session, image, layer) == first).all()
        wait_until(lambda: len(engines(session)) == 2, 5)
        last = engines(session)
        assert second in last
    for engine in last:
        engine.wait(2)
    assert "Traceback" not in (tmp_path / "gimp.log").read_text()


def test_no_worker_stays_if_switched_off(gimp, fresh, tmp_path):
    with Session(gimp.console, fresh | {warm_worker.STAY_VARIABLE: "0"}, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=noise_pixels())
        first = painted(session, image, layer)
        assert (painted(session, image, layer) == first).all()
        assert engines(session) == []


@pytest.mark.parametrize("seconds", [0, 2], ids=["loading PyTorch", "painting"])
def test_warm_worker_ends_with_gimp(gimp, fresh, features, tmp_path, seconds):
    require_torch()
    painting = tmp_path / "painting.png"
    Image.effect_noise((64, 64), 50).save(painting)
    with Session(gimp.console, fresh, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=noise_pixels(alpha=False).repeat(8, 0).repeat(8, 1))
        painted(session, image, layer)
        engine = idle(session)
        session.start(
            "run", image=image, drawables=[layer], style_image=str(painting), features=features, iterations=5000
        )
        wait_until(lambda: any("libtorch" in map.path for map in engine.memory_maps()))
        time.sleep(seconds)
        assert engine.is_running()
        session.process.kill()
        session.process.wait(10)
        engine.wait(2)
