"""Programs that measure; each says in its first lines how it is run."""

import nst_core  # noqa: F401  # before PyTorch, whose threads are to wait as those of the filter do
