"""One column of several sheets, side by side at 100 %: python -m trials.beside OUT.png COLUMN SHEET:ROW:ROWS ..."""
import sys

import numpy as np
from PIL import Image

parts = []
for one in sys.argv[3:]:
    file, row, rows = one.split(":")
    image = Image.open(file)
    x = np.asarray(image)
    dark = set(np.flatnonzero(x.max((0, 2)) < 1).tolist())
    edges = [0] + [i + 1 for i in sorted(dark) if i + 1 not in dark]
    edges = [e for i, e in enumerate(edges) if i == 0 or e - edges[i - 1] > 100] + [image.width]
    h, c = image.height // int(rows), int(sys.argv[2])
    parts.append(x[int(row) * h : (int(row) + 1) * h, edges[c] : edges[c + 1]])
Image.fromarray(np.hstack(parts)).save(sys.argv[1])
