"""Write the report of the GPU benchmark in Markdown, from the files of those parts that have run."""

from __future__ import annotations

from benchmarks import compact
from benchmarks.gpu.compact_training import stages_table
from benchmarks.gpu.full_training import training_table
from benchmarks.gpu.gpu_options import GpuOptions
from benchmarks.gpu.new_styles import HELD_OUT, new_style_table
from benchmarks.gpu.provider_fallback import ALLOWED_DIFFERENCE, LARGE_SIDE, SPARE_GPU_BYTES
from benchmarks.gpu.style_comparison import COMPARED_SIZE, comparison_table
from benchmarks.gpu.training_pace import pace_table
from benchmarks.inference.inference_report import inference_report
from benchmarks.iterative.iterative_report import RACE_NOTES, cost_table, race_table
from benchmarks.measuring.record_files import Record, read_json


def gpu_report(state: Record, options: GpuOptions) -> str:
    """Format all tables for which there are figures."""
    sections = [f"# Figures on a GPU\n\n{state['machine']}. Measured by `python -m benchmarks.gpu`."]
    sections += filter(None, (section(options) for section in SECTIONS))
    return "\n\n".join(sections) + "\n"


def _training_section(options: GpuOptions) -> str:
    if not list(options.trained_styles.glob("*.json")):
        return ""
    section = f"""## The bundled styles at their full budget

Each continued from its bundled network, in bfloat16, with the photos and the style's features in GPU memory. *Loss* is
the mean over the last twentieth of the steps.

{training_table(options)}"""
    if paces := read_json(options.pace_file):
        section += f"\n\nA step by the number of its pictures:\n\n{pace_table(paces)}"
    if compared := read_json(options.comparison_file):
        photos = max(record["photos"] for record in compared.values())
        section += f"""

Compared with the bundled networks, on {photos} held-out photos at {COMPARED_SIZE} pixels: the mean training objective,
and the median share of checkerboard patterns in flat areas.

{comparison_table([*compared.values()])}"""
    return section


def _inference_section(options: GpuOptions) -> str:
    record = read_json(options.out / "inference" / "inference.json")
    return "" if record is None else "#" + inference_report(record).strip()


def _compact_section(options: GpuOptions) -> str:
    folder = options.out / "compact"
    records = {name: read_json(folder / name / "compact.json") for name in ("bundled", "new")}
    if not all(records.values()):
        return ""
    new = records["new"]
    renders = "\n\n".join(
        f"{title}:\n\n{compact.renders_table(records[name]['renders'])}"
        for name, title in (("bundled", "The bundled network"), ("new", "The new network"))
    )
    return f"""## compact at its full budget

{stages_table(read_json(folder / "stages.json"))}

The median over the channels of the correlation with {new["teacher"]} on {new["photos"]} held-out photos:

{compact.agreement_table({name: record["agreement"] for name, record in records.items()})}

Losses of a photo and of its renders, computed with the better features ({new["size"]} pixels, {new["iterations"]}
iterations).

{renders}"""


def _iterative_section(options: GpuOptions) -> str:
    folders = sorted(options.out.glob("iterative-*"), key=lambda folder: int(folder.name.split("-")[1]))
    records = [record for folder in folders if (record := read_json(folder / "iterative.json"))]
    if not records:
        return ""
    races = "\n\n".join(f"At {r['size']} pixels:\n\n{race_table(r['race'])}" for r in records)
    return f"""## Iterative renders

All pictures are judged by {records[0]["judge"]} and the default losses.

{races}

{RACE_NOTES}

One iteration, the median of {records[0]["turns"]}:

{cost_table([cost for r in records for cost in r["costs"]])}"""


def _new_style_section(options: GpuOptions) -> str:
    records = read_json(options.new_style_file)
    if not records:
        return ""
    return f"""## A new style

Trained from the nearest of the other bundled styles, for {options.new_style_minutes:g} minutes. The mean objective on
{HELD_OUT} held-out photos: of the fully trained network, at first, and at last. Judging does not count.

{new_style_table(records)}"""


def _fallback_section(options: GpuOptions) -> str:
    record = read_json(options.fallback_file)
    if not record:
        return ""
    with_gpu, without = (f"{record[key]['name']} ({record[key]['reason']})" for key in ("provider", "without"))
    section = f"## The fall-back\n\nChosen here: {with_gpu}. In a process that sees no GPU: {without}."
    if "differences" in record:
        worst = max(record["differences"], key=record["differences"].get)
        memory = record["memory"]
        section += f"""

The largest difference between a GPU's and a CPU's painting, over {len(record["differences"])} styles: {worst},
{record["differences"][worst]:.2f} 8-bit levels (at most {ALLOWED_DIFFERENCE:g} are allowed). With only
{SPARE_GPU_BYTES // 2**20} MiB of GPU memory free, a picture of {LARGE_SIDE}x{LARGE_SIDE} pixels is refused before it is
painted: "{memory["before"]}"; and by the runtime: "{memory["runtime"]}". The next painting, with the memory free again,
differs by {memory["difference_after"]:.2f}."""
    return section


SECTIONS = (
    _training_section,
    _inference_section,
    _compact_section,
    _iterative_section,
    _new_style_section,
    _fallback_section,
)
