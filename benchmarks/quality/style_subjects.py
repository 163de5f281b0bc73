"""Read the styles that are judged, with everything that they were trained with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measuring.pictures import read_picture_tensor
from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.base.training_settings import TrainSettings, training_settings_from
from nst_core.devices import choose_device
from nst_core.fast.style_pictures import prepare_style_picture
from nst_core.features.catalogue import load_features
from nst_core.features.network import FeatureNetwork
from nst_core.losses.objective import Objective
from nst_core.style_file import Style
from plugin.engine.fast.style_library import find_styles, list_styles

# The files in ASSETS/styles of the styles that come with Neural Style.
PAINTINGS = {
    "great-wave": "wave.jpg",
    "udnie": "udnie.jpg",
    "rain-princess": "rain_princess.jpg",
    "la-muse": "la_muse.jpg",
    "the-scream": "the_scream.jpg",
    "shipwreck": "wreck.jpg",
    "starry-night": "starry_night.jpg",
    "composition-vii": "composition_vii.jpg",
    "edtaonisl": "edtaonisl.jpg",
    "metzinger": "delaunay_metzinger.jpg",
    "woman-with-hat": "woman_with_hat.jpg",
    "wheat-field": "vangogh_wheatfield.jpg",
}


@dataclass(frozen=True)
class SubjectOptions:
    """Which styles are judged.

    Attributes:
        assets: the folder with weights and paintings.
        styles: names or files; None for all styles.
        paintings: the files of paintings that are not in PAINTINGS, by the style's name.
        device: as for ``choose_device``.
    """

    assets: Path
    styles: Sequence[str] | None
    paintings: Mapping[str, Path]
    device: str

    @property
    def weights(self) -> Path:
        """The folder with the weights of feature networks."""
        return self.assets / "weights"

    def painting_of(self, style: Style) -> Path:
        """Return the file of a style's painting. Raises StyleError if it is not known."""
        if style.name in self.paintings:
            return self.paintings[style.name]
        if style.name in PAINTINGS:
            return self.assets / "styles" / PAINTINGS[style.name]
        raise StyleError(f"The painting of {style.name} is not known; give it with --painting {style.name}=FILE.")


@dataclass(frozen=True, eq=False)
class StyleSubject:
    """A style and what it was trained with.

    Attributes:
        painting: [1, 3, H, W] in 0..1.
        features: the feature network of its losses.
    """

    style: Style
    painting: Tensor
    features: FeatureNetwork
    settings: TrainSettings

    @property
    def objective(self) -> ObjectiveSettings:
        """The settings of the losses."""
        return self.settings.objective

    @property
    def style_picture(self) -> Tensor:
        """The painting as the losses see it."""
        return prepare_style_picture(self.painting, self.settings)

    @property
    def style_size(self) -> int:
        """The size of the painting for the losses, in pixels."""
        return self.settings.style_size

    def objective_function(self, photos: Tensor) -> Callable[[Tensor], float]:
        """Return a function that computes the mean objective of paintings of ``photos``, both [N, 3, H, W]."""
        objective = Objective(self.features, self.objective, [self.style_picture])
        targets = objective.content_targets(photos)

        def mean_objective(paintings: Tensor) -> float:
            with torch.no_grad():
                return objective(paintings, targets)["total"].item()

        return mean_objective


def read_subjects(options: SubjectOptions) -> list[StyleSubject]:
    """Read the chosen styles. Raises StyleError if one does not say how it was trained, or if a file is missing."""
    device = choose_device(options.device)
    styles = [style for name in options.styles for style in find_styles(name)] if options.styles else list_styles()
    networks: dict[str, FeatureNetwork] = {}
    subjects = []
    for style in styles:
        settings, file = training_settings_of(style), options.painting_of(style)
        name = style.trained["feature_network"]
        if name not in networks:
            networks[name] = load_feature_network(name, options.weights).to(device)
        subjects.append(StyleSubject(style, read_picture_tensor(file, device), networks[name], settings))
    return subjects


def training_settings_of(style: Style) -> TrainSettings:
    """Return the settings that a style was trained with, from its file.

    Raises StyleError if the file does not contain them, as for an imported style.
    """
    try:
        return training_settings_from(json.loads(style.trained["settings"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StyleError(f"{style.name} does not say how it was trained; choose others with --style.") from error


def load_feature_network(name: str, weights: Path) -> FeatureNetwork:
    """Load the feature network that a style file names; its weights are in the folder ``weights``."""
    return load_features(*features_source(name, weights))


def features_source(name: str, weights: Path) -> tuple[str, str]:
    """Return source and pooling, for ``load_features``, of a feature network that a style file names.

    Its weights are in the folder ``weights``.
    """
    files = {path.stem: path for path in sorted(weights.glob("*.*"))}
    parts = [part.removesuffix("-average") for part in name.split("+")]
    pooling = "average" if name.endswith("-average") else "max"
    return "+".join(str(files.get(part, part)) for part in parts), pooling
