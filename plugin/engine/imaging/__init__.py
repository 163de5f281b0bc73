"""Pixels between host and network, in NumPy and ONNX Runtime."""
