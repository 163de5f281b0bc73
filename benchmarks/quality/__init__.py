"""Measure how good the trained styles are: what each is worth in iterations of a render, and which artefacts it has."""
