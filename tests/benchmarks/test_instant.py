import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image

from benchmarks import instant
from plugin.engine.imaging.picture import Picture


def read(path, side):
    with Image.open(path) as image:
        image.thumbnail((side, side))
        pixels = np.ones((image.height, image.width, 4), np.float32)
        pixels[..., :3] = np.asarray(image.convert("RGB"), np.float32) / 255
    return Picture(pixels)


@pytest.mark.parametrize(("level", "least"), [(1, 38.0), (2, 25.0), (3, 22.0)])
def test_published_decoders_reconstruct_a_photo(assets, samples, level, least):
    encoder, decoder = instant.SlimCascade(assets / "weights")._network(level)
    photo = torch.from_numpy(read(samples / "coffee.jpg", 160).pixels[:96, :, :3].transpose(2, 0, 1).copy())[None]
    with torch.no_grad():
        layer = f"relu{level}_1"
        decoded = decoder(encoder(photo, [layer])[layer]).clamp(0, 1)
    assert -10 * torch.log10((decoded - photo).square().mean()) > least


def test_reference_takes_the_styles_colours(assets, samples):
    photo, style = read(samples / "chelsea.jpg", 90), read(samples / "rocket.jpg", 200)
    painted = instant.SlimCascade(assets / "weights").paint(photo, style, swapped=(4,))
    assert painted.shape == (photo.height, photo.width, 3)
    means = [pixels[..., :3].mean((0, 1)) for pixels in (painted, style.pixels, photo.pixels)]
    assert np.abs(means[0] - means[1]).max() < 0.5 * np.abs(means[2] - means[1]).max()


def test_report_has_a_row_for_each_way_and_a_column_for_each_style():
    record = {
        "photos": [0, 12],
        "size": 256,
        "styles": ["Wave", "Udnie"],
        "objective": {"the photo itself": [7.371, 8.58], "default settings": [2.2, 2.0]},
        "psnr": {1: 39.44, 5: 15.46},
        "portraits": 12,
        "faces": {"wave": 9, "udnie": 10},
    }
    report = instant.write_report(record)
    assert "| the photo itself | 7.37 | 8.58 |" in report and "| dB | 39.4 | 15.5 |" in report
    assert "Faces kept, of 12, mean 9.5" in report and "| 9 | 10 |" in report
    assert "2 held-out photos of at most 256 pixels" in report
