"""Parts of sheets at 100 % that a screen holds: python -m trials.view SHEET FIRST LAST OUT.png [rows as 0,1,3]"""
import sys

import numpy as np
from PIL import Image

image = np.asarray(Image.open(sys.argv[1]))
first, last = int(sys.argv[2]), int(sys.argv[3])
# Columns are separated by four black ones, at the widths of the photos: find them in the whole height.
dark = np.flatnonzero((image.max((0, 2)) < 1))
edges = [0] + [x + 1 for x in dark if x + 1 not in dark]
edges = [e for i, e in enumerate(edges) if i == 0 or e - edges[i - 1] > 100]
part = image[:, edges[first] : (edges[last] if last < len(edges) else image.shape[1])]
if len(sys.argv) > 5:
    wanted = [int(r) for r in sys.argv[5].split(",")]
    rows = int(sys.argv[6])
    h = image.shape[0] // rows
    part = np.vstack([part[r * h : (r + 1) * h] for r in wanted])
print(part.shape, len(edges))
Image.fromarray(part).save(sys.argv[4])
