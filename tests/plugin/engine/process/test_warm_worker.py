"""An engine's process that is left for others: who finds it, and when it ends."""

import ctypes
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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

pytestmark = [
    pytest.mark.skipif(not warm_worker.SUPPORTED, reason="engines stay on Linux alone"),
    # The child does no more than speak over a socket.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
CATALOGUES = ROOT / "plugin/gimp/neural-style/locale"
CLONE_NEWPID = 0x20000000  # of linux/sched.h
only_root = pytest.mark.skipif(
    not warm_worker.SUPPORTED or os.getuid() != 0, reason="only root can become somebody else"
)
numbers = itertools.count()


@pytest.fixture
def host():
    """The process with which an engine must end."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.fixture
def name(host) -> str:
    return warm_worker.worker_name(host.pid, f"test-{os.getpid()}-{next(numbers)}")


@pytest.fixture
def left(start_engine, host, name):
    """An engine that was left, and stays under ``name``."""
    engine = start_engine(CATALOGUES, str(host.pid), name)
    assert engine.check_pictures(1) is None
    engine.leave()
    yield psutil.Process(engine.pid)
    engine.close()


def joined(name: str, seconds: float = 20) -> RemoteEngine | None:
    """The engine that stays under this name, which may just have been left."""
    deadline = time.monotonic() + seconds
    while not (worker := warm_worker.join_worker(name)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return joined_engine(worker) if worker else None


def noise_picture(side: int = 40) -> RawPicture:
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    return RawPicture(side, side, 3, pixels.tobytes(), None, True)


def painted(engine: RemoteEngine, side: int = 40) -> bytes:
    (done,) = engine.paint([noise_picture(side)], FastRequest(find_styles("great-wave"), FastSettings()))
    return bytes(done.picture.data)


def ends(process: psutil.Process) -> bool:
    """Whether it ends, as it must, within two seconds."""
    try:
        process.wait(2)
    except psutil.TimeoutExpired:
        return False
    return True


def test_it_works_for_one_after_another(left, remote, name):
    for _ in range(3):
        engine = joined(name)
        assert engine.pid == left.pid
        assert painted(engine) == painted(remote)
        # Nobody else, while it works for somebody.
        assert warm_worker.join_worker(name) is None
        files = left.num_fds()
        engine.leave()
        with pytest.raises(EngineEndedError):  # for who left it
            engine.require_torch()
    engine = joined(name)
    engine.check_pictures(1)
    assert left.num_fds() <= files


def test_it_rests_after_a_while(left, remote, name):
    engine = joined(name)
    painted(engine, 1000)
    used = left.memory_info().rss
    engine.leave()
    # Somebody who comes by is no reason not to.
    time.sleep(1)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{name}")
    time.sleep(warm_worker.RELEASE_SECONDS + 1)
    assert left.memory_info().rss < used - 30 * 2**20
    assert painted(joined(name)) == painted(remote)


def test_it_is_in_nobodys_way(left, remote, name):
    """A new one that is left beside one that stays is too many."""
    other = start_worker([sys.executable, "-c", _program(), CATALOGUES, *_place(left)])
    assert painted(other) == painted(remote)
    second = psutil.Process(other.pid)
    other.leave()
    assert ends(second) and left.is_running()
    assert joined(name)


def test_one_can_be_started_for_others(host, name, remote):
    start_warm_worker([sys.executable, "-c", _program(), CATALOGUES, str(host.pid), name])
    engine = joined(name, 60)
    assert engine and painted(engine) == painted(remote)
    process = psutil.Process(engine.pid)
    engine.close()
    assert ends(process)


@pytest.mark.parametrize("way", ["its host ends", "somebody goes without a word", "nobody comes"])
def test_it_ends(start_engine, host, name, monkeypatch, way):
    if way == "nobody comes":
        monkeypatch.setenv(warm_worker.STAY_VARIABLE, "1")
    began = time.monotonic()
    engine = start_engine(CATALOGUES, str(host.pid), name)
    engine.leave()
    process = psutil.Process(engine.pid)
    assert process.is_running()
    if way == "its host ends":
        time.sleep(0.2)
        assert process.is_running()
        host.kill()
    elif way == "somebody goes without a word":
        joined(name).close()
    assert ends(process)
    if way == "nobody comes":
        assert time.monotonic() - began > 1


def test_one_that_still_works_does_not_stay(left, name):
    engine = joined(name)
    layer = engine.open_layer(noise_picture(1000), False)
    wish = PreviewRequest(tuple(find_styles("great-wave").items()), 100.0)
    threading.Thread(target=_until_it_ends, args=[engine, layer.number, wish], daemon=True).start()
    time.sleep(0.3)
    engine.leave()
    assert ends(left)


def test_one_that_has_loaded_pytorch_does_not_stay(left, name, slim_weights):
    engine = joined(name)
    how = IterativeRequest(noise_picture(), replace(PRESETS["default"], features=str(slim_weights)))
    engine.paint([noise_picture()], how, lambda progress: progress.iteration < 1)
    engine.leave()
    assert ends(left)


def test_it_ends_at_once_while_a_library_holds_python(host, name, tmp_path):
    """As some do while they load."""
    program = f"import ctypes, sys; sys.path.insert(0, {str(ROOT)!r})\n"
    program += "from plugin.engine.process import worker\nfrom plugin.engine.service import LocalEngine\n"
    program += "LocalEngine.require_torch = lambda self: ctypes.PyDLL(None).sleep(30)\nworker.main()"
    engine = start_worker([sys.executable, "-c", program, CATALOGUES, str(host.pid), name])
    process = psutil.Process(engine.pid)
    engine.leave()
    engine = joined(name)
    threading.Thread(target=_call_in_vain, args=[engine.require_torch], daemon=True).start()
    time.sleep(0.5)
    began = time.monotonic()
    engine.leave()
    assert time.monotonic() - began < 5  # nor is it waited for
    engine.close()
    assert ends(process)


def test_what_it_says_is_heard_by_whom_it_works_for(left, name):
    engine = joined(name)
    engine.check_pictures(1)
    engine._requests.write(b"no message")
    engine._requests.flush()
    with pytest.raises(
        EngineEndedError, match=r"ended unexpectedly \(_pickle.UnpicklingError.*\); try it once more"
    ) as told:
        engine.require_torch()
    assert "Traceback" in told.value.printed and "exit code" not in str(told.value)
    # Whoever comes next finds nobody.
    assert ends(left) and warm_worker.join_worker(name) is None


@pytest.mark.parametrize("who", ["another user", "a sandbox"])
@only_root
def test_it_works_for_nobody_else(left, name, who):
    assert _as_somebody_else(who, lambda: _is_let_in(name)) == 0
    assert joined(name)


@pytest.mark.parametrize("who", ["another user", "a sandbox"])
@only_root
def test_nobody_else_is_taken_for_it(name, who):
    readable, writable = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as thread:
        listener.bind(f"\0{name}")

        def is_told_anything() -> bool:
            listener.listen(1)  # who does this is at the other end
            os.write(writable, b"\n")
            connection, _ = listener.accept()
            connection.settimeout(10)
            with suppress(ConnectionError):  # already gone
                connection.send(warm_worker.GREETING)
                return connection.recv(1) != b""
            return False

        answer = thread.submit(_as_somebody_else, who, is_told_anything)
        os.read(readable, 1)
        assert warm_worker.join_worker(name) is None
        assert answer.result(20) == 0


def test_somebody_who_does_not_greet_is_not_waited_for(name):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen(1)
        began = time.monotonic()
        assert warm_worker.join_worker(name) is None
        assert time.monotonic() - began < warm_worker.GREETING_SECONDS + 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, warm_worker.DEFAULT_STAY_SECONDS),
        ("0", 0),
        ("30", 30),
        ("inf", warm_worker.MAX_STAY_SECONDS),
        ("soon", warm_worker.DEFAULT_STAY_SECONDS),
    ],
)
def test_the_user_says_for_how_long(monkeypatch, said, seconds):
    if said is None:
        monkeypatch.delenv(warm_worker.STAY_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(warm_worker.STAY_VARIABLE, said)
    assert warm_worker.stay_seconds() == seconds


def _until_it_ends(engine: RemoteEngine, layer: int, wish: PreviewRequest) -> None:
    with pytest.raises(EngineEndedError):
        while True:
            engine.preview(layer, wish, False, Stopper())


def _call_in_vain(function: Callable[[], object]) -> None:
    with pytest.raises(EngineEndedError):
        function()


def _is_let_in(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(f"\0{name}")
        return connection.recv(1) != b""


def _as_somebody_else(who: str, question: Callable[[], bool]) -> int:
    """What another user, or a process in a sandbox, answers: 0 for no."""
    child = os.fork()
    if not child:
        answer = 2
        try:
            if who == "another user":
                os.setuid(65534)
                answer = int(question())
            elif ctypes.CDLL(None).unshare(CLONE_NEWPID) == 0:  # of the children to come
                child = os.fork()
                answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else int(question())
        finally:
            os._exit(answer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _program() -> str:
    return f"import sys; sys.path.insert(0, {str(ROOT)!r}); from plugin.engine.process import worker; worker.main()"


def _place(process: psutil.Process) -> list[str]:
    return process.cmdline()[-2:]
