"""The engine without PyTorch: the style library, ONNX Runtime, the picture between host and network."""

import os

# ONNX Runtime's packages send usage data to their maker; it looks at this when it is imported, which is after this.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
