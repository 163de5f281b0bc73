"""How a worker process is stopped, fails and ends (test_service.py tests what it does)."""

import os
import pickletools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
import pytest

from nst_core.base.errors import StyleError
from nst_core.base.presets import PRESETS
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.messages import FastRequest, IterativeRequest, PreviewRequest, RawPicture
from plugin.engine.process import pipe
from plugin.engine.process.remote import EngineEndedError, start_worker, worker_command, worker_environment
from plugin.engine.progress import StoppedError, Stopper
from tests.conftest import ROOT

CATALOGUES = ROOT / "plugin/gimp/neural-style/locale"


def noise_picture(height: int, width: int, eight_bits: bool = False) -> RawPicture:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (height, width, 3), np.uint8) if eight_bits else random.random((height, width, 3))
    return RawPicture(
        width, height, 3, pixels.astype(np.uint8 if eight_bits else np.float32).tobytes(), None, eight_bits
    )


def long_render(weights: Path) -> IterativeRequest:
    return IterativeRequest(noise_picture(64, 64), replace(PRESETS["default"], features=str(weights)))


@pytest.fixture
def own(start_engine):
    """A worker that the test may end."""
    engine = start_engine()
    yield engine
    engine.close()


def test_preview_is_stopped_while_other_calls_are_answered(remote):
    layer = remote.open_layer(noise_picture(1500, 2000, eight_bits=True), False)
    request = PreviewRequest(tuple(find_styles("great-wave").items()), 50.0)
    stopper = Stopper()
    timer = threading.Timer(0.2, stopper.stop)
    timer.start()
    with pytest.raises(StoppedError):
        remote.preview(layer.number, request, False, stopper)
    with pytest.raises(StoppedError):  # at once
        remote.preview(layer.number, request, False, stopper)
    second = Stopper()
    with ThreadPoolExecutor(1) as thread:
        trying = thread.submit(remote.preview, layer.number, request, False, second)
        assert len(remote.layer_photo(layer.number)) == layer.width * layer.height * 3
        assert not trying.done()
        second.stop()
        with pytest.raises(StoppedError):
            trying.result(30)
    remote.close_layer(layer.number)


def test_stopped_render_returns_its_painting(remote, slim_weights):
    seen = []

    def tell(progress) -> bool:
        seen.append(progress)
        return progress.iteration < 1

    (painted,) = remote.paint([noise_picture(40, 60)], long_render(slim_weights), tell)
    assert len(painted.picture.data) == 40 * 60 * 16
    assert 0 < seen[-1].iteration < seen[-1].iterations


def test_errors_keep_their_type_and_traceback(remote):
    styles = find_styles("great-wave")
    with pytest.raises(StyleError, match="make it smaller"):
        remote.check_pictures(10**12)
    with pytest.raises(Exception, match=r"cannot reshape|buffer") as raised:
        remote.paint([RawPicture(9, 9, 4, b"")], FastRequest(styles, FastSettings()), lambda progress: True)
    assert raised.typename == "ValueError" and "service.py" in str(raised.value.__cause__)


def test_worker_speaks_the_language_of_its_host(start_engine, monkeypatch):
    monkeypatch.setenv("LANGUAGE", "de")
    engine = start_engine(CATALOGUES)
    with pytest.raises(StyleError, match="verkleinern Sie es"):
        engine.check_pictures(10**12)
    engine.close()


def test_killed_worker_is_reported_in_one_sentence(own, slim_weights):
    def tell(progress) -> bool:
        if progress.iteration:
            os.kill(own.pid, signal.SIGTERM)
        return True

    with pytest.raises(
        EngineEndedError, match=r"ended unexpectedly \(exit code -15.*\); .*`python3 install.py` again\.$"
    ):
        own.paint([noise_picture(40, 60)], long_render(slim_weights), tell)
    with pytest.raises(EngineEndedError):
        own.check_pictures(1)


def test_error_of_a_worker_that_does_not_start_is_reported(tmp_path):
    engine = start_worker(worker_command(Path("/bin/echo"), tmp_path))  # whose output is no answer
    with pytest.raises(EngineEndedError):
        engine.require_torch()
    engine = start_worker(["/bin/sh", "-c", "echo No module named plugin >&2; exit 1"])
    with pytest.raises(EngineEndedError, match="exit code 1: No module named plugin") as raised:
        engine.require_torch()
    assert raised.value.printed == "No module named plugin\n"
    with pytest.raises(OSError):
        start_worker(worker_command(tmp_path / "python", tmp_path))


@pytest.mark.parametrize("busy", [False, True])
def test_worker_ends_with_its_host(own, slim_weights, busy):
    process = psutil.Process(own.pid)
    begun = threading.Event()
    if busy:

        def render() -> None:
            with pytest.raises(EngineEndedError):
                own.paint([noise_picture(40, 60)], long_render(slim_weights), lambda progress: begun.set() or True)

        threading.Thread(target=render, daemon=True).start()
        assert begun.wait(60)
        time.sleep(1)  # it imports PyTorch, or paints
    assert own.close() == 0
    process.wait(2)


def test_messages_are_independent_of_the_python_version():
    """Messages name only our classes and classes that are in the same module in every version."""
    stream = BytesIO()
    pipe.send(stream, FastRequest(find_styles("great-wave"), FastSettings()))
    names = [str(value) for _code, value, _at in pickletools.genops(stream.getvalue()) if isinstance(value, str)]
    assert "plugin.engine.messages" in names and not [name for name in names if name.startswith("pathlib")]
    stream.seek(0)
    assert pipe.receive(stream) == FastRequest(find_styles("great-wave"), FastSettings())


def test_worker_environment_drops_the_hosts_variables():
    kept = {"PATH": "/bin", "HOME": "/root", "LANGUAGE": "de", "NEURAL_STYLE_HOME": "/styles"}
    astray = ("PYTHONHOME", "PYTHONPATH", "GI_TYPELIB_PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "GTK_PATH")
    assert worker_environment(kept | dict.fromkeys(astray, "/gimp")) == kept
