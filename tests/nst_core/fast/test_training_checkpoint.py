import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.fast.training_checkpoint import TrainingCheckpoint, load_training, save_training
from nst_core.fast.transformer import TransformerNetwork

SETTINGS = TrainSettings(network=TransformerSettings(width=4, residual_blocks=1))
CHECKPOINT = TrainingCheckpoint(SETTINGS, 7, TransformerNetwork(SETTINGS.network), {}, "slim", ("ab",), 12, 30, "other")


def test_saved_checkpoint_is_loaded_back(tmp_path):
    save_training(CHECKPOINT, tmp_path / "c")
    loaded = load_training(tmp_path / "c")
    state = CHECKPOINT.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.network.state_dict().items())
    names = ("settings", "step", "feature_network", "style_sha256", "photos", "earlier_steps", "started_from")
    assert [getattr(loaded, name) for name in names] == [getattr(CHECKPOINT, name) for name in names]
    assert loaded.total_steps == 37


def test_keys_of_the_file_stay(tmp_path):
    """Older files must load."""
    save_training(CHECKPOINT, tmp_path / "c")
    saved = torch.load(tmp_path / "c", weights_only=True)
    assert saved["format"] == 4
    assert list(saved) == [
        "format",
        "settings",
        "step",
        "network",
        "optimizer",
        "feature_network",
        "style_sha256",
        "photos",
        "earlier_steps",
        "started_from",
    ]


def test_unwritable_checkpoint_leaves_the_old_one(tmp_path, full_disk):
    save_training(CHECKPOINT, tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    with full_disk(), pytest.raises(StyleError, match="free some space"):
        save_training(CHECKPOINT, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_files_that_are_not_checkpoints_are_refused(tmp_path):
    with pytest.raises(StyleError, match="no checkpoint"):
        load_training(tmp_path / "missing")
    (tmp_path / "text").write_text("no")
    torch.save({"format": 1}, tmp_path / "other")
    for name in ("text", "other"):
        with pytest.raises(StyleError, match="not a checkpoint"):
            load_training(tmp_path / name)
