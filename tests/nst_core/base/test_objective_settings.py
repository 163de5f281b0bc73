import pytest

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import ObjectiveSettings


def test_settings_that_contradict_cannot_be_made():
    with pytest.raises(StyleError, match="always centred"):
        ObjectiveSettings(style_loss="w2", centred=False)
