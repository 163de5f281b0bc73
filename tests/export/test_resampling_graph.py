"""The network that resizes planes, which is in the repository as it was made."""

import onnx

from export import resampling_graph as resampling


def test_the_file_is_what_the_module_makes():
    assert onnx.load(resampling.FILE) == resampling.resampling()
