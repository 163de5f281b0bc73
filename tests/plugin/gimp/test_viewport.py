"""The part of a picture that the dialog's preview shows."""

from __future__ import annotations

import importlib.util

import pytest

from plugin.engine.messages import Area, LayerView
from tests.conftest import ROOT

SPEC = importlib.util.spec_from_file_location("viewport", ROOT / "plugin/gimp/neural-style/gui/viewport.py")
assert SPEC and SPEC.loader
MODULE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MODULE)
WHOLE_VIEW = Area(0, 0, 1200, 800)


@pytest.fixture
def viewport():
    """A large picture in a small widget."""
    viewport = MODULE.Viewport(1200, 800)
    viewport.resize(600, 500)
    return viewport


def test_whole_picture_fits_and_grows_with_the_widget(viewport):
    assert viewport.view() == LayerView(WHOLE_VIEW, 600, 400) and viewport.rectangle(WHOLE_VIEW) == (0, 50, 600, 450)
    assert viewport.resize(900, 900) and not viewport.resize(900, 900)
    assert viewport.view() == LayerView(WHOLE_VIEW, 900, 600)
    viewport.resize(3000, 2000)
    assert viewport.view() == LayerView(WHOLE_VIEW, 1200, 800)  # it is not enlarged
    assert viewport.rectangle(WHOLE_VIEW) == (900, 600, 2100, 1400)


def test_full_size_shows_whole_pixels(viewport):
    viewport.zoom(1.0)
    assert viewport.view() == LayerView(Area(300, 150, 600, 500), 600, 500)
    assert viewport.rectangle(viewport.view().area) == (0, 0, 600, 500)
    assert viewport.movable


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.0, 5.0])
def test_zoom_leaves_the_point_under_the_mouse_in_place(viewport, scale):
    viewport.zoom(1.0)
    viewport.zoom(scale, (200, 300))
    left, top, _, _ = viewport.rectangle(Area(500, 450, 1, 1))  # which was there
    assert abs(left - 200) <= 1 + scale and abs(top - 300) <= 1 + scale


def test_zoom_stops_at_full_size_and_at_the_whole_picture(viewport):
    viewport.zoom(0.9)
    viewport.zoom_by(1)
    assert viewport.scale == 1
    viewport.zoom_by(20)
    assert viewport.scale == MODULE.LARGEST_SCALE
    viewport.zoom_by(-100)
    assert viewport.scale == 1
    viewport.zoom_by(-100)
    assert viewport.scale == viewport.fit_scale and viewport.view() == LayerView(WHOLE_VIEW, 600, 400)


def test_picture_cannot_be_moved_out_of_sight(viewport):
    viewport.zoom(1.0)
    viewport.move(10_000, -10_000)
    assert viewport.visible_area() == Area(0, 300, 600, 500)
    viewport.move(-100, 30)
    assert viewport.visible_area() == Area(100, 270, 600, 500)
    viewport.fit()
    viewport.move(50, 50)  # all of it is seen
    assert viewport.rectangle(WHOLE_VIEW) == (0, 50, 600, 450)


def test_smallest_scale_keeps_the_picture_large_and_is_forgotten(viewport):
    viewport.smallest_scale = 1.0
    assert viewport.scale == 1 > viewport.fit_scale
    assert viewport.visible_area() == Area(300, 150, 600, 500)
    viewport.zoom_by(-3)
    assert viewport.scale == 1
    viewport.smallest_scale = 0.0
    viewport.fit()
    assert viewport.scale == viewport.fit_scale


@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (9000, 1)])
def test_extreme_shapes_have_a_view(size):
    viewport = MODULE.Viewport(*size)
    for room in ((1, 1), (300, 200)):
        viewport.resize(*room)
        for scale in (None, 1.0, 3.0):
            viewport.fit() if scale is None else viewport.zoom(scale)
            view = viewport.view()
            assert 1 <= view.width <= max(1, round(view.area.width)) and 1 <= view.height <= view.area.height + 1
            assert view.area.left + view.area.width <= size[0] and view.area.top + view.area.height <= size[1]
