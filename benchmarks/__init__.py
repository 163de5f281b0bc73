"""Programs that measure; each says in its first lines how it is run."""

from nst_core.base.threads import shorten_openmp_waits

shorten_openmp_waits()  # before a benchmark imports PyTorch, to measure what the filter runs
