"""``neural-style doctor``, in a process of its own where it says so."""

from plugin.cli.commands import doctor
from plugin.engine.machine import paths, provider
from tests.plugin.command_line import json_report
from tests.style_files import style_with_metadata


def test_doctor_reports_every_part(run):
    report = json_report(run("doctor", "--json"))
    assert {
        "python",
        "packages",
        "not_installed",
        "execution_providers",
        "gpu",
        "gimp",
        "styles",
        "feature_networks",
    } <= set(report)


def test_missing_packages_are_named_with_their_use(monkeypatch):
    modules = {"numpy": "NumPy, for pictures", "no_such_module": "Nothing, for a test"}
    monkeypatch.setattr(doctor, "OPTIONAL_MODULES", modules)
    assert doctor.not_installed() == ["Nothing, for a test"]


def test_gpu_is_tried_with_a_bundled_style(tmp_path, monkeypatch):
    """Also if a style of the user's comes first."""
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path))
    paths.user_styles_folder().mkdir(parents=True)
    style_with_metadata(paths.user_styles_folder() / "first.onnx", {"name": "first", "title": "A A"})
    tried = []
    monkeypatch.setattr(provider, "cuda_problem", tried.append)
    report = doctor.examine()
    assert report["styles"][0].startswith("first ")
    assert [path.parent for path in tried] == [paths.bundled_styles_folder()]
