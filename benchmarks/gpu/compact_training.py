"""Train the feature network ``compact`` at its full budget, and judge it with the bundled one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import compact
from benchmarks.gpu.gpu_options import SHORT_PART_SECONDS, GpuOptions
from benchmarks.iterative.methods import best_features
from benchmarks.measuring.record_files import Record, markdown_table, read_json, write_json
from benchmarks.measuring.timing import Deadline
from nst_core.base.training_settings import DistillSettings
from nst_core.resumable_training import StepLosses
from plugin.engine.training.feature_training import DistillRequest, distill_features

# As many pictures as a style's training has: first small ones, then also ones that it paints itself, then for its last
# layers alone (docs/compact.md says why).
STAGES = (
    DistillSettings(steps=10_000, batch=64, crop=128, rendered=0, mixed_precision=True),
    DistillSettings(
        steps=4_000, batch=16, crop=224, rendered=8, gram_weight=1.0, learning_rate=1e-3, mixed_precision=True, seed=1
    ),
    DistillSettings(
        steps=2_000,
        batch=16,
        crop=224,
        rendered=8,
        gram_weight=2.0,
        learning_rate=8e-4,
        first_layer="relu4_1",
        mixed_precision=True,
        seed=2,
    ),
)


def train_compact(options: GpuOptions, deadline: Deadline) -> bool:
    """Train in stages, each from the result of the one before, then run ``benchmarks.compact`` for both networks."""
    folder = options.out / "compact"
    folder.mkdir(parents=True, exist_ok=True)
    records: list[Record] = read_json(folder / "stages.json") or []
    network = None
    for number, settings in enumerate(STAGES):
        if number == len(records):
            records.append({"seconds": 0.0, "steps": 0, "done": False})
        start, network = network, folder / f"stage-{number + 1}.safetensors"
        if not records[number]["done"]:
            if deadline.reached():
                return False
            request = _distill_request(network, settings, start, options)
            records[number] = _continue_stage(request, records[number], deadline)
            write_json(folder / "stages.json", records)
            if not records[number]["done"]:
                return False
            network.with_suffix(".checkpoint").unlink()
    for name, source in (("bundled", "compact"), ("new", str(network))):
        if not (folder / name / "compact.json").exists():
            if deadline.reached(SHORT_PART_SECONDS):
                return False
            _judge(source, folder / name, options)
    return True


def _distill_request(
    output: Path, settings: DistillSettings, start: Path | None, options: GpuOptions
) -> DistillRequest:
    return DistillRequest(
        options.training_photos,
        options.assets / "styles",
        output,
        settings,
        teacher=options.features or best_features(options.assets),
        device=options.device,
        start=start,
    )


def _continue_stage(request: DistillRequest, record: Record, deadline: Deadline) -> Record:
    """Train until the stage is finished or the deadline is reached; return its new record."""
    start = time.monotonic()

    def progress(step: StepLosses) -> bool:
        if step.step % (step.steps // 10 or 1) == 0:
            print(f"compact: {step.step} of {step.steps} steps, {step.losses}", flush=True)
        return not deadline.reached()

    report = distill_features(request, progress, lambda stage, fraction: None)
    return {
        "seconds": record["seconds"] + time.monotonic() - start,
        "steps": report["steps"],
        "done": report["steps"] >= request.settings.steps,
    }


def _judge(network: str, out: Path, options: GpuOptions) -> None:
    arguments = [str(options.assets), str(out), "--network", network]
    arguments += options.arguments("device", "iterations", "features")
    if options.sizes:
        arguments += ["--size", str(options.sizes[0])]
    compact.run(compact.parse(arguments))


def stages_table(records: Sequence[Record]) -> str:
    """Format a row for each stage."""
    rows = [
        [f"{s.crop}", f"{s.batch} + {s.rendered}", f"{r['steps']:,}", f"{r['seconds']:,.0f}"]
        for s, r in zip(STAGES, records, strict=True)
    ]
    return markdown_table(["crop", "pictures a step + painted by itself", "steps", "seconds"], rows)
