"""How fast a trained style paints, beside the classic network, in ONNX Runtime and in PyTorch, on a CPU or a GPU.

    python -m benchmarks.inference OUT

OUT gets inference.md, which goes to standard output too, inference.json, and raw/ with what is measured in one go: an
interrupted run goes on where it was. Remove raw/ after a change to what is measured. The classic network is the
32/64/128 of pytorch/examples' fast_neural_style with 9x9 convolutions at its ends, with random weights, imported as
`neural-style import` does.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from PIL import Image
from torch import nn

from benchmarks.yardstick import (
    DTYPES,
    Deadline,
    FirstCall,
    MatrixProduct,
    add_options,
    bandwidth,
    first_call,
    graph_cost,
    in_turns,
    kept,
    machine,
    one_sentence,
    out_of_memory,
    ratio,
    settle,
    table,
    waiting,
    write,
)
from export.foreign.import_style import import_style, read_network
from export.foreign.networks import UnitRangeNetwork
from export.from_onnx import read_starting_network
from nst_core.base.onnx_runtime import ort
from nst_core.base.training_settings import TransformerSettings
from nst_core.devices import choose_device
from nst_core.style_file import StyleCard
from plugin.engine.fast.style_library import find_styles, list_styles
from plugin.engine.machine.provider import (
    CPU,
    CUDA,
    Provider,
    choose_provider,
    open_session,
    run_options,
    session_options,
)

CLASSIC = TransformerSettings(width=32, end_kernel=9)
OURS, CLASSICAL = "ours", "classic"
ONNX_RUNTIME, PYTORCH = "ONNX Runtime", "PyTorch"
SAMPLE = Path(__file__).parent.parent / "plugin" / "samples" / "coffee.jpg"

Record = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """A way to run a network. ``how``: ``bound`` to memory on the GPU, ``compiled``, or empty."""

    runtime: str
    precision: str
    how: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.runtime, self.precision, self.how)))


WAYS = {
    "cpu": (Way(ONNX_RUNTIME, "fp32"), Way(PYTORCH, "fp32")),
    "cuda": (
        Way(ONNX_RUNTIME, "fp32"),
        Way(ONNX_RUNTIME, "fp32", "bound"),
        Way(ONNX_RUNTIME, "fp16"),
        Way(ONNX_RUNTIME, "fp16", "bound"),
        Way(PYTORCH, "fp32"),
        Way(PYTORCH, "bf16"),
        Way(PYTORCH, "bf16", "compiled"),
    ),
}


@one_sentence("inference")
def main(arguments: Sequence[str] | None = None) -> None:
    run(parser().parse_args(arguments))


def run(options: argparse.Namespace) -> Record:
    """Measure, write and print what the options ask for."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    write(options.out / "inference.json", lambda path: path.write_text(json.dumps(found, indent=1)))
    report = text(found)
    write(options.out / "inference.md", lambda path: path.write_text(report, encoding="utf-8"))
    print(report)
    return found


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("out", type=Path, metavar="OUT")
    found.add_argument("--style", metavar="STYLE", help="a name or a file (default the first bundled style)")
    found.add_argument("--minutes", type=float, help="begin nothing after so many; the same command goes on")
    add_options(found, sizes_on_cpu=(512, 1024), sizes_on_gpu=(512, 1024, 2048, 4096))
    return found


# ---- what is measured -------------------------------------------------------------------------------------------


