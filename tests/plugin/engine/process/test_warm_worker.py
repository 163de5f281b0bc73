"""A warm worker: who can join it, and when it ends."""

import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import psutil
import pytest

from nst_core.base.presets import PRESETS
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.messages import FastRequest, IterativeRequest, PreviewRequest, RawPicture
from plugin.engine.process import warm_worker
from plugin.engine.process.remote import EngineEndedError, RemoteEngine, joined_engine, start_warm_worker, start_worker
from plugin.engine.progress import Stopper
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not warm_worker.CAN_STAY, reason="workers stay only on Linux")
CATALOGUES = ROOT / "plugin/gimp/neural-style/locale"
CLONE_NEWPID = 0x20000000  # from linux/sched.h
only_root = pytest.mark.skipif(
    not warm_worker.CAN_STAY or os.getuid() != 0, reason="only root can become somebody else"
)
numbers = itertools.count()


@pytest.fixture
def host():
    """The process with which a warm worker must end."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.fixture
def name(host) -> str:
    return warm_worker.worker_name(host.pid, f"test-{os.getpid()}-{next(numbers)}")


@pytest.fixture
def left(start_engine, host, name):
    """A worker that its host left, and that waits under ``name``."""
    engine = start_engine(CATALOGUES, str(host.pid), name)
    assert engine.check_pictures(1) is None
    engine.leave()
    yield psutil.Process(engine.pid)
    engine.close()


def join(name: str, seconds: float = 20) -> RemoteEngine | None:
    """Join the worker of this name, which its host may just have left."""
    deadline = time.monotonic() + seconds
    while not (worker := warm_worker.join_worker(name)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return joined_engine(worker) if worker else None


def noise_picture(side: int = 40) -> RawPicture:
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    return RawPicture(side, side, 3, pixels.tobytes(), None, True)


def paint(engine: RemoteEngine, side: int = 40) -> bytes:
    (painted,) = engine.paint([noise_picture(side)], FastRequest(find_styles("great-wave"), FastSettings()))
    return bytes(painted.picture.data)


def ends(process: psutil.Process) -> bool:
    """Return whether the process ends within two seconds, as it must."""
    try:
        process.wait(2)
    except psutil.TimeoutExpired:
        return False
    return True


def test_warm_worker_serves_one_host_after_another(left, remote, name):
    for _ in range(3):
        engine = join(name)
        assert engine.pid == left.pid
        assert paint(engine) == paint(remote)
        # No other host can join meanwhile.
        assert warm_worker.join_worker(name) is None
        files = left.num_fds()
        engine.leave()
        with pytest.raises(EngineEndedError):  # in the host that left it
            engine.require_torch()
    engine = join(name)
    engine.check_pictures(1)
    assert left.num_fds() <= files


def test_warm_worker_releases_memory_after_a_while(left, remote, name):
    engine = join(name)
    paint(engine, 1000)
    used = left.memory_info().rss
    engine.leave()
    # A connection that is no host does not prevent it.
    time.sleep(1)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{name}")
    time.sleep(warm_worker.RELEASE_SECONDS + 1)
    assert left.memory_info().rss < used - 30 * 2**20
    assert paint(join(name)) == paint(remote)


def test_second_worker_of_a_name_ends(left, remote, name):
    other = start_worker([sys.executable, "-c", _program(), CATALOGUES, *_place(left)])
    assert paint(other) == paint(remote)
    second = psutil.Process(other.pid)
    other.leave()
    assert ends(second) and left.is_running()
    assert join(name)


def test_start_warm_worker_starts_one_for_other_hosts(host, name, remote):
    start_warm_worker([sys.executable, "-c", _program(), CATALOGUES, str(host.pid), name])
    engine = join(name, 60)
    assert engine and paint(engine) == paint(remote)
    process = psutil.Process(engine.pid)
    engine.close()
    assert ends(process)


@pytest.mark.parametrize("way", ["GIMP ends", "its host ends", "no host joins"])
def test_warm_worker_ends(start_engine, host, name, monkeypatch, way):
    if way == "no host joins":
        monkeypatch.setenv(warm_worker.STAY_VARIABLE, "1")
    began = time.monotonic()
    engine = start_engine(CATALOGUES, str(host.pid), name)
    engine.leave()
    process = psutil.Process(engine.pid)
    assert process.is_running()
    if way == "GIMP ends":
        time.sleep(0.2)
        assert process.is_running()
        host.kill()
    elif way == "its host ends":
        join(name).close()
    assert ends(process)
    if way == "no host joins":
        assert time.monotonic() - began > 1


def test_busy_worker_does_not_stay(left, name):
    engine = join(name)
    layer = engine.open_layer(noise_picture(1000), False)
    request = PreviewRequest(tuple(find_styles("great-wave").items()), 100.0)
    threading.Thread(target=_preview_until_ended, args=[engine, layer.number, request], daemon=True).start()
    time.sleep(0.3)
    engine.leave()
    assert ends(left)


def test_worker_with_pytorch_does_not_stay(left, name, slim_weights):
    engine = join(name)
    how = IterativeRequest(noise_picture(), replace(PRESETS["default"], features=str(slim_weights)))
    engine.paint([noise_picture()], how, lambda progress: progress.iteration < 1)
    engine.leave()
    assert ends(left)


def test_worker_ends_at_once_while_a_library_blocks_python(host, name, tmp_path):
    """Some libraries block Python while they load."""
    program = f"import ctypes, sys; sys.path.insert(0, {str(ROOT)!r})\n"
    program += "from plugin.engine.process import worker\nfrom plugin.engine.service import LocalEngine\n"
    program += "LocalEngine.require_torch = lambda self: ctypes.PyDLL(None).sleep(30)\nworker.main()"
    engine = start_worker([sys.executable, "-c", program, CATALOGUES, str(host.pid), name])
    process = psutil.Process(engine.pid)
    engine.leave()
    engine = join(name)
    threading.Thread(target=_call_until_ended, args=[engine.require_torch], daemon=True).start()
    time.sleep(0.5)
    began = time.monotonic()
    engine.leave()
    assert time.monotonic() - began < 5  # leaving does not wait for it either
    engine.close()
    assert ends(process)


def test_errors_go_to_the_host_that_joined(left, name):
    engine = join(name)
    engine.check_pictures(1)
    engine._requests.write(b"no message")
    engine._requests.flush()
    with pytest.raises(
        EngineEndedError, match=r"ended unexpectedly \(_pickle.UnpicklingError.*\); try it once more"
    ) as raised:
        engine.require_torch()
    assert "Traceback" in raised.value.printed and "exit code" not in str(raised.value)
    # The next host finds no worker.
    assert ends(left) and warm_worker.join_worker(name) is None


@pytest.mark.parametrize("who", ["another user", "a sandbox"])
@only_root
def test_worker_refuses_untrusted_hosts(left, name, who):
    assert _untrusted(who, "connect", name).wait(20) == 0
    assert join(name)


@pytest.mark.parametrize("who", ["another user", "a sandbox"])
@only_root
def test_host_refuses_untrusted_workers(name, who):
    untrusted = _untrusted(who, "listen", name)
    assert untrusted.stdout.readline() == b"listening\n"
    assert warm_worker.join_worker(name) is None
    assert untrusted.wait(20) == 0


def test_join_gives_up_without_a_greeting(name):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen(1)
        began = time.monotonic()
        assert warm_worker.join_worker(name) is None
        assert time.monotonic() - began < warm_worker.GREETING_SECONDS + 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, warm_worker.DEFAULT_STAY_SECONDS),
        ("0", 0),
        ("30", 30),
        ("inf", warm_worker.MAX_STAY_SECONDS),
        ("soon", warm_worker.DEFAULT_STAY_SECONDS),
    ],
)
def test_stay_seconds_follow_the_environment_variable(monkeypatch, value, seconds):
    if value is None:
        monkeypatch.delenv(warm_worker.STAY_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(warm_worker.STAY_VARIABLE, value)
    assert warm_worker.stay_seconds() == seconds


def _preview_until_ended(engine: RemoteEngine, layer: int, request: PreviewRequest) -> None:
    with pytest.raises(EngineEndedError):
        while True:
            engine.preview(layer, request, False, Stopper())


def _call_until_ended(function: Callable[[], object]) -> None:
    with pytest.raises(EngineEndedError):
        function()


def _untrusted(who: str, what: str, name: str) -> subprocess.Popen[bytes]:
    """Start another user's process, or one in a sandbox; its exit code is 0 if it was told nothing.

    It is a new process, not a fork of this one: that would take over the locks of threads that it does not have.
    """
    arguments = [who, what, name, warm_worker.GREETING.decode()]
    return subprocess.Popen([sys.executable, "-c", _UNTRUSTED, *arguments], stdout=subprocess.PIPE)


_UNTRUSTED = f"""
import ctypes, os, socket, sys
from contextlib import suppress
who, what, name, greeting = sys.argv[1:]
if who == "another user":
    os.setuid(65534)
else:
    assert ctypes.CDLL(None).unshare({CLONE_NEWPID}) == 0  # applies to its children
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
answer = b""
with socket.socket(socket.AF_UNIX) as ours:
    ours.settimeout(10)
    if what == "connect":
        ours.connect("\\0" + name)
        answer = ours.recv(1)
    else:
        ours.bind("\\0" + name)
        ours.listen(1)
        print("listening", flush=True)
        connection, _ = ours.accept()
        connection.settimeout(10)
        with suppress(ConnectionError):  # already gone
            connection.send(greeting.encode())
            answer = connection.recv(1)
sys.exit(answer != b"")
"""


def _program() -> str:
    return f"import sys; sys.path.insert(0, {str(ROOT)!r}); from plugin.engine.process import worker; worker.main()"


def _place(process: psutil.Process) -> list[str]:
    return process.cmdline()[-2:]
