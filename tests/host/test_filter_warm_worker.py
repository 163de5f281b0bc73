"""The warm worker, which stays after a run of the filter for the next one."""

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

LISTENING = "00010000"  # SO_ACCEPTCON from linux/net.h
pytestmark = pytest.mark.skipif(not warm_worker.CAN_STAY, reason="workers stay only on Linux")


@pytest.fixture(params=[False, True], ids=["after GIMP's Python", "after a worker"])
def fresh(request, gimp, home, tmp_path) -> dict[str, str]:
    """The variables of a GIMP whose filter has not run yet."""
    return environment(make_profile(tmp_path / "profile", request.param), home)


def paint(session: Session, image: int, layer: int) -> np.ndarray:
    """Return a painting of the layer, which does not stay in the image."""
    result = session.call("run", image=image, drawables=[layer], style="udnie", strength=70.0)
    assert result["status"] == "success", result["message"]
    painting = pixels(session, result["layer"])
    session.call("remove", layer=result["layer"])
    return painting


def find_workers(session: Session) -> list[psutil.Process]:
    """Return the workers that stay for this GIMP or work for its filter."""
    place = {"plugin.engine.process.worker", str(session.process.pid)}
    return [p for p in psutil.process_iter(["cmdline"]) if place <= {*(p.info["cmdline"] or ())}]


def wait_for_idle_worker(session: Session) -> psutil.Process:
    """Wait until a warm worker listens for a run to join, and return it."""

    def is_listening() -> bool:
        name = warm_worker.worker_name(session.process.pid, "")
        lines = Path("/proc/net/unix").read_text().splitlines()
        return any(f"@{name}" in line and LISTENING in line.split() for line in lines)

    wait_until(is_listening, 30)
    return find_workers(session)[-1]


def test_later_runs_use_the_warm_worker_and_paint_the_same(gimp, fresh, tmp_path):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        before = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    with Session(gimp.console, fresh, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=before, precision="FLOAT_NON_LINEAR")
        first = paint(session, image, layer)
        worker = wait_for_idle_worker(session)
        for _ in range(2):
            assert (paint(session, image, layer) == first).all()
            assert wait_for_idle_worker(session) == worker and len(find_workers(session)) == 1
        # A worker that was killed is replaced.
        worker.kill()
        worker.wait(2)
        assert (paint(session, image, layer) == first).all()
        second = wait_for_idle_worker(session)
        # A worker of an older installation is not used.
        Path(fresh["GIMP3_DIRECTORY"], "plug-ins/neural-style/installation.json").touch()
        assert (paint(session, image, layer) == first).all()
        wait_until(lambda: len(find_workers(session)) == 2, 5)
        last = find_workers(session)
        assert second in last
    for worker in last:
        worker.wait(2)
    assert "Traceback" not in (tmp_path / "gimp.log").read_text()


def test_no_worker_stays_if_switched_off(gimp, fresh, tmp_path):
    with Session(gimp.console, fresh | {warm_worker.STAY_VARIABLE: "0"}, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=noise_pixels())
        first = paint(session, image, layer)
        assert (paint(session, image, layer) == first).all()
        assert find_workers(session) == []


@pytest.mark.parametrize("seconds", [0, 2], ids=["loading PyTorch", "painting"])
def test_warm_worker_ends_with_gimp(gimp, fresh, features, tmp_path, seconds):
    require_torch()
    painting = tmp_path / "painting.png"
    Image.effect_noise((64, 64), 50).save(painting)
    with Session(gimp.console, fresh, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=noise_pixels(alpha=False).repeat(8, 0).repeat(8, 1))
        paint(session, image, layer)
        worker = wait_for_idle_worker(session)
        session.start(
            "run", image=image, drawables=[layer], style_image=str(painting), features=features, iterations=5000
        )
        wait_until(lambda: any("libtorch" in map.path for map in worker.memory_maps()))
        time.sleep(seconds)
        assert worker.is_running()
        session.process.kill()
        session.process.wait(10)
        worker.wait(2)
