import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.features.catalogue import load_features
from nst_core.instant.decoder import Decoder, channels_of, decoder_shape, layer_of, psnr
from nst_core.instant.warm_start import start_from_decoder, start_from_photos
from nst_core.pictures.photos import Photos


@pytest.fixture
def photos(photos_folder):
    return list(Photos(photos_folder, 48).wholes())


def test_level_1_reconstructs_photos_without_training(encoder, photos):
    torch.manual_seed(0)
    decoder = Decoder(1, channels_of(encoder, 1))
    start_from_photos(decoder, encoder, photos[:9])
    assert min(psnr(decoder, encoder, photo) for photo in photos[9:]) > 30


def test_deeper_level_does_not_start_from_photos_alone(encoder, photos):
    with pytest.raises(StyleError, match="give one to start from"):
        start_from_photos(Decoder(2, channels_of(encoder, 2)), encoder, photos)


def test_decoder_takes_over_the_other_one_and_fits_the_first_convolution(encoder, photos, slim_weights):
    """The teacher's first convolution is copied through compact's features, the others as they are."""
    torch.manual_seed(0)
    teacher_encoder = load_features(str(slim_weights)).without_heads()
    teacher = Decoder(2, channels_of(teacher_encoder, 2))
    state = {f"conv{str(layer)[4]}{str(layer)[6]}": layer for layer, _into, _out in decoder_shape(2, 6)}
    weights = {
        f"{name}.{part}": getattr(teacher.steps[str(layer)], part).detach()
        for name, layer in state.items()
        for part in ("weight", "bias")
    }
    decoder = Decoder(2, channels_of(encoder, 2))
    start_from_decoder(decoder, encoder, weights, teacher_encoder, photos[:9])
    assert torch.equal(decoder.steps["conv1_2"].weight, teacher.steps["conv1_2"].weight)
    photo = photos[10][..., :144, :144]
    layer = layer_of(2)
    with torch.no_grad():
        expected = teacher(teacher_encoder(photo, [layer])[layer])
        ours = decoder(encoder(photo, [layer])[layer])
    assert (ours - expected).square().mean() < 0.2 * expected.var()


def test_decoder_of_another_shape_is_refused(encoder, photos, slim_weights):
    teacher_encoder = load_features(str(slim_weights)).without_heads()
    with pytest.raises(StyleError, match="lacks"):
        start_from_decoder(Decoder(2, 48), encoder, {}, teacher_encoder, photos)
    wrong = {
        f"conv{name}.{part}": torch.zeros((4, 4, 3, 3) if part == "weight" else 4)
        for name in ("21", "12", "11")
        for part in ("weight", "bias")
    }
    with pytest.raises(StyleError, match="another shape"):
        start_from_decoder(Decoder(2, 48), encoder, wrong, teacher_encoder, photos)
