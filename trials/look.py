"""A few pictures at 100 %: python -m trials.look OUT.png NAME=FILE[:DETAIL,...] ... --photos face3,golden_gate"""
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trials.measure import DATA, SHARED, network_in, painted, pixels, tensor

torch.set_num_threads(1)
photos = sys.argv[2].split(",")
pictures = []
for name in photos:
    held = SHARED / f"photos/eval/{name}.jpg"
    pictures.append(tensor(held if held.exists() else DATA / f"{name}.jpg"))
rows = []
for one in sys.argv[3:]:
    file, _, details = one.partition(":")
    network = network_in(Path(file))
    for detail in (details or "0").split(","):
        with torch.autocast("cpu", torch.bfloat16):
            rows.append([pixels(painted(network, p, float(detail) / 100).float()) for p in pictures])
height = max(o.shape[0] for r in rows for o in r)
grid = [np.hstack([np.pad(o, ((0, height - len(o)), (0, 4), (0, 0))) for o in r]) for r in rows]
Image.fromarray(np.vstack(grid)).save(sys.argv[1])
print(grid[0].shape, len(grid))
