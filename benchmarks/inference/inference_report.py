"""Write the report of the inference benchmark in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.inference.backends import ONNX_RUNTIME, PYTORCH, Backend
from benchmarks.inference.network_comparison import CLASSIC_NAME, OURS
from benchmarks.measuring.record_files import Record, markdown_table
from plugin.engine.machine.provider import CPU, CUDA

Placement = Mapping[str, Mapping[str, Mapping[str, int]]]  # nodes by network, provider and kind


def inference_report(record: Record) -> str:
    """Format all that was measured."""
    flops = ", ".join(f"{value / 1e9:,.0f} GFLOP/s in {name}" for name, value in record["flops_per_second"].items())
    clock = " Seconds are CPU time, which other programs do not lengthen." * (record["clock"] == "cpu")
    return f"""# How fast a style paints

{record["machine"]}. A product of large matrices in PyTorch: {flops}; a memory copy:
{record["bytes_per_second"] / 1e9:,.1f} GB/s.

*Ours* is {record["style"]}. *Classic* is the 32/64/128 network of pytorch/examples with 9x9 ends. Medians of
{record["turns"]} turns; each turn ran both networks and the matrix product once.{clock}
Measured by `python -m benchmarks.inference`.

{timings_table(record["records"])}

- *First call*: in a fresh process, after the network was loaded. *Memory*: the peak of loading and that call.
- *Matrix rate*: the convolutions' operations per second, relative to the rate of the matrix product.
- *Floor*: the least possible time, relative to the time taken. It is the longer of two: the operations at the rate of
  the matrix product; reading and writing each convolution's input, kernel and output once at the rate of the copy.

Our time relative to the classic network's:

{ratios_table(record["ratios"])}

Ours in ONNX Runtime relative to the classic network in PyTorch: {ratios_across_runtimes(record["records"])}.

The largest difference of our style's painting from ONNX Runtime's on the CPU, in 8-bit levels:

{differences_table(record["difference"])}

Which provider of ONNX Runtime ran the nodes, according to its profile:

{placement_table(record["placement"])}
{nodes_on_cpu(record["placement"])}"""


def timings_table(records: Sequence[Record]) -> str:
    """Format a row for each size, backend and network."""
    rows = []
    for r in records:
        name = [f"{r['size']}x{r['size']}", _backend(r), r["network"]]
        if not r["seconds"]:
            rows.append([*name, "out of memory", "", "", "", ""])
            continue
        shares = [f"{r[key]:.2f}" for key in ("share_of_matrix_rate", "share_of_floor")]
        milliseconds = [f"{1000 * r[key]:,.1f}" for key in ("first_seconds", "seconds")]
        rows.append([*name, *milliseconds, f"{r['mib']:,.0f}", *shares])
    head = ["size", "by", "network", "first call, ms", "ms", "memory, MiB", "matrix rate", "floor"]
    return markdown_table(head, rows)


def ratios_table(ratios: Sequence[Record]) -> str:
    """Format a row for each backend, with a column for each size."""
    sizes = list(dict.fromkeys(r["size"] for r in ratios))
    rows: dict[str, dict[int, str]] = {}
    for r in ratios:
        rows.setdefault(_backend(r), {})[r["size"]] = f"{r['ratio']:.3f}"
    return markdown_table(
        ["ours / classic", *(f"{size}x{size}" for size in sizes)],
        [[backend, *(values.get(size, "") for size in sizes)] for backend, values in rows.items()],
    )


def _backend(record: Record) -> str:
    return str(Backend(record["runtime"], record["precision"], record["how"]))


def ratios_across_runtimes(records: Sequence[Record]) -> str:
    """Return ``0.25 at 512x512`` for each size: a ratio of two float32 medians that were not taken in turns."""
    times = {(r["network"], r["runtime"], r["precision"], r["how"], r["size"]): r["seconds"] for r in records}
    ratios = []
    for size in dict.fromkeys(r["size"] for r in records):
        ours = times.get((OURS, ONNX_RUNTIME, "fp32", "", size))
        classic = times.get((CLASSIC_NAME, PYTORCH, "fp32", "", size))
        if ours and classic:
            ratios.append(f"{ours / classic:.3f} at {size}x{size}")
    return ", ".join(ratios)


def differences_table(differences: Mapping[str, float]) -> str:
    """Format a row for each backend."""
    return markdown_table(["by", "difference"], [[name, f"{value:.3f}"] for name, value in differences.items()])


def placement_table(placement: Placement) -> str:
    """Format a row for each network and provider."""
    rows = [
        [network, provider.removesuffix("ExecutionProvider"), str(sum(kinds.values())), ", ".join(sorted(kinds))]
        for network, providers in placement.items()
        for provider, kinds in providers.items()
    ]
    return markdown_table(["network", "provider", "nodes", "kinds"], rows)


def nodes_on_cpu(placement: Placement) -> str:
    """Return the kinds of nodes that a GPU left to the CPU; nothing if there is no GPU."""
    if not any(CUDA in providers for providers in placement.values()):
        return ""
    kinds = sorted({kind for providers in placement.values() for kind in providers.get(CPU, {})})
    return f"\nOn the CPU: {', '.join(kinds) or 'no node'}.\n"
