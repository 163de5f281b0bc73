"""Paint in the style of any picture at once: ONNX Runtime and NumPy, never PyTorch."""
