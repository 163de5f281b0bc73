"""``neural-style doctor`` in a process of its own."""

from tests.plugin.command_line import json_report


def test_doctor_reports_every_part(run):
    report = json_report(run("doctor", "--json"))
    assert {"python", "packages", "execution_providers", "gpu", "gimp", "styles", "feature_networks"} <= set(report)