def measure(options: argparse.Namespace, folder: Path) -> Record:
    """All that the report tells; ``folder`` is for files in between."""
    device = choose_device(options.device)
    if device.type not in WAYS:
        device = torch.device("cpu")  # ONNX Runtime has no other here
    settle(options, device)
    (style, *_) = find_styles(options.style) if options.style else list_styles()
    provider = choose_provider(device.type, style.path)
    networks = {OURS: style.path, CLASSICAL: folder / "classic.onnx"}
    write_classic(CLASSIC, networks[CLASSICAL])
    ways = WAYS[device.type]
    # By network and precision: what ONNX Runtime opens.
    files = {(name, "fp32"): path for name, path in networks.items()}
    if any(way.precision == "fp16" for way in ways):
        for name, path in networks.items():
            files[name, "fp16"] = half(path, folder / f"{name}-fp16.onnx")
    rate = bandwidth(device, options.turns, options.clock)
    computes, deadline = machine(device, options.threads), Deadline(options.minutes)
    key = [computes, style.path.read_bytes(), options.turns, options.clock, options.matrix, CLASSIC]
    digest = hashlib.sha256(repr(key).encode()).hexdigest()
    records: list[Record] = []
    for size in options.sizes:
        for way in ways:
            if deadline.within():
                break
            paths = {name: files.get((name, way.precision), path) for name, path in networks.items()}
            both = partial(compare, way, paths, size, device, rate, options)
            raw = options.out / "raw" / f"{size} {way}.json".replace(" ", "-").lower()
            records += kept(raw, digest, lambda both=both: {"records": both()})["records"]
    whole = len(records) == len(options.sizes) * len(ways) * len(networks)
    return {
        "machine": computes,
        "whole": whole,
        "style": style.title,
        "clock": options.clock,
        "turns": options.turns,
        "bytes_per_second": rate,
        "flops_per_second": rates(records),
        "placement": {
            f"{name} {precision}": placement(path, provider, folder)
            for (name, precision), path in files.items()
            if whole
        },
        "records": records,
        "ratios": ratios(records),
        "difference": differences(ways if whole else (), files, style.path, options.sizes[0], device, options.threads),
    }


def compare(
    way: Way,
    paths: Mapping[str, Path],
    size: int,
    device: torch.device,
    bytes_per_second: float,
    options: argparse.Namespace,
) -> list[Record]:
    """A record for each network, run this way at this size in turns with a product of matrices."""
    firsts = {
        n: first_call(device, options.clock, open_way, way, path, size, device, options.threads)
        for n, path in paths.items()
    }
    product = MatrixProduct(options.matrix, way.precision, device)
    work = {"product": product.work()}
    records = []
    try:
        for name, path in paths.items():
            if firsts[name]:
                work[name] = open_way(way, path, size, device, options.threads)
        seconds = in_turns(work, options.turns, options.clock)
    except Exception as error:  # each runtime has its own kinds
        if not out_of_memory(error):
            raise
        seconds = {}
    finally:
        del work
        gc.collect()
        torch.cuda.empty_cache()
    for name, path in paths.items():
        cost = graph_cost(onnx.load(path), size, size)
        record: Record = {"network": name, **asdict(way), "size": size, **asdict(cost)}
        records.append(record | measured(record, firsts[name], seconds, product, bytes_per_second))
    return records


def measured(
    record: Record,
    first: FirstCall | None,
    seconds: Mapping[str, Sequence[float]],
    product: MatrixProduct,
    bytes_per_second: float,
) -> Record:
    """What the timings of a network and of the product of matrices beside it say; nothing if memory ran out."""
    own = seconds.get(record["network"])
    if first is None or own is None:
        return {"seconds": None}
    median = statistics.median(own)
    of_product = statistics.median(seconds["product"])
    share = record["flops"] / product.flops * ratio(seconds["product"], own)
    moving = record["values"] * DTYPES[record["precision"]].itemsize / bytes_per_second
    return {
        "first_seconds": first.seconds,
        "mib": first.mib,
        "seconds": median,
        "timings": list(own),
        "product_timings": list(seconds["product"]),
        "flops_per_second": product.flops / of_product,
        "share_of_matrix_rate": share,
        # Neither can be faster than its operations, or than what it must read and write.
        "share_of_floor": max(share, moving / median),
    }


