"""The GIMP 3 of this machine, and style files whose results can be told beforehand."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from plugin.engine.machine import gimps as hosts
from plugin.engine.machine import paths
from tests.host.gimp import Session, environment, make_profile
from tests.style_files import negative_style

HERE = Path(__file__).parent
told: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.host)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if told:
        terminalreporter.section("GIMP")
        for line in told:
            terminalreporter.line(line)


def unavailable(reason: str) -> None:
    """Skip the test, or fail it where the machine was promised to have everything."""
    if os.environ.get("NEURAL_STYLE_REQUIRE_HOST") == "1":
        pytest.fail(f"NEURAL_STYLE_REQUIRE_HOST=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def gimp() -> hosts.Gimp:
    """The first GIMP 3 that is found."""
    found = [gimp for gimp in hosts.find_gimps() if gimp.console]
    if not found:
        unavailable("there is no GIMP 3 on this machine")
    if Path(sys.prefix).resolve() != paths.environment_folder().resolve():
        unavailable("the filter runs in the private environment, and so must these tests: python3 install.py test")
    gimp = found[0]
    told.append(f"GIMP {gimp.version} ({gimp.console}), its Python {'.'.join(map(str, gimp.python_version or ()))}")
    return gimp


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory) -> Path:
    """A folder for pictures to look at afterwards: NEURAL_STYLE_ARTIFACTS, or one of pytest's."""
    named = os.environ.get("NEURAL_STYLE_ARTIFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    told.append(f"Screenshots: {folder}")
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
    """The environment of a GIMP with a fresh profile, which lasts for all tests: they run the filter with no dialog."""
    return environment(make_profile(tmp_path_factory.mktemp("gimp") / "profile"), home)


@pytest.fixture(scope="session")
def session(gimp, variables, tmp_path_factory) -> Iterator[Session]:
    """One GIMP without a screen for all tests that only call it."""
    with Session(gimp.console, variables, tmp_path_factory.mktemp("log") / "gimp.log") as session:
        yield session


@pytest.fixture
def features(request) -> str:
    """A feature network's weights file: the real slim VGG-19 if it is there, else random ones of its layout."""
    folder = Path(os.environ.get("NEURAL_STYLE_ASSETS", HERE.parents[2] / "shared"))
    real = folder / "weights" / "vgg19_distilled16x_conv5_1.safetensors"
    return str(real if real.is_file() else request.getfixturevalue("slim_weights"))


def needed(program: str) -> None:
    """Skip or fail without a program on PATH."""
    if not shutil.which(program):
        unavailable(f"there is no {program} on this machine")
