"""The science of Neural Style, in PyTorch: feature networks, losses, the iterative render and training.

Nothing here knows of hosts, of ONNX Runtime or of the terminal. Pictures come in and go out as tensors,
settings as frozen dataclasses, progress through one callback; only feature weights, checkpoints and
training photos are read from disk.
"""
