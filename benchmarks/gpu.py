"""All that is to be shown on an NVIDIA GPU, in one command that may be cut off and given again.

    python -m benchmarks.gpu OUT ASSETS --minutes 9

ASSETS holds weights/, photos/ and styles/ as the tests' NEURAL_STYLE_ASSETS does. OUT gets gpu.md, with the tables, and
gpu.json; what each part made lies in a folder of its own, and a part that is whole is not done again. Begins nothing
after so many minutes, and trainings stop there: the same command goes on. docs/gpu.md tells more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import collection, compact, inference, iterative, quality
from benchmarks.yardstick import Deadline, comma, machine, numbers, one_sentence, positive, table, write
from nst_core.base.device_names import DEVICES
from nst_core.base.errors import StyleError
from nst_core.base.training_settings import DistillSettings
from nst_core.devices import choose_device
from nst_core.distill.distillation import DistillProgress
from nst_core.style_file import Style
from plugin.engine.fast.fast_painting import paint_fast, run_network
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import list_styles
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.provider import CUDA, choose_provider, open_session
from plugin.engine.training.feature_training import DistillRequest, distill_features

# Pictures of compact's training: as many as a style has, first small ones, then such as it paints itself, then its last
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
ITERATIVE_SIZES = (512, 1024, 2048)
PARITY = 2.0  # 8-bit levels by which a GPU's picture may differ from a CPU's
SPARE = 200 * 2**20  # bytes that are left of a GPU's memory to run out of
LEAST = 60  # seconds that are left when a part begins that does not stop by itself

Record = dict[str, Any]


@one_sentence("gpu")
def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    for part in options.parts:
        if part not in PARTS:
            raise StyleError(f"There is no part {part!r}; choose from {', '.join(PARTS)}.")
    deadline = Deadline(options.minutes)
    device = choose_device(options.device)
    state: Record = read(options.out / "gpu.json") or {"seconds": {}, "whole": {}, "failed": {}}
    if device.type == "cuda" or "machine" not in state:  # what needs no GPU may follow elsewhere
        state["machine"] = machine(device, torch.get_num_threads())
    for part in options.parts:
        begun = time.monotonic()
        state["failed"].pop(part, None)
        try:
            state["whole"][part] = PARTS[part](options, deadline)
        except Exception as error:  # a part that fails is not to cost the others their GPU
            state["failed"][part] = str(error) if isinstance(error, StyleError) else repr(error)
            traceback.print_exc()
        took = time.monotonic() - begun
        state["seconds"][part] = state["seconds"].get(part, 0.0) + took
        print(f"{part}: {took:.0f} s, {standing(state, part)}", flush=True)
        write(options.out / "gpu.json", lambda path: path.write_text(json.dumps(state, indent=1)))
        write(options.out / "gpu.md", lambda path: path.write_text(text(state, options), encoding="utf-8"))
    if state["failed"].keys() & set(options.parts):
        sys.exit(1)


def standing(state: Record, part: str) -> str:
    """In a few words."""
    if part in state["failed"]:
        return f"failed: {state['failed'][part]}"
    return "done" if state["whole"][part] else "the same command goes on"


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("out", type=Path, metavar="OUT")
    found.add_argument("assets", type=Path, metavar="ASSETS")
    found.add_argument("--minutes", type=float, help="stop there (default when all is done)")
    found.add_argument(
        "--parts",
        type=lambda value: tuple(value.split(",")),
        default=tuple(PARTS),
        metavar="PART,...",
        help=f"which, and in which order (default {','.join(PARTS)})",
    )
    quality.add_styles(found)
    found.add_argument("--device", choices=DEVICES, default="auto")
    # An estimate for a GPU of 3 to 5 TB/s: a picture moves a gigabyte, mostly VGG-19's first two blocks forth and back
    # for the loss and forth for the content, and takes 60 GFLOP: a third to half a millisecond. A step is about 1 600
    # kernels, which a CPU launches in some 10 ms: fewer than 16 pictures a step would leave the GPU waiting. So a
    # style's 160 000 take 60 to 110 seconds, and the twelve 12 to 22 minutes.
    found.add_argument("--batch", type=positive, default=16, help="pictures a step of a training (default 16)")
    found.add_argument(
        "--steps", type=positive, help=f"of each style (default {collection.PICTURES:,} pictures' worth)"
    )
    found.add_argument("--minutes-a-style", type=float, help="a budget for each style in place of --steps")
    found.add_argument("--crop", type=positive, default=256, help="side of these pictures in pixels (default 256)")
    found.add_argument("--compiled", action="store_true", help="have PyTorch compile the networks of each training")
    found.add_argument("--pace-batches", type=numbers, default=collection.PACE_BATCHES, metavar="N,N,...")
    found.add_argument("--pace-steps", type=positive, default=collection.PACE_STEPS)
    found.add_argument("--sizes", type=numbers, metavar="N,N,...", help="of pictures (default those of each part)")
    found.add_argument("--iterations", type=positive, help="of renders (default those of each part)")
    found.add_argument("--turns", type=positive, help="timings of each (default those of each part)")
    found.add_argument("--matrix", type=positive, help="side of the matrices that give the matrix rate")
    found.add_argument("--features", metavar="SOURCE", help="compact's teacher and judge (default those of ASSETS)")
    found.add_argument(
        "--new-style",
        type=lambda value: tuple(value.split(",")),
        default=("starry-night", "la-muse"),
        metavar="NAME,...",
        help="the styles that are learned anew (default starry-night,la-muse)",
    )
    found.add_argument("--new-style-minutes", type=float, default=1.0, help="the budget of each of these (default 1)")
    found.add_argument("--judged-every", type=positive, default=collection.JUDGED_EVERY, help="so many steps of these")
    found.add_argument("--photos", type=positive, default=24, help="held-out ones to compare by (default 24)")
    return found


def given(options: argparse.Namespace, *names: str) -> list[str]:
    """Those of the options that were given, for another benchmark."""
    found = []
    for name in names:
        value = getattr(options, name)
        if value is not None:
            found += [f"--{name}", comma(value) if isinstance(value, tuple) else str(value)]
    return found


def read(path: Path) -> Any:
    """What a part has written; None if nothing."""
    return json.loads(path.read_text()) if path.exists() else None


# ---- the parts: each goes on with what lies in OUT, and says whether it is whole --------------------------------


def inference_times(options: argparse.Namespace, deadline: Deadline) -> bool:
    arguments = [str(options.out / "inference"), *given(options, "device", "sizes", "turns", "matrix")]
    if options.style:
        arguments += ["--style", options.style[0]]
    chosen = inference.parser().parse_args(arguments)
    chosen.minutes = deadline.left()
    return inference.run(chosen)["whole"]


def compact_trained(options: argparse.Namespace, deadline: Deadline) -> bool:
    """Train it in its stages, then judge it beside the bundled one."""
    folder, start = options.out / "compact", None
    folder.mkdir(parents=True, exist_ok=True)
    records: list[Record] = read(folder / "stages.json") or []
    for number, settings in enumerate(STAGES):
        made = folder / f"stage-{number + 1}.safetensors"
        if number == len(records):
            records.append({"seconds": 0.0, "steps": 0, "done": False})
        if not records[number]["done"]:
            if deadline.within():
                return False
            begun = time.monotonic()
            request = DistillRequest(
                options.assets / "photos" / "train" / "train.tar",
                options.assets / "styles",
                made,
                settings,
                teacher=options.features or iterative.better(options.assets),
                device=options.device,
                start=start,
            )
            report = distill_features(
                request, lambda step: not told("compact", step, deadline), lambda stage, fraction: None
            )
            records[number]["seconds"] += time.monotonic() - begun
            records[number] |= {"steps": report["steps"], "done": report["steps"] >= settings.steps}
            write(folder / "stages.json", lambda path: path.write_text(json.dumps(records, indent=1)))
            if not records[number]["done"]:
                return False
            made.with_suffix(".checkpoint").unlink()
        start = made
    for name, network in (("bundled", "compact"), ("new", str(start))):
        if not (folder / name / "compact.json").exists():
            if deadline.within(LEAST):
                return False
            arguments = [str(options.assets), str(folder / name), "--network", network]
            more = given(options, "device", "iterations", "features")
            if options.sizes:
                more += ["--size", str(options.sizes[0])]
            compact.run(compact.parser().parse_args([*arguments, *more]))
    return True


def told(name: str, step: DistillProgress, deadline: Deadline) -> bool:
    """Print now and then how far it is; whether time is up."""
    if step.step % (step.steps // 10 or 1) == 0:
        print(f"{name}: {step.step} of {step.steps} steps, {step.losses}", flush=True)
    return deadline.within()


def iterative_times(options: argparse.Namespace, deadline: Deadline) -> bool:
    """A race and the costs at each size."""
    for size in options.sizes or ITERATIVE_SIZES:
        out = options.out / f"iterative-{size}"
        if (out / "iterative.json").exists():
            continue
        if deadline.within(LEAST):
            return False
        arguments = [str(out), str(options.assets), "--size", str(size), "--sizes", str(size)]
        more = given(options, "device", "turns", "matrix", "iterations", "features")
        iterative.run(iterative.parser().parse_args([*arguments, *more]))
    return True


def fall_back(options: argparse.Namespace, deadline: Deadline) -> bool:
    """Into OUT/fall-back.json: which provider is chosen, with a GPU and without; whether both paint the same; and what
    happens when a GPU's memory runs out.
    """
    if (options.out / "fall-back.json").exists():
        return True
    if deadline.within(LEAST):
        return False
    styles = list(collection.chosen_styles(options)) if options.style else list_styles()
    provider = choose_provider("auto", styles[0].path)
    found: Record = {"provider": asdict(provider), "without": hidden_provider(styles[0])}
    picture = Picture(np.dstack([inference.sample(512)[0].transpose(1, 2, 0), np.ones((512, 512, 1), np.float32)]))
    if provider.name == CUDA:
        found["differences"] = {style.title: difference(picture, style) for style in styles}
        found["memory"] = memory_runs_out(picture, styles[0])
    write(options.out / "fall-back.json", lambda path: path.write_text(json.dumps(found, indent=1)))
    return True


def hidden_provider(style: Style) -> Record:
    """The provider that is chosen in a process that sees no GPU."""
    code = (
        "import dataclasses, json, pathlib, sys; from plugin.engine.machine.provider import choose_provider as choose; "
    )
    code += "print(json.dumps(dataclasses.asdict(choose('auto', pathlib.Path(sys.argv[1])))))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(style.path)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def difference(picture: Picture, style: Style) -> float:
    """The largest difference of the GPU's painting from the CPU's, in 8-bit levels."""
    paintings = [paint_fast(picture, {style: 1.0}, FastSettings(device=device)).pixels for device in ("cpu", "cuda")]
    return float(np.abs(paintings[0] - paintings[1]).max() * 255)


def memory_runs_out(picture: Picture, style: Style) -> Record:
    """What is said of a picture for which there is no room: before it is painted, and by the runtime; and whether the
    next one is painted once there is.
    """
    session = open_session(style.path, choose_provider("cuda", style.path))
    large = inference.sample(4096)[0].transpose(1, 2, 0)
    filled = torch.empty(torch.cuda.mem_get_info()[0] - SPARE, dtype=torch.uint8, device="cuda")
    found: Record = {}
    pixels = np.dstack([large, np.ones_like(large[..., :1])])
    for name, work in (
        (
            "before",
            lambda: paint_fast(Picture(pixels), {style: 1.0}, FastSettings(device="cuda", full_resolution=True)),
        ),
        ("runtime", lambda: run_network(session, large, np.ones((1, 1), np.float32))),
    ):
        try:
            work()
            found[name] = None
        except StyleError as error:
            found[name] = str(error)
    del filled
    torch.cuda.empty_cache()
    return found | {"difference_after": difference(picture, style)}


PARTS: dict[str, Callable[[argparse.Namespace, Deadline], bool]] = {
    "pace": collection.pace,
    "train": collection.train_styles,
    "inference": inference_times,
    "compact": compact_trained,
    "iterative": iterative_times,
    "new-style": collection.new_styles,
    "fall-back": fall_back,
    "compare": collection.compare,
}


# ---- the report -------------------------------------------------------------------------------------------------


def text(state: Record, options: argparse.Namespace) -> str:
    """All tables that there are, as Markdown."""
    sections = [f"# Figures on a GPU\n\n{state['machine']}. Measured by `benchmarks/gpu.py`."]
    sections += filter(None, (section(options) for section in SECTIONS))
    return "\n\n".join(sections) + "\n"


def training_section(options: argparse.Namespace) -> str:
    if not list(collection.folder(options).glob("*.json")):
        return ""
    found = f"""## The bundled styles at their full budget

