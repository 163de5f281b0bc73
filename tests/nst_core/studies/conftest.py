"""Two photos of ours, the feature network compact, and settings of short renders."""

from dataclasses import replace

import pytest

from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.objective_settings import ObjectiveSettings


@pytest.fixture(scope="session")
def compact():
    pytest.importorskip("torch")
    from nst_core.features.catalogue import load_features

    return load_features("compact")


@pytest.fixture
def settings():
    objective = ObjectiveSettings(tv_weight=0.0)
    return replace(PLAIN_SETTINGS, objective=objective, size=64, iterations=40, optimizer="lbfgs")


@pytest.fixture
def with_layers(settings):
    """Makes the same settings with other layers."""

    def make(**layers):
        return replace(settings, objective=replace(settings.objective, **layers))

    return make


@pytest.fixture
def seen():
    """Collects the progress of a study."""
    return []


@pytest.fixture
def inputs(compact, read_photo, samples, seen):
    from nst_core.studies.study_renders import StudyInputs

    pair = [read_photo(samples / name, 96) for name in ("chelsea.jpg", "coffee.jpg")]
    return StudyInputs(*pair, compact, seen.append)


@pytest.fixture
def check_progress(seen):
    """Checks that each iteration was reported and that the total was right."""

    def check():
        assert [step.done for step in seen] == list(range(1, len(seen) + 1))
        assert seen[-1].total == len(seen)

    return check
