"""Losses, the objective that is optimised, and the metrics that judge a picture."""