Each went on from the bundled network, in bfloat16, with its photos and its style's features in the GPU's memory.
*Loss*: the mean over the last twentieth of the steps.

{collection.training_table(options)}"""
    if paces := read(options.out / "pace.json"):
        found += f"\n\nA step by the number of its pictures:\n\n{collection.pace_table(paces)}"
    if compared := read(options.out / "compare.json"):
        count = max(record["photos"] for record in compared.values())
        found += f"""

Beside the networks that were bundled, on {count} held-out photos at 256 pixels: the mean objective of the training and
the median share of the checkerboard in flat areas.

{collection.compare_table([*compared.values()])}"""
    return found


def inference_section(options: argparse.Namespace) -> str:
    found = read(options.out / "inference" / "inference.json")
    return "" if found is None else "#" + inference.text(found).strip()


def compact_section(options: argparse.Namespace) -> str:
    found = {name: read(options.out / "compact" / name / "compact.json") for name in ("bundled", "new")}
    if not all(found.values()):
        return ""
    stages = read(options.out / "compact" / "stages.json")
    rows = [
        [f"{s.crop}", f"{s.batch} + {s.rendered}", f"{r['steps']:,}", f"{r['seconds']:,.0f}"]
        for s, r in zip(STAGES, stages, strict=True)
    ]
    renders = "\n\n".join(
        f"{'The bundled one' if name == 'bundled' else 'The new one'}:\n\n{compact.renders_table(r['renders'])}"
        for name, r in found.items()
    )
    return f"""## compact at its full budget

