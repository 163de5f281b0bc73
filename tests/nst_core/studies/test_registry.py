import pytest

torch = pytest.importorskip("torch")

from nst_core.studies.kinds import KINDS
from nst_core.studies.registry import STUDIES


def test_every_study_has_a_name():
    assert list(STUDIES) == list(KINDS)
    assert [study.__name__ for study in STUDIES.values()] == [name.replace("-", "_") for name in KINDS]
