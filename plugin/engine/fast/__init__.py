"""Paint with a trained network, in ONNX Runtime: the styles there are, and a picture through one."""
