import pytest

torch = pytest.importorskip("torch")

from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.fast.starting_network import StartingNetwork, nearest_start
from nst_core.fast.transformer import TransformerNetwork, paint_every_row
from nst_core.features.catalogue import load_features

SHAPE = TransformerSettings(width=4, residual_blocks=1, styles=3)
SETTINGS = TrainSettings(network=SHAPE, style_size=52)  # about the size of the photo


def test_nearest_style_is_the_one_that_paints_alike(slim_weights, samples, read_photo):
    """Paintings by one of the networks find that network, and the styles that they were painted in."""
    photo, candidates = read_photo(samples / "chelsea.jpg", 64), []
    for number in range(2):
        torch.manual_seed(number)
        network = TransformerNetwork(SHAPE)
        for name, table in network.named_parameters():
            if "norm" in name:
                torch.nn.init.normal_(table, 0.5)
        candidates.append(StartingNetwork(network, 100 * number, tuple("abc")))
    features = load_features(str(slim_weights))
    for candidate, names in ((candidates[1], "ca"), (candidates[0], "b")):
        paintings = paint_every_row(candidate.network, photo)
        styles = [paintings["abc".index(name)] for name in names]
        nearest = nearest_start(candidates, styles, photo, features, SETTINGS)
        assert (nearest.network, nearest.title) == (candidate.network, ", ".join(names))
