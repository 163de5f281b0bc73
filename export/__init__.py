"""From a trained network to a style file that needs no PyTorch."""

import plugin.engine  # noqa: F401 (keeps ONNX Runtime, which checks the file, from sending usage data)
