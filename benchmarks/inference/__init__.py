"""Measure how fast a trained style paints, ours and the classic network, in ONNX Runtime and in PyTorch."""
