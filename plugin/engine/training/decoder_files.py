"""Train a decoder of instant painting, from files to a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import DecoderSettings
from nst_core.devices import choose_device
from nst_core.features import weight_files
from nst_core.features.catalogue import load_features
from nst_core.features.vgg import VGGNetwork, build_slim
from nst_core.instant.decoder import Decoder, channels_of, psnr, read_decoder, save_decoder, trunk_of
from nst_core.instant.decoder_training import DECODER_LEAST_CROP, DecoderData, DecoderTraining
from nst_core.instant.warm_start import start_from_decoder, start_from_photos
from nst_core.pictures.photos import Photos
from nst_core.resumable_training import StepLosses
from plugin.engine.training.device_tuning import intervals_for, photos_for

WARM_START_PHOTOS = 120


@dataclass(frozen=True)
class DecoderRequest:
    """A training of a decoder.

    Attributes:
        photos, paintings: folders or tars of pictures to learn from.
        output: the decoder's file; its checkpoint is next to it, with the suffix .checkpoint.
        start: the file of a decoder that a new training begins with, one of ours or a slim one of Wang et al. 2020.
        start_encoder: the file of the encoder of a slim ``start``.
        held_out: photos that the training does not see, to measure how well the decoder reconstructs them.
        device: as for ``choose_device``.
    """

    photos: Path
    paintings: Path
    output: Path
    settings: DecoderSettings
    start: Path | None = None
    start_encoder: Path | None = None
    held_out: Path | None = None
    device: str = "auto"


def train_decoder(request: DecoderRequest, progress: Callable[[StepLosses], bool]) -> dict[str, Any]:
    """Train a decoder, save it, and return a report.

    The checkpoint is kept up to date, and an existing one is resumed. Raises StyleError for whatever cannot be read or
    written.
    """
    device, settings, output = choose_device(request.device), request.settings, request.output
    encoder = trunk_of(load_features("compact"))
    photos, paintings = (
        photos_for(source, settings.crop, device, DECODER_LEAST_CROP) for source in (request.photos, request.paintings)
    )
    held_out = Photos(request.held_out, settings.crop) if request.held_out else None
    data = DecoderData(encoder, photos, paintings, lambda: _start(request, encoder), device)
    training = DecoderTraining(data, settings, output.with_suffix(".checkpoint"), intervals_for(device))
    decoder = training.run(progress)
    origin = {
        "steps": str(training.step_count),
        "settings": json.dumps(asdict(settings)),
        "started_from": request.start.name if request.start else "",
        "photos": str(len(photos)),
        "paintings": str(len(paintings)),
    }
    save_decoder(decoder, output, origin)
    report: dict[str, Any] = {"output": str(output), "level": settings.level, "steps": training.step_count}
    report["photos_skipped"] = [*photos.skipped, *paintings.skipped]
    if held_out:
        report["psnr"] = _psnr(output, encoder, held_out, device)
    return report


def _start(request: DecoderRequest, encoder: VGGNetwork) -> Decoder:
    """Return the decoder that a new training begins with."""
    level = request.settings.level
    if request.start is None:
        decoder = Decoder(level, channels_of(encoder, level))
        start_from_photos(decoder, encoder, _warm_photos(request))
        return decoder
    if request.start_encoder is None:
        decoder = read_decoder(request.start)
        if decoder.level != level:
            raise StyleError(f"{request.start} is of level {decoder.level}, not {level}; give one of the same level.")
        return decoder
    decoder = Decoder(level, channels_of(encoder, level))
    slim_encoder = weight_files.read(request.start_encoder)
    if slim_encoder.layout != "slim":
        raise StyleError(f"{request.start_encoder} is not a slim encoder; give the one of the decoder to start from.")
    network = build_slim(request.start_encoder.stem, slim_encoder.state).without_heads()
    weights = weight_files.convolutions(request.start)
    start_from_decoder(decoder, encoder, weights, network, _warm_photos(request))
    return decoder


def _warm_photos(request: DecoderRequest) -> list[torch.Tensor]:
    return list(Photos(request.photos, request.settings.crop).wholes(WARM_START_PHOTOS))


def _psnr(output: Path, encoder: VGGNetwork, photos: Photos, device: torch.device) -> float:
    """Return the mean PSNR of held-out photos, by the decoder as it was saved, in half precision."""
    decoder = read_decoder(output).to(device)
    values = [psnr(decoder, encoder.to(device), photo.to(device)) for photo in photos.wholes()]
    return round(sum(values) / len(values), 2)