{table(["crop", "pictures a step, and painted by itself", "steps", "seconds"], rows)}

The median over the channels of the correlation with {found["new"]["teacher"]} on {found["new"]["photos"]} held-out
photos:

{compact.agreement_table({name: r["agreement"] for name, r in found.items()})}

Losses, by the better features, of a photo and of its renders ({found["new"]["size"]} pixels,
{found["new"]["iterations"]} iterations).

{renders}"""


def iterative_section(options: argparse.Namespace) -> str:
    folders = sorted(options.out.glob("iterative-*"), key=lambda folder: int(folder.name.split("-")[1]))
    found = [r for folder in folders if (r := read(folder / "iterative.json"))]
    if not found:
        return ""
    races = "\n\n".join(f"At {r['size']} pixels:\n\n{iterative.race_table(r['race'])}" for r in found)
    return f"""## Step by step

All pictures are judged by {found[0]["judge"]} and the default losses.

{races}

{iterative.RACE_NOTES}

An iteration, the median of {found[0]["turns"]}:

{iterative.cost_table([cost for r in found for cost in r["costs"]])}"""


def new_style_section(options: argparse.Namespace) -> str:
    found = read(options.out / "new-style.json")
    if not found:
        return ""
    return f"""## A new style

Learned from the nearest of the other bundled styles, in {options.new_style_minutes:g} minutes. The mean objective of
{collection.HELD_OUT} held-out photos, by the network that was trained in full, at first, and at last; judging does not
count.

{collection.new_style_table(found)}"""


def fall_back_section(options: argparse.Namespace) -> str:
    found = read(options.out / "fall-back.json")
    if not found:
        return ""
    with_gpu, without = (f"{found[key]['name']} ({found[key]['reason']})" for key in ("provider", "without"))
    told = f"## The fall-back\n\nChosen here: {with_gpu}. In a process that sees no GPU: {without}."
    if "differences" in found:
        worst = max(found["differences"], key=found["differences"].get)
        memory = found["memory"]
        told += f"""

The largest difference of a GPU's painting from a CPU's, over {len(found["differences"])} styles: {worst},
{found["differences"][worst]:.2f} 8-bit levels (at most {PARITY:g}). With the GPU's memory full but for
{SPARE // 2**20} MiB, a picture of 4096x4096 pixels is refused before it is painted: "{memory["before"]}"; and by the
runtime: "{memory["runtime"]}". The next one, with memory again, differed by {memory["difference_after"]:.2f}."""
    return told


SECTIONS = (
    training_section,
    inference_section,
    compact_section,
    iterative_section,
    new_style_section,
    fall_back_section,
)

if __name__ == "__main__":
    main()
