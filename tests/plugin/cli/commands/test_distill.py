"""``neural-style distill`` in a process of its own."""

from tests.plugin.command_line import json_report


def test_distill_trains_and_finds_a_finished_training(run, slim_weights, photos_folder):
    """A tiny network learns from a tiny teacher; the second call has nothing left to do."""
    places = ["--photos", photos_folder, "--paintings", photos_folder, "--held-out", photos_folder]
    size = ["--channels", "4,4,4,4,4", "--batch", 4, "--crop", 48]
    command = ["distill", "--teacher", slim_weights, "-o", "mine.safetensors", *places, *size, "--json"]
    report = json_report(run(*command, "--steps", 3))
    assert report["steps"] == 3 and report["teacher"] == "slim" and len(report["agreement"]) == 5
    again = json_report(run(*command, "--steps", 3))
    assert again == report
