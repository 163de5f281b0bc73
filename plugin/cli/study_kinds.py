"""Studies from files to files: nst_core/studies/experiments.py in, sheets, tables and plots out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS, IterativeSettings
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS, ObjectiveSettings

if TYPE_CHECKING:
    from nst_core.studies.experiments import StudyProgress


# So few iterations tell something with the optimiser that gets furthest in them.
BASE = replace(PLAIN_SETTINGS, size=256, optimizer="lbfgs", iterations=100)


@dataclass(frozen=True)
class Kind:
    """A study by name: what it shows, whether it takes a style picture beside the first, and what it begins with."""

    text: str
    two_pictures: bool = True
    defaults: IterativeSettings = BASE


# What a layer knows is seen best without a loss that smooths the picture.
ROUGH = ObjectiveSettings(tv_weight=0.0)
KINDS = {
    "content-reconstruction": Kind(
        "what each content layer keeps of PICTURE, painted from noise",
        False,
        replace(BASE, objective=replace(ROUGH, content_layers=GATYS_STYLE_LAYERS)),
    ),
    "style-reconstruction": Kind(
        "the texture that each style layer, and all up to it, keep of PICTURE, painted from noise",
        False,
        replace(BASE, objective=ROUGH),
    ),
    "feature-maps": Kind("how channels of each layer answer to both pictures"),
    "optimizers": Kind("gradient descent, Adam with step decay and L-BFGS after equal iterations"),
    "weights": Kind("content weights against style layers"),
    "losses": Kind("a render step by step, with the loss of each style layer"),
    "pooling": Kind("maximum against average pooling"),
    "starts": Kind("a render begun with noise, the photo and the style picture"),
}


def run_study(
    name: str,
    picture: Path,
    style_image: Path | None,
    folder: Path,
    settings: IterativeSettings,
    progress: Callable[[StudyProgress], None],
    stage: Callable[[str, float], None],
    *,
    features: str,
    pooling: str,
    device: str,
    reference_photos: Path | None = None,
    content_weights: Sequence[float] = (),
) -> dict[str, Any]:
    """Run the study ``name`` of KINDS and write NAME.png and NAME.csv into ``folder``.

    If it has losses to show, NAME-losses.png and NAME-losses.csv too. ``stage`` is told what takes long before the
    first iteration, and its fraction. The folder is made if it is not there. Nothing
    is written before the study has ended. Raises StyleError, in one sentence, for whatever cannot be read, run or
    written.
    """
    from plugin.cli.figures import check_matplotlib, write_losses, write_sheet, write_table
    from plugin.cli.picture_files import check_folder, read_picture

    kind = KINDS[name]
    if kind.two_pictures and style_image is None:
        raise StyleError(f"The study {name} compares a photo with a style picture; give one with --style-image.")
    check_matplotlib()
    if not folder.is_dir():
        if folder.exists():
            raise StyleError(f"{folder} is a file; name a folder for the sheets.")
        check_folder(folder)
    from nst_core import devices
    from nst_core.features import catalogue as weights
    from nst_core.iterative.stages import peak_memory
    from nst_core.pictures.arrays import as_tensor
    from nst_core.studies import experiments as studies
    from plugin.engine.imaging.picture import network_input
    from plugin.engine.machine.memory import check_memory

    chosen = devices.choose_device(device)
    photo = as_tensor(network_input(read_picture(picture).picture)).to(chosen)
    style = photo if style_image is None else as_tensor(network_input(read_picture(style_image).picture)).to(chosen)

    def fetching(done: int, total: int) -> bool:
        stage(f"Fetching {features}", done / total)
        return True

    network = weights.load_features(features, pooling, reference_photos, fetching).to(chosen)
    need = peak_memory(network, settings, *photo.shape[-2:])
    check_memory(*need, chosen.type == "cuda", "A render at this size")
    materials = studies.Materials(photo, style, network, progress, content_weights or studies.CONTENT_WEIGHTS)
    found = getattr(studies, name.replace("-", "_"))(materials, settings)
    folder.mkdir(exist_ok=True)
    files = [folder / f"{name}.png", folder / f"{name}.csv"]
    write_sheet(found.sheet, files[0])
    write_table(found.rows, files[1])
    if found.losses:
        for suffix in (".png", ".csv"):
            files.append(folder / f"{name}-losses{suffix}")
            write_losses(found.sheet.title, found.losses, files[-1])
    return {
        "study": name,
        "files": [str(file) for file in files],
        "feature_network": network.name,
        "device": str(chosen),
        "results": found.rows,
    }
