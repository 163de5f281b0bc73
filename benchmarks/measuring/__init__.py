"""Measure, describe and record: what the benchmarks share."""
