"""Run a study of nst_core/studies in PyTorch, which is imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.recipes import Recipe
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.iterative.iterative_painting import require_torch
from plugin.engine.machine.memory import check_memory
from plugin.engine.stage_progress import StageCallback, download_stage

if TYPE_CHECKING:
    from nst_core.studies.sheets import Findings
    from nst_core.studies.study_renders import StudyProgress


@dataclass(frozen=True, eq=False)
class StudyRequest:
    """A study to run.

    Attributes:
        name: a key of nst_core.studies.kinds.KINDS.
        picture, style_picture: a study of two pictures needs both.
        recipe: how its renders are made.
        device: ``auto``, ``cuda`` or ``cpu``.
        reference_photos: a folder or tar of photos that scale the feature network (see features/catalogue.py).
        content_weights: those that the study ``weights`` compares; empty for its defaults.
    """

    name: str
    picture: Picture
    style_picture: Picture | None
    recipe: Recipe
    device: str = "auto"
    reference_photos: Path | None = None
    content_weights: Sequence[float] = ()


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The results of a study, and the names of the device and the feature network that computed them."""

    findings: Findings
    device: str
    feature_network: str


def run_study(
    request: StudyRequest,
    progress: Callable[[StudyProgress], None],
    stage: StageCallback,
) -> StudyResult:
    """Run a study.

    ``progress`` is called after every iteration, and ``stage``, with a phrase and a fraction, during the slow work
    before the first one. Raises StyleError if PyTorch or the feature weights are missing, memory is too short, or the
    settings cannot be rendered.
    """
    require_torch()
    from nst_core.devices import choose_device
    from nst_core.features.catalogue import load_features
    from nst_core.iterative.stages import peak_memory
    from nst_core.pictures.arrays import as_tensor
    from nst_core.studies.registry import STUDIES
    from nst_core.studies.study_renders import CONTENT_WEIGHTS, StudyInputs

    recipe, device = request.recipe, choose_device(request.device)
    photo = as_tensor(network_input(request.picture)).to(device)
    style = photo if request.style_picture is None else as_tensor(network_input(request.style_picture)).to(device)
    network = load_features(
        recipe.features, recipe.pooling, request.reference_photos, download_stage(recipe.features, stage)
    )
    network = network.to(device)
    need = peak_memory(network, recipe.settings, *photo.shape[-2:])
    check_memory(*need, device.type == "cuda", "A render at this size")
    inputs = StudyInputs(photo, style, network, progress, request.content_weights or CONTENT_WEIGHTS)
    return StudyResult(STUDIES[request.name](inputs, recipe.settings), str(device), network.name)
