"""The studies by the names of kinds.py."""

from __future__ import annotations

from collections.abc import Callable

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.studies.feature_maps import feature_maps
from nst_core.studies.loss_curves import losses
from nst_core.studies.optimizer_comparison import optimizers
from nst_core.studies.reconstruction import content_reconstruction, style_reconstruction
from nst_core.studies.setting_comparison import pooling, starts, weights
from nst_core.studies.sheets import Findings
from nst_core.studies.study_renders import StudyInputs

STUDIES: dict[str, Callable[[StudyInputs, IterativeSettings], Findings]] = {
    "content-reconstruction": content_reconstruction,
    "style-reconstruction": style_reconstruction,
    "feature-maps": feature_maps,
    "optimizers": optimizers,
    "weights": weights,
    "losses": losses,
    "pooling": pooling,
    "starts": starts,
}
