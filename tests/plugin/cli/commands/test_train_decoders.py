"""``neural-style train-decoders`` in a process of its own."""

from tests.plugin.command_line import json_report


def test_train_decoders_trains_and_finds_a_finished_training(run, photos_folder):
    """Level 1 starts from photos alone; the second call has nothing left to do."""
    places = ["--photos", photos_folder, "--paintings", photos_folder, "--held-out", photos_folder]
    command = ["train-decoders", "-o", "one.safetensors", *places, "--level", 1, "--crop", 64, "--steps", 2, "--json"]
    report = json_report(run(*command))
    assert report["steps"] == 2 and report["psnr"] > 30
    assert json_report(run(*command)) == report


def test_slim_decoder_needs_its_encoder(run, photos_folder, slim_weights):
    places = ["--photos", photos_folder, "--paintings", photos_folder]
    start = ["--start-from", slim_weights]
    done = run("train-decoders", "-o", "two.safetensors", *places, "--level", 2, "--crop", 64, "--steps", 1, *start)
    assert done.returncode == 2 and "is not a decoder" in done.stderr


def test_deep_level_needs_a_decoder_to_start_from(run, photos_folder):
    places = ["--photos", photos_folder, "--paintings", photos_folder]
    done = run("train-decoders", "-o", "five.safetensors", *places, "--level", 5, "--crop", 64, "--steps", 1)
    assert done.returncode == 2 and "give one to start from" in done.stderr
