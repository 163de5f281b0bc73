"""The science of Neural Style, in PyTorch: feature networks, losses, the iterative render and training.

Nothing here knows of hosts, of ONNX Runtime or of the terminal. Pictures come in and go out as tensors,
settings as frozen dataclasses, progress through one callback; only feature weights, checkpoints and
training photos are read from disk.
"""

import os

# How often threads of PyTorch's GNU OpenMP that wait for each other look before they sleep: for microseconds, and not
# for milliseconds, in which they keep others from the processors. Two renders at once on two processors took seven to
# eighteen times as long as one, and now less than twice; one alone at 256 pixels takes as long there as before. It is
# heard where this package is imported before PyTorch.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