def ratios(records: Sequence[Record]) -> list[Record]:
    """Ours by the classic one, for each way and size at which both ran."""
    found = []
    for ours in records:
        if ours["network"] != OURS or not ours["seconds"]:
            continue
        same = ("runtime", "precision", "how", "size")
        (other,) = (r for r in records if r["network"] == CLASSICAL and all(r[key] == ours[key] for key in same))
        if other["seconds"]:
            found.append({key: ours[key] for key in same} | {"ratio": ratio(ours["timings"], other["timings"])})
    return found


def rates(records: Sequence[Record]) -> dict[str, float]:
    """Operations a second of the product of matrices, by precision: the median over what was run beside it."""
    by_precision: dict[str, list[float]] = {}
    for record in records:
        if record["seconds"]:
            by_precision.setdefault(record["precision"], []).append(record["flops_per_second"])
    return {precision: statistics.median(values) for precision, values in by_precision.items()}


def write_classic(shape: TransformerSettings, path: Path) -> None:
    """A style file of the classic network, and beside it the .pth that it is imported from, with random weights."""
    torch.manual_seed(0)
    w, ends = shape.width, shape.end_kernel
    sides = {"conv1": (w, 3, ends), "conv2": (2 * w, w, 3), "conv3": (4 * w, 2 * w, 3)}
    sides |= {f"res{n}.conv{m}": (4 * w, 4 * w, 3) for n in range(1, shape.residual_blocks + 1) for m in (1, 2)}
    sides |= {"deconv1": (2 * w, 4 * w, 3), "deconv2": (w, 2 * w, 3), "deconv3": (3, w, ends)}
    norms = {"in1": w, "in2": 2 * w, "in3": 4 * w, "in4": 2 * w, "in5": w}
    norms |= {f"res{n}.in{m}": 4 * w for n in range(1, shape.residual_blocks + 1) for m in (1, 2)}
    state = {}
    for name, (channels_out, channels_in, kernel) in sides.items():
        drawn = nn.Conv2d(channels_in, channels_out, kernel).state_dict()
        state |= {f"{name}.conv2d.{key}": value for key, value in drawn.items()}
    for name, channels in norms.items():
        state |= {f"{name}.weight": torch.ones(channels), f"{name}.bias": torch.zeros(channels)}
    torch.save(state, path.with_suffix(".pth"))
    import_style(path.with_suffix(".pth"), StyleCard("Classic"), np.zeros((64, 64, 3), np.uint8), path)


def in_pytorch(path: Path) -> nn.Module:
    """The network of a style file: one that was trained here, or the .pth beside it."""
    original = path.with_suffix(".pth")
    if not original.exists():
        return read_starting_network(path).network
    imported = read_network(original)
    assert isinstance(imported, nn.Module)
    return UnitRangeNetwork(imported).eval()


