"""Measure the product for docs/. Each benchmark says in its first lines how to run it."""

from nst_core.base.threads import shorten_openmp_waits

shorten_openmp_waits()  # before a benchmark imports PyTorch, to measure what the filter runs
