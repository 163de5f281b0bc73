"""``neural-style styles`` in a process of its own."""

from tests.plugin.command_line import json_report


def test_styles_lists_the_bundled_ones(run):
    assert "great-wave" in [style["name"] for style in json_report(run("styles", "--json"))["styles"]]
    assert "Hokusai" in run("styles").stdout
