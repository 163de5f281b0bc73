"""The GIMP 3 of this machine, and style files whose results are known beforehand."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from plugin.engine.machine import gimps, paths
from tests.host.desktop import Desktop
from tests.host.gimp import Screen, Session, environment, make_profile
from tests.style_files import negative_style

HERE = Path(__file__).parent
summary_lines: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.host)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if summary_lines:
        terminalreporter.section("GIMP")
        for line in summary_lines:
            terminalreporter.line(line)


def skip_or_fail(reason: str) -> None:
    """Skip the test, or fail it if the machine should have everything that the tests need."""
    if os.environ.get("NEURAL_STYLE_REQUIRE_HOST") == "1":
        pytest.fail(f"NEURAL_STYLE_REQUIRE_HOST=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def gimp() -> gimps.Gimp:
    """The first GIMP 3 on this machine."""
    candidates = [gimp for gimp in gimps.find_gimps() if gimp.console]
    if not candidates:
        skip_or_fail("there is no GIMP 3 on this machine")
    if Path(sys.prefix).resolve() != paths.environment_folder().resolve():
        skip_or_fail("the filter runs in the private environment, so these tests must too: python3 install.py test")
    gimp = candidates[0]
    python = ".".join(map(str, gimp.python_version or ()))
    summary_lines.append(f"GIMP {gimp.version} ({gimp.console}), its Python {python}")
    return gimp


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory) -> Path:
    """A folder for screenshots to look at later: NEURAL_STYLE_ARTIFACTS, or one of pytest's."""
    named = os.environ.get("NEURAL_STYLE_ARTIFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    summary_lines.append(f"Screenshots: {folder}")
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """The folder of a user who has one style: the negative of the picture."""
    folder = tmp_path_factory.mktemp("home")
    styles = folder / "styles"
    styles.mkdir()
    onnx.save(negative_style(), styles / "negative.onnx")
    return folder


@pytest.fixture(scope="session")
def variables(gimp, home, tmp_path_factory) -> dict[str, str]:
    """The environment of a GIMP whose fresh profile serves all tests that run the filter without a dialog."""
    return environment(make_profile(tmp_path_factory.mktemp("gimp") / "profile"), home)


@pytest.fixture(scope="session")
def session(gimp, variables, tmp_path_factory) -> Iterator[Session]:
    """One GIMP without a screen for all tests that only call it."""
    with Session(gimp.console, variables, tmp_path_factory.mktemp("log") / "gimp.log") as session:
        yield session


@pytest.fixture
def screen(request) -> Iterator[Screen]:
    """A virtual screen; parametrize it indirectly with the arguments of another Screen."""
    for program in ("Xvfb", "xdotool", "xwininfo", "scrot", "openbox"):
        require_program(program)
    with Screen(**getattr(request, "param", {})) as screen:
        yield screen


@pytest.fixture
def desktop(gimp, screen, artifacts, tmp_path) -> Desktop:
    """A virtual screen, and the GIMP to start on it."""
    return Desktop(gimp, screen, tmp_path, artifacts)


@pytest.fixture
def features(request) -> str:
    """A feature network's weights file: the real slim VGG-19 if it is on disk, else random weights of its layout."""
    folder = Path(os.environ.get("NEURAL_STYLE_ASSETS", HERE.parents[2] / "shared"))
    real = folder / "weights" / "vgg19_distilled16x_conv5_1.safetensors"
    return str(real if real.is_file() else request.getfixturevalue("slim_weights"))


def require_program(program: str) -> None:
    """Skip or fail the test if a program is not on PATH."""
    if not shutil.which(program):
        skip_or_fail(f"there is no {program} on this machine")
