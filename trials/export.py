"""Style files of two rows, as NAME-faithful and NAME-bold, of checkpoints: python -m trials.export OUT NAME=FILE ..."""
import sys
from pathlib import Path

import torch

from export.to_onnx import StyleCard, export_styles
from nst_core.train import load_checkpoint
from plugin.engine.style_library import find_styles
from plugin.training import sample_photo

torch.set_num_threads(1)
for one in sys.argv[2:]:
    name, file = one.split("=")
    (style,) = find_styles(name)
    cards = [
        StyleCard(style.title, style.artist, style.year, style.licence, f"{name}-{row}") for row in ("faithful", "bold")
    ]
    out = Path(sys.argv[1]) / f"{name}.onnx"
    print(name, export_styles(load_checkpoint(Path(file)), cards, sample_photo(), out), out.stat().st_size, flush=True)
