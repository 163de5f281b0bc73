import os
import re
import shutil

import pytest
import pyvips

from nst_core.base.errors import StyleError
from plugin.cli.main import main
from plugin.cli.outputs import check_apart, check_picture_fits, check_picture_output, same_file


def test_unusable_picture_outputs_are_refused(tmp_path):
    check_picture_output(tmp_path / "fine.png")
    for path, reason in (
        (tmp_path / "x.xyz", "does not have a picture file's"),
        (tmp_path / "no" / "x.png", "no folder"),
        (tmp_path, "folder"),
    ):
        with pytest.raises(StyleError, match=reason):
            check_picture_output(path)


def test_same_file_sees_through_links_and_needs_no_file(tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"photo")
    (tmp_path / "link.png").symlink_to(photo)
    os.link(photo, tmp_path / "hard.png")
    (tmp_path / "later.png").symlink_to("new.png")
    (tmp_path / "folder").symlink_to(".")
    for one, other in (("photo.png", "link.png"), ("photo.png", "hard.png"), ("later.png", "folder/new.png")):
        assert same_file(tmp_path / one, tmp_path / other)
    for one, other in (("photo.png", "new.png"), ("a.png", "b.png"), ("photo.png", 300 * "x")):
        assert not same_file(tmp_path / one, tmp_path / other)


def test_output_may_not_be_an_input_or_another_output(tmp_path):
    photo, output = ("photo", tmp_path / "photo.png"), ("output", tmp_path / "out.png")
    check_apart([output, ("plot", None)], [photo, ("settings", None), photo])
    with pytest.raises(StyleError, match=r"The plot .*photo\.png and the photo are the same file"):
        check_apart([output, ("plot", photo[1])], [photo])
    with pytest.raises(StyleError, match=r"The output .*out\.png and the plot are the same file"):
        check_apart([output, ("plot", output[1])], [photo])


RENDER = "render photo.png --style-image style.png --features compact"
CHECKPOINTS = "--checkpoint-every 50"
CLASHES = [
    "apply photo.png --style udnie -o photo.png",
    "apply photo.png --style udnie -o link.png",
    f"{RENDER} -o photo.png",
    f"{RENDER} -o style.png",
    f"{RENDER} -o out.png --losses photo.png",
    f"{RENDER} -o out.png --losses out.png",
    f"{RENDER} -o later.png --losses out.png",
    f"{RENDER} -o x.gif --animation x.gif",
    f"{RENDER} -o out.png --animation style.webp --init style.webp",
    f"{RENDER} -o out.png --losses mine.csv --settings mine.csv",
    f"{RENDER} -o photo-50.png --init photo-50.png",
    f"render photo-50.png --style-image style.png -o photo.png --features compact {CHECKPOINTS}",
    f"{RENDER} -o out.png {CHECKPOINTS} --losses out-100.png",
    f"{RENDER} -o links.png {CHECKPOINTS}",
    f"{RENDER} -o out.png {CHECKPOINTS} --settings out.checkpoint",
    "train style.png -o mine.onnx --start-from mine.onnx",
    "train mine.preview.jpg -o mine.onnx",
    "train style.png -o mine.onnx --cards mine.losses.csv",
    "train style.png -o mine.onnx --photos mine.checkpoint",
    "distill -o out.safetensors --teacher compact --photos out.checkpoint --paintings .",
    "distill -o net.safetensors --teacher net.safetensors --photos . --paintings .",
    "export mine.onnx -o mine.onnx",
    "import mine.onnx -o linked.onnx",
    "study pooling pooling.png --style-image style.png -o .",
]


@pytest.fixture
def folder(tmp_path, samples, monkeypatch):
    for name in ("photo.png", "style.png", "style.webp", "photo-50.png", "pooling.png", "mine.preview.jpg"):
        shutil.copy(samples / "chelsea.jpg", tmp_path / name)
    for name in ("mine.csv", "mine.losses.csv", "out.checkpoint", "mine.onnx", "mine.checkpoint", "net.safetensors"):
        (tmp_path / name).write_text("[[style]]\ntitle = 'a'" if name == "mine.losses.csv" else "")
    for name, target in {
        "link.png": "photo.png",
        "later.png": "out.png",
        "links-100.png": "photo.png",
        "linked.onnx": "mine.onnx",
    }.items():
        (tmp_path / name).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", CLASHES)
def test_command_refuses_to_overwrite_its_own_files(folder, capsys, command):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    (folder / "mine.checkpoint").unlink() if "train" in command and "--photos" not in command else None
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert main(command.split()) == 2
    assert re.fullmatch(
        r"neural-style: The .* and the .* are the same file; give each a name of its own\.\n", capsys.readouterr().err
    )
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_target_of_a_link_is_checked(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "fine.png").symlink_to("folder/new.png")
    check_picture_output(tmp_path / "fine.png")
    for name, target, reason in (("nowhere.png", "no/new.png", "no folder"), ("folder.png", "folder", "is a folder")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(StyleError, match=reason):
            check_picture_output(tmp_path / name)


@pytest.mark.parametrize(("suffix", "most"), [(".webp", 16383), (".AVIF", 16384), (".jpg", 65500), (".gif", 65535)])
def test_pictures_too_wide_for_a_format_are_refused(tmp_path, suffix, most):
    """The writer has the same limit."""
    path = tmp_path / f"a{suffix}"
    check_picture_fits(path, most, 8, 3)
    with pytest.raises(StyleError, match=f"at most {most} a side"):
        check_picture_fits(path, 8, most + 1, 3)
    image = pyvips.Image.black(most + 1, 8, bands=3).copy(interpretation="srgb")
    with pytest.raises(pyvips.Error):
        image.write_to_buffer(suffix.lower())
    check_picture_fits(tmp_path / "a.png", 10**6, 8, 3)


def test_lack_of_disk_space_is_refused_before_the_work(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**6))
    check_picture_fits(tmp_path / "a.tif", 500, 500, 4)
    with pytest.raises(StyleError, match=r"at least 1\.2 MB, and only 1\.0 MB are free"):
        check_picture_fits(tmp_path / "a.tif", 500, 600, 4)
    check_picture_fits(tmp_path / "a.jpg", 500, 600, 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0))
    with pytest.raises(StyleError, match="free some space"):
        check_picture_fits(tmp_path / "a.jpg", 500, 600, 3)


def test_lack_of_room_for_style_files_and_checkpoints_is_known_before_the_work(
    sample, slim_weights, tmp_path, monkeypatch, capsys
):
    import torch

    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.jpg").write_bytes(sample.read_bytes())
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "x.pth")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    for arguments, file in (
        (("export", "x.pth", "-o", "x.onnx"), "style file"),
        (("import", "x.pth", "-o", "x.onnx"), "style file"),
        (("train", "fine.jpg", "-o", "x.onnx", "--features", str(slim_weights)), "style file with its checkpoint"),
        (
            (
                "render",
                "fine.jpg",
                "--style-image",
                "fine.jpg",
                "-o",
                "o.jpg",
                "--size",
                "64",
                "--checkpoint-every",
                "9",
            ),
            "checkpoint",
        ),
    ):
        assert main(arguments) == 2
        assert f"The {file} takes at least" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"fine.jpg", "x.pth"}
