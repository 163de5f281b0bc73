"""Measure how fast an iterative render is: a race of methods to the same loss, and the cost of an iteration."""
