"""Fast painting: list the trained styles, and paint with a trained network in ONNX Runtime."""
