"""The folders of Neural Style."""

from __future__ import annotations

import sys

import pytest

from plugin.engine.machine import paths


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG is for Linux")
def test_folders_follow_xdg_and_neural_style_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NEURAL_STYLE_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "relative paths are ignored")
    assert paths.environment_folder() == tmp_path / "home/.local/share/neural-style/environment"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert paths.user_styles_folder() == tmp_path / "data/neural-style/styles"
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "own"))
    assert paths.user_styles_folder() == tmp_path / "own/styles"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG is for Linux")
def test_user_without_a_home_gets_folders_that_do_not_exist(monkeypatch):
    for name in ("HOME", "NEURAL_STYLE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # raises KeyError, as for an unknown user
    assert not paths.user_styles_folder().exists() and paths.user_styles_folder().name == "styles"