def half(path: Path, target: Path) -> Path:
    """Write the network in half precision, with a picture in float32; the norms and the last convolution stay so too.

    Sums over a whole picture overflow in half precision, and rounding shows in what comes last.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = onnx.load(path)
    own_constants(model)
    last = [node.name for node in model.graph.node if node.op_type == "Conv"][-1]
    blocked = [*DEFAULT_OP_BLOCK_LIST, "InstanceNormalization"]
    converted = convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked, node_block_list=[last])
    OnnxModel(converted).topological_sort()
    del converted.graph.value_info[:]  # types from before
    target.write_bytes(converted.SerializeToString())
    return target


def own_constants(model: onnx.ModelProto) -> None:
    """Give every node constants of its own: the converter makes two nodes of one name for those that are shared."""
    shared = {tensor.name: tensor for tensor in model.graph.initializer}
    inputs = {value.name for value in model.graph.input}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name in shared and name not in inputs:
                tensor = model.graph.initializer.add()
                tensor.CopyFrom(shared[name])
                node.input[place] = tensor.name = f"{node.name}.{place}"
    kept = [t for t in model.graph.initializer if t.name not in shared or t.name in inputs]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def sample(size: int) -> np.ndarray:
    """One of our photos as a network sees it: [1, 3, size, size], float32 in 0..1."""
    with Image.open(SAMPLE) as photo:
        pixels = np.asarray(photo.convert("RGB").resize((size, size)), np.float32) / 255
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def open_way(way: Way, path: Path, size: int, device: torch.device, threads: int) -> Callable[[], Any]:
    """The network of a style file as a function that paints the sample and answers with what was painted.

    The copy to and from a GPU is part of it, unless ``way`` is ``bound`` or in PyTorch: then nothing leaves the GPU,
    and the answer is a tensor of the runtime's.
    """
    picture = sample(size)
    if way.runtime == ONNX_RUNTIME:
        provider = Provider(CUDA if device.type == "cuda" else CPU, "")
        options = session_options(provider)
        options.intra_op_num_threads = threads
        session = open_session(path, provider, options)
        if way.how == "bound":
            return bound(session, picture, device)
        return lambda: session.run(["styled"], {"image": picture}, run_options(session))[0]
    torch.set_num_threads(threads)
    # Tensor cores want channels last; on a CPU our network took an eighth longer so, for its norms turn them back.
    order = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    network = in_pytorch(path).to(device, DTYPES[way.precision]).to(memory_format=order)
    image = torch.from_numpy(picture).to(device, DTYPES[way.precision]).contiguous(memory_format=order)
    run = torch.compile(network) if way.how == "compiled" else network

    def paint() -> Any:
        with torch.inference_mode():
            return run(image)

    return waiting(paint, device)


def bound(session: ort.InferenceSession, picture: np.ndarray, device: torch.device) -> Callable[[], Any]:
    """A run from the device's memory to its memory."""
    image = ort.OrtValue.ortvalue_from_numpy(picture, device.type, 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", image)
    binding.bind_output("styled", device.type, 0)

    def paint() -> Any:
        session.run_with_iobinding(binding, run_options(session))
        binding.synchronize_outputs()
        return binding.get_outputs()[0]

    return paint


def placement(path: Path, provider: Provider, folder: Path) -> dict[str, dict[str, int]]:
    """Where the nodes ran that computed a small picture: how many of each kind, by provider, from a profile."""
    options = session_options(provider)
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = open_session(path, provider, options)
    session.run(["styled"], {"image": sample(64)})
    events = json.loads(Path(session.end_profiling()).read_text())
    found: dict[str, Counter[str]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            found.setdefault(event["args"]["provider"], Counter())[event["args"]["op_name"]] += 1
    return {name: dict(kinds) for name, kinds in found.items()}


def differences(
    ways: Sequence[Way],
    files: Mapping[tuple[str, str], Path],
    style: Path,
    size: int,
    device: torch.device,
    threads: int,
) -> dict[str, float]:
    """The largest difference of each way from ONNX Runtime on the CPU in 8-bit levels, of our style on the sample."""
    reference = open_way(Way(ONNX_RUNTIME, "fp32"), style, size, torch.device("cpu"), threads)()
    found = {}
    for way in ways:
        path = files.get((OURS, way.precision), style)
        painted = open_way(way, path, size, device, threads)()
        pixels = painted if isinstance(painted, np.ndarray) else as_array(painted)
        found[str(way)] = float(np.abs(pixels - reference).max() * 255)
    return found


def as_array(value: Any) -> np.ndarray:
    """A tensor of PyTorch or of ONNX Runtime, wherever it is."""
    return value.float().cpu().numpy() if isinstance(value, torch.Tensor) else value.numpy()


# ---- the report -------------------------------------------------------------------------------------------------


def text(found: Record) -> str:
    """The tables and what they say, as Markdown."""
    flops = ", ".join(f"{value / 1e9:,.0f} GFLOP/s in {name}" for name, value in found["flops_per_second"].items())
    processor = " Seconds are the processor's, which other work beside does not lengthen." * (
        found["clock"] == "processor"
    )
    return f"""# How fast a style paints

{found["machine"]}. A product of large matrices in PyTorch: {flops}; a copy:
{found["bytes_per_second"] / 1e9:,.1f} GB/s.

Ours is {found["style"]}; the classic network is pytorch/examples' 32/64/128 with 9x9 ends. Medians of
{found["turns"]} turns, in each of which both ran once, and the product of matrices.{processor}
Measured by `benchmarks/inference.py`.

{timings_table(found["records"])}

- *First call*: in a process of its own, after the network was loaded. *Memory*: what loading and that call took there
  at the peak.
- *Matrix rate*: the operations of the convolutions, by the time, as a share of the rate of the product of matrices.
- *Floor*: the least time that the operations take at that rate, or that reading and writing every convolution's input,
  kernel and output once takes at the rate of the copy, whichever is longer, as a share of the time.

Our time by the classic network's:

{ratios_table(found["ratios"])}

Ours in ONNX Runtime by the classic one in PyTorch, {beside_pytorch(found["records"])}.

The largest difference of our style's picture from that of ONNX Runtime on the CPU, in 8-bit levels:

{differences_table(found["difference"])}

Where ONNX Runtime ran the nodes, from its profile:

{placement_table(found["placement"])}
{left_to_the_cpu(found["placement"])}"""


def timings_table(records: Sequence[Record]) -> str:
    rows = []
    for r in records:
        name = [f"{r['size']}x{r['size']}", str(Way(r["runtime"], r["precision"], r["how"])), r["network"]]
        if not r["seconds"]:
            rows.append([*name, "out of memory", "", "", "", ""])
            continue
        shares = [f"{r[key]:.2f}" for key in ("share_of_matrix_rate", "share_of_floor")]
        milliseconds = [f"{1000 * r[key]:,.1f}" for key in ("first_seconds", "seconds")]
        rows.append([*name, *milliseconds, f"{r['mib']:,.0f}", *shares])
    head = ["size", "by", "network", "first call, ms", "ms", "memory, MiB", "matrix rate", "floor"]
    return table(head, rows)


def ratios_table(found: Sequence[Record]) -> str:
    sizes = list(dict.fromkeys(r["size"] for r in found))
    rows: dict[str, dict[int, str]] = {}
    for r in found:
        rows.setdefault(str(Way(r["runtime"], r["precision"], r["how"])), {})[r["size"]] = f"{r['ratio']:.3f}"
    return table(
        ["ours / classic", *(f"{size}x{size}" for size in sizes)],
        [[way, *(values.get(size, "") for size in sizes)] for way, values in rows.items()],
    )


def beside_pytorch(records: Sequence[Record]) -> str:
    """``0.25 at 512x512``, for each size: medians of one precision that did not take turns."""
    times = {(r["network"], r["runtime"], r["precision"], r["how"], r["size"]): r["seconds"] for r in records}
    found = []
    for size in dict.fromkeys(r["size"] for r in records):
        ours, theirs = (times.get((n, by, "fp32", "", size)) for n, by in ((OURS, ONNX_RUNTIME), (CLASSICAL, PYTORCH)))
        if ours and theirs:
            found.append(f"{ours / theirs:.3f} at {size}x{size}")
    return ", ".join(found)


def differences_table(found: Mapping[str, float]) -> str:
    return table(["by", "difference"], [[way, f"{value:.3f}"] for way, value in found.items()])


def placement_table(found: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    rows = [
        [network, provider.removesuffix("ExecutionProvider"), str(sum(kinds.values())), ", ".join(sorted(kinds))]
        for network, providers in found.items()
        for provider, kinds in providers.items()
    ]
    return table(["network", "provider", "nodes", "kinds"], rows)


def left_to_the_cpu(found: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    """What a GPU left to the CPU; nothing where there is no GPU."""
    if not any(CUDA in providers for providers in found.values()):
        return ""
    kinds = sorted({kind for providers in found.values() for kind in providers.get(CPU, {})})
    return f"\nOn the CPU: {', '.join(kinds) or 'no node'}.\n"


if __name__ == "__main__":
    main()
