"""Which method paints in the style of a picture, for people, scripts and records of older versions."""

from types import SimpleNamespace

import pytest


class Config(dict):
    """The settings, as GIMP's configuration gives and takes them."""

    get_property = dict.__getitem__
    set_property = dict.__setitem__


@pytest.fixture
def arguments(filter_module):
    module = filter_module("procedure_arguments")
    module.Gimp = SimpleNamespace(RunMode=SimpleNamespace(INTERACTIVE=0, NONINTERACTIVE=1, WITH_LAST_VALS=2))
    return module


@pytest.mark.parametrize(
    ("method", "picture", "run_mode", "expected"),
    [
        ("auto", "a.jpg", 0, "instant"),  # people get the quick one
        ("auto", None, 0, "instant"),
        ("auto", "a.jpg", 1, "iterative"),  # scripts get the one that they asked for before there were two
        ("auto", "a.jpg", 2, "iterative"),
        ("auto", None, 1, "auto"),
        ("iterative", "a.jpg", 0, "iterative"),
        ("instant", "a.jpg", 1, "instant"),
    ],
)
def test_method_auto_depends_on_who_asks(arguments, method, picture, run_mode, expected):
    config = Config({"method": method, "style-image": picture, "regions": ""})
    arguments.settle_method(config, run_mode)
    assert config["method"] == expected
    assert arguments.is_iterative(config) == (picture is not None and expected == "iterative")


def test_older_record_of_a_picture_is_edited_by_a_render(filter_module):
    records = filter_module("records")
    for settings, expected in (
        ({"style-image": "file:///a.jpg", "size": 64}, "iterative"),
        ({"style-image": "file:///a.jpg", "method": "instant"}, "instant"),
        ({"style-image": None, "style": "udnie"}, "auto"),
    ):
        config = Config({"method": "auto"})
        records.apply_settings(settings, config)
        assert config["method"] == expected
