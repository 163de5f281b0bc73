import onnx

from export.resampling_graph import FILE, make_resampling_graph


def test_file_in_the_repository_is_what_the_module_makes():
    assert onnx.load(FILE) == make_resampling_graph()
