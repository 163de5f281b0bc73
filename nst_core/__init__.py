"""The science of Neural Style, in PyTorch: feature networks, losses, the iterative render and training.

Nothing here knows of hosts, of ONNX Runtime or of the terminal. Pictures come in and go out as tensors,
settings as frozen dataclasses, progress through one callback; only feature weights, checkpoints and
training photos are read from disk.
"""

import os

# Asks PyTorch for its large tensors in huge pages, which Linux alone has: a render's are written once and dropped, and
# page by page that costs a twentieth of an iteration.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
