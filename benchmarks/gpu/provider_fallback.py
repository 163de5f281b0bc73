"""Check which provider paints with and without a GPU, whether both paint the same, and what happens without memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.gpu_options import SHORT_PART_SECONDS, GpuOptions, chosen_styles
from benchmarks.inference.backends import sample_photo
from benchmarks.measuring.record_files import Record, write_json
from benchmarks.measuring.timing import Deadline
from nst_core.base.errors import StyleError
from nst_core.style_file import Style
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.network_run import run_network
from plugin.engine.fast.style_library import list_styles
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.provider import CUDA, choose_provider, open_session

ALLOWED_DIFFERENCE = 2.0  # between a GPU's and a CPU's painting, in 8-bit levels
SPARE_GPU_BYTES = 200 * 2**20  # of GPU memory that stay free when a picture is to run out of it
SMALL_SIDE, LARGE_SIDE = 512, 4096  # pixels
# Python code that prints the provider chosen for the style file in its argument.
CHOOSE_PROVIDER = (
    "import dataclasses, json, pathlib, sys; from plugin.engine.machine.provider import choose_provider as choose; "
    "print(json.dumps(dataclasses.asdict(choose('auto', pathlib.Path(sys.argv[1])))))"
)


def check_fallback(options: GpuOptions, deadline: Deadline) -> bool:
    """Write the record of providers, differences and memory to OUT; return whether it is there."""
    if options.fallback_file.exists():
        return True
    if deadline.reached(SHORT_PART_SECONDS):
        return False
    styles = chosen_styles(options) if options.style else list_styles()
    provider = choose_provider("auto", styles[0].path)
    record: Record = {"provider": asdict(provider), "without": _provider_without_gpu(styles[0])}
    if provider.name == CUDA:
        picture = _opaque(_sample_rgb(SMALL_SIDE))
        record["differences"] = {style.title: _difference(picture, style) for style in styles}
        record["memory"] = _run_out_of_memory(picture, styles[0])
    write_json(options.fallback_file, record)
    return True


def _provider_without_gpu(style: Style) -> Any:
    """Return the provider that a process chooses which sees no GPU."""
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE_PROVIDER, str(style.path)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _sample_rgb(side: int) -> np.ndarray:
    """Return a sample photo as a square, float32 [side, side, 3] in 0..1."""
    rgb: np.ndarray = sample_photo(side)[0].transpose(1, 2, 0)
    return rgb


def _opaque(rgb: np.ndarray) -> Picture:
    return Picture(np.dstack([rgb, np.ones_like(rgb[..., :1])]))


def _difference(picture: Picture, style: Style) -> float:
    """Return the largest difference between the GPU's and the CPU's painting, in 8-bit levels."""
    paintings = [paint_fast(picture, {style: 1.0}, FastSettings(device=device)).pixels for device in ("cpu", "cuda")]
    return float(np.abs(paintings[0] - paintings[1]).max() * 255)


def _run_out_of_memory(picture: Picture, style: Style) -> Record:
    """Fill the GPU's memory, paint a large picture, empty it and paint ``picture``.

    Returns the error from the check before painting, the error from the runtime itself (None if there is none), and the
    difference of the last painting.
    """
    session = open_session(style.path, choose_provider("cuda", style.path))
    rgb = _sample_rgb(LARGE_SIDE)
    filled = torch.empty(torch.cuda.mem_get_info()[0] - SPARE_GPU_BYTES, dtype=torch.uint8, device="cuda")
    settings = FastSettings(device="cuda", full_resolution=True)
    record: Record = {
        "before": _error_of(lambda: paint_fast(_opaque(rgb), {style: 1.0}, settings)),
        "runtime": _error_of(lambda: run_network(session, rgb, np.ones((1, 1), np.float32))),
    }
    del filled
    torch.cuda.empty_cache()
    return record | {"difference_after": _difference(picture, style)}


def _error_of(paint: Callable[[], object]) -> str | None:
    try:
        paint()
    except StyleError as error:
        return str(error)
    return None
