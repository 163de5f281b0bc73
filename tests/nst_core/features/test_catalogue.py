import hashlib
import http.server
import threading
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings
from nst_core.distill.student import CONV_LAYERS, new_student, save_compact
from nst_core.features import catalogue as weights


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Provide an empty torch.hub folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def compact(tmp_path, monkeypatch):
    """Put a compact network in the place of our own, tiny and random, in half precision."""
    path = tmp_path / "compact.safetensors"
    tiny = new_student(DistillSettings(channels=(6, 6, 6, 6, 6)), dict.fromkeys(CONV_LAYERS, 12))
    save_compact(tiny, path, {})
    monkeypatch.setattr(weights, "COMPACT", path)
    return path


@pytest.fixture
def server(tmp_path):
    """Run a web server on this machine with one weights file: a VGG-19 cut off after conv1_1."""
    folder = tmp_path / "www"
    folder.mkdir()
    torch.save(
        {"features.0.weight": torch.full((64, 3, 3, 3), 0.01), "features.0.bias": torch.zeros(64)}, folder / "vgg19.pth"
    )
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/vgg19.pth", folder / "vgg19.pth"
        httpd.shutdown()


def test_weights_are_downloaded_once_and_checked(hub, server, monkeypatch):
    url, file = server
    size, sha256 = file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(weights.DOWNLOADS, "vgg19", weights.Download(url, sha256, size))
    assert "vgg19" not in weights.available()
    seen = []
    network = weights.load_features("vgg19", progress=lambda done, total: not seen.append((done, total)))
    assert list(network.convolutions) == ["conv1_1"] and network.name == "vgg19" and seen[-1] == (size, size)
    assert weights.available()["vgg19"] == hub / "vgg19.pth"
    file.unlink()
    weights.load_features("vgg19")  # from the disk now


def test_auto_is_vgg19_if_it_is_on_disk_else_compact(hub, server, compact, monkeypatch):
    """It fetches nothing."""
    monkeypatch.setitem(weights.DOWNLOADS, "vgg19", weights.Download("http://127.0.0.1:9/vgg19.pth", "00", 1))
    assert weights.load_features("auto").name == "compact"
    hub.mkdir(parents=True)
    server[1].rename(hub / "vgg19.pth")
    assert weights.load_features("auto").name == "vgg19"


def test_bundled_compact_network_has_the_five_style_layers(hub, compact):
    assert weights.available() == {"compact": compact}
    network = weights.load_features("compact", "average")
    assert (network.name, network.pooling) == ("compact-average", "average")
    features = network(torch.rand(1, 3, 32, 32), GATYS_STYLE_LAYERS)
    assert [value.dtype for value in features.values()] == [torch.float32] * 5


def test_missing_compact_network_is_an_error_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "COMPACT", tmp_path / "compact.safetensors")
    with pytest.raises(StyleError, match=r"compact\.safetensors is missing; install Neural Style again\.$"):
        weights.load_features("compact")


def test_sources_joined_with_plus_make_a_combined_network(compact, slim_weights):
    network = weights.load_features(f"{slim_weights}+compact")
    assert network.name == "slim+compact"
    assert [n.name for n in network.networks] == ["slim", "compact"]


def test_a_file_may_have_a_plus_in_its_name(tmp_path, slim_weights):
    path = tmp_path / "c++" / "a+b.safetensors"
    path.parent.mkdir()
    path.write_bytes(slim_weights.read_bytes())
    assert weights.load_features(str(path)).name == "a+b"


def test_wrong_checksum_leaves_no_file(hub, server, monkeypatch):
    url, file = server
    monkeypatch.setitem(weights.DOWNLOADS, "vgg19", weights.Download(url, "00000000", file.stat().st_size))
    with pytest.raises(StyleError, match="could not be fetched"):
        weights.load_features("vgg19")
    assert list(hub.iterdir()) == []


def test_offline_says_which_file_to_put_where(hub, monkeypatch):
    # Port 9 of this machine refuses: what an offline machine's user sees.
    monkeypatch.setitem(weights.DOWNLOADS, "vgg19", weights.Download("http://127.0.0.1:9/vgg19.pth", "00", 548 << 20))
    with pytest.raises(StyleError) as error:
        weights.load_features("vgg19")
    text = str(error.value)
    assert "575 MB" in text and "http://127.0.0.1:9/vgg19.pth" in text and str(hub / "vgg19.pth") in text


def test_code_in_a_pickle_is_not_run(hub, tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    hub.mkdir(parents=True)
    torch.save({"features.0.weight": Evil()}, hub / "vgg19-dcbb9e9d.pth")
    with pytest.raises(StyleError, match="damaged"):
        weights.load_features("vgg19")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 64])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(StyleError, match=r"broken\.safetensors cannot be read"):
        weights.load_features(str(path))


def test_weights_of_another_network_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file(
        {"features.0.weight": torch.zeros(10, 3, 3, 3), "features.0.bias": torch.zeros(10)}, tmp_path / "x.safetensors"
    )
    with pytest.raises(StyleError, match="another network"):
        weights.load_features(str(tmp_path / "x.safetensors"))
    save_file({"layer.weight": torch.zeros(10)}, tmp_path / "y.safetensors")
    with pytest.raises(StyleError, match=r"features\.0\.weight is missing"):
        weights.load_features(str(tmp_path / "y.safetensors"))


def test_an_unknown_name_is_refused():
    with pytest.raises(StyleError, match=r"'vgg11'.*vgg19, vgg16"):
        weights.load_features("vgg11")


def test_both_preprocessings_give_the_same_features(assets):
    """The two files hold the same network for BGR 0..255 and for normalised RGB; the border differs by its padding."""
    image = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    caffe, rgb = (
        weights.load_features(str(assets / f"weights/vgg19_conv1_1-conv3_4_{name}.safetensors"))(image, ["relu1_1"])
        for name in ("caffe", "rgbnorm")
    )
    torch.testing.assert_close(caffe["relu1_1"][..., 1:-1, 1:-1], rgb["relu1_1"][..., 1:-1, 1:-1], rtol=1e-3, atol=0.05)


def test_addresses_are_those_of_torchvision():
    models = pytest.importorskip("torchvision").models
    official = {"vgg19": models.VGG19_Weights.IMAGENET1K_V1.url, "vgg16": models.VGG16_Weights.IMAGENET1K_V1.url}
    assert {name: download.url for name, download in weights.DOWNLOADS.items()} == official
