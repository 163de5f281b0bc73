"""The defaults and ranges that the filter states itself, because GIMP asks for them before the engine is loaded."""

from unittest.mock import MagicMock

import pytest

from nst_core.base.iterative_settings import ITERATIVE_RANGES, IterativeSettings
from nst_core.base.recipes import Recipe
from nst_core.style_file import DETAIL_RANGE
from plugin.engine.fast.fast_settings import STROKE_SIZE_RANGE, FastSettings
from plugin.engine.imaging.blend_settings import STRENGTH_RANGE
from plugin.engine.instant.instant_settings import SWAP_RANGE, InstantSettings
from plugin.engine.regions.region_settings import FEATHER_RANGE, PROTECTED_STRENGTH, RegionSettings


@pytest.fixture
def defaults(filter_module):
    """The default of each argument by its name."""
    procedure = MagicMock()
    filter_module("procedure_arguments").add_settings(procedure)
    calls = [call for call in procedure.method_calls if call[0].endswith("_argument") and "file" not in call[0]]
    return {call.args[0]: call.args[-2] for call in calls}


def test_defaults_of_the_filter_match_the_engine(defaults):
    settings, fast = IterativeSettings(), FastSettings()
    assert defaults == {
        "style": "great-wave",
        "strength": fast.blend.strength,
        "detail": -1.0,  # the style's own
        "stroke-size": fast.stroke_size,
        "full-resolution": fast.full_resolution,
        "keep-colors": fast.blend.keep_colors,
        "method": "auto",
        "motifs": InstantSettings().motifs,
        "brushwork": InstantSettings().brushwork,
        "size": settings.size,
        "iterations": settings.iterations,
        "features": Recipe().features,
        "regions": "",
        "feather": RegionSettings().feather,
        "protect": "",
        "protected-strength": PROTECTED_STRENGTH,
    }


def test_ranges_of_the_filter_match_the_engine(filter_module):
    assert {
        "strength": STRENGTH_RANGE,
        "detail": (-1, DETAIL_RANGE[1]),
        "stroke-size": STROKE_SIZE_RANGE,
        "motifs": SWAP_RANGE,
        "brushwork": SWAP_RANGE,
        "size": ITERATIVE_RANGES["size"],
        "iterations": ITERATIVE_RANGES["iterations"],
        "feather": FEATHER_RANGE,
        "protected-strength": STRENGTH_RANGE,
    } == filter_module("procedure_arguments").RANGES


def test_normal_quality_matches_the_engine_default(filter_module):
    settings = IterativeSettings()
    _, size, iterations = filter_module("gui.style_picture_page").QUALITIES["normal"]
    assert (size, iterations) == (settings.size, settings.iterations)
