"""The core of Neural Style, in PyTorch: feature networks, losses, the iterative render and training.

It depends on no host and no terminal. Pictures come in and go out as tensors, settings as frozen dataclasses, and
progress through one callback. Only feature weights, checkpoints and training photos are read from disk.
"""

from nst_core.base.threads import shorten_openmp_waits

shorten_openmp_waits()
