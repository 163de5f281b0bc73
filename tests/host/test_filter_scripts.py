"""The filter's procedures in scripts and in batch runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.host.checks import (
    AGAIN,
    FILTER,
    FOLDER,
    RECTANGLE,
    assert_refused,
    in_rectangle,
    noise_pixels,
    require_root,
    require_torch,
)
from tests.host.gimp import script_fu

MAKE, ORIENTATION = 0x010F, 0x0112  # EXIF tags
SHOWN_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def test_filter_called_from_script_fu(gimp, variables, tmp_path):
    photo, painted = tmp_path / "photo.png", tmp_path / "painted.png"
    pixels = (noise_pixels()[..., :3] * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(photo)
    script_fu(
        gimp,
        variables,
        f"""
        (let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{photo}")))
               (layers (car (gimp-image-get-layers image))))
          (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 5 6 20 11)
          (plug-in-neural-style #:run-mode RUN-NONINTERACTIVE #:image image #:drawables layers
                                #:style "negative" #:output "in-place")
          (gimp-file-save RUN-NONINTERACTIVE image "{painted}" -1))
        """,
    )
    after = np.array(Image.open(painted).convert("RGB"))
    inside = in_rectangle(pixels.shape, RECTANGLE)
    assert (after[~inside] == pixels[~inside]).all()
    assert (after[inside] == 255 - pixels[inside]).all()


@pytest.mark.parametrize("procedure", [FILTER, AGAIN, FOLDER])
def test_every_argument_and_result_is_described(session, procedure):
    described = session.call("describe_procedure", procedure=procedure)
    settings = {"style", "style-image", "strength", "stroke-size", "full-resolution", "keep-colors"}
    settings |= {"size", "iterations", "features"}
    others = (
        {"folder", "output-folder", "subfolders", "name", "format", "overwrite"} if procedure == FOLDER else {"output"}
    )
    assert settings | others <= described["arguments"].keys()
    assert all(described["arguments"].values()) and all(described["returns"].values()) and described["help"]


@contextlib.contextmanager
def small_disk(folder: Path, size: int, room: int) -> Iterator[None]:
    """Mount a disk of ``size`` KiB at ``folder`` with ``room`` KiB left; the rest is in a file called filler."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", folder], check=True)
    try:
        (folder / "filler").write_bytes(bytes((size - room - 4) * 1024))
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with photos of several kinds and two files that are not pictures."""
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "paintings").mkdir()
    photo = Image.fromarray((noise_pixels(alpha=False)[..., :3] * 255).round().astype(np.uint8))
    photo.save(folder / "a.png")
    photo.convert("L").save(folder / "grey.tif")
    photo.quantize(16).save(folder / "indexed.gif")
    photo.save(folder / "b.jpg", quality=95)
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:60])
    photo.save(folder / "inner" / "inner.png")
    return folder


def test_folder_is_painted_and_existing_files_are_skipped(session, photos):
    paintings = photos.parent / "paintings"
    folders = {"folder": str(photos), "output_folder": str(paintings), "style": "negative"}
    result = session.call("run_folder", **folders)
    assert result["status"] == "success", result["message"]
    assert result["painted"] == ["a.png", "b.jpg", "grey.tif", "indexed.gif"]
    assert sorted(file.name for file in paintings.iterdir()) == result["painted"]
    assert [sentence.split()[0] for sentence in result["failed"]] == ["broken.png", "notes.txt"]
    assert result["skipped"] == []
    for name, most in (("a.png", 0), ("grey.tif", 0), ("b.jpg", 30)):
        with Image.open(photos / name) as before, Image.open(paintings / name) as after:
            assert after.mode == before.mode
            difference = np.abs(255 - np.array(before).astype(int) - np.array(after)).max()
            assert difference <= most

    times = {file: file.stat().st_mtime_ns for file in paintings.iterdir()}
    result = session.call("run_folder", **folders)
    assert result["status"] == "success" and result["painted"] == []
    assert len(result["skipped"]) == 4 and "set overwrite" in result["skipped"][0]
    assert len(result["failed"]) == 2
    assert {file: file.stat().st_mtime_ns for file in paintings.iterdir()} == times
    result = session.call("run_folder", **folders, overwrite=True, format="png")
    assert result["painted"] == ["a.png", "b.png", "grey.png", "indexed.png"]
    assert (paintings / "a.png").stat().st_mtime_ns > times[paintings / "a.png"]


@pytest.mark.parametrize("extension", ["gif", "webp"])
def test_first_frame_of_an_animation_is_painted(session, tmp_path, extension):
    photos, paintings = tmp_path / "photos", tmp_path / "paintings"
    photos.mkdir()
    paintings.mkdir()
    frames = [Image.new("RGB", (40, 30), (value, value, value)) for value in (40, 120, 200)]
    frames[0].save(photos / f"a.{extension}", save_all=True, append_images=frames[1:])
    result = session.call(
        "run_folder", folder=str(photos), output_folder=str(paintings), style="negative", format="png"
    )
    assert result["painted"] == ["a.png"], result
    with Image.open(paintings / "a.png") as painting:
        assert np.abs(np.array(painting.convert("RGB")).astype(int) - 215).max() < 4


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
def test_folder_turns_pictures_upright_and_keeps_exif_and_profile(session, tmp_path, extension):
    photos, paintings = tmp_path / "photos", tmp_path / "paintings"
    photos.mkdir()
    paintings.mkdir()
    pixels = np.full((60, 90, 3), 40, np.uint8)
    pixels[:, :45] = 200  # the left half of what the camera stored is the top of what it saw
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Camera Works"
    name = f"portrait.{extension}"
    Image.fromarray(pixels).save(photos / name, exif=exif, icc_profile=profile)
    result = session.call("run_folder", folder=str(photos), output_folder=str(paintings), style="negative")
    assert result["painted"] == [name], result
    with Image.open(paintings / name) as painting:
        assert painting.size == session.call("style_picture_size", path=str(photos / name)) == (60, 90)
        assert painting.getexif()[MAKE] == "Camera Works" and painting.getexif()[ORIENTATION] == 1
        assert painting.info["icc_profile"]
        rows = np.array(painting.convert("RGB")).mean((1, 2))
    assert np.abs(rows[:40] - 55).max() < 4 and np.abs(rows[50:] - 215).max() < 4


@pytest.mark.parametrize(("extension", "room"), [("tif", 464), ("png", 466), ("jpg", 40), ("tga", 160)])
def test_full_disk_leaves_no_painting(session, tmp_path, extension, room):
    """GIMP's exporters report success for some of these, and would leave a file that nothing can read."""
    require_root()
    photos, paintings = tmp_path / "photos", tmp_path / "full"
    photos.mkdir()
    paintings.mkdir()
    noise = np.random.default_rng(5).integers(0, 256, (400, 400, 3), np.uint8)
    Image.fromarray(noise).save(photos / "noise.png")
    with small_disk(paintings, 480, room):
        result = session.call(
            "run_folder", folder=str(photos), output_folder=str(paintings), style="negative", format=extension
        )
        assert result["status"] == "success" and result["painted"] == [], result
        assert "No space left on device" in result["failed"][0] and "partial" not in result["failed"][0]
        assert [file.name for file in paintings.iterdir()] == ["filler"]


def test_reasons_have_words_and_the_files_own_names(session, photos):
    paintings = photos.parent / "paintings"
    (photos / "b.jpg").rename(photos / "photo.xyz")  # GIMP knows it by its contents, but cannot save in this format
    result = session.call("run_folder", folder=str(photos), output_folder=str(paintings), style="negative")
    (sentence,) = [sentence for sentence in result["failed"] if sentence.startswith("photo.xyz ")]
    assert "partial" not in sentence and "GIMP cannot save photo.xyz (" in sentence
    assert not any("execution error" in sentence for sentence in result["failed"])


def test_names_in_latin_1_do_not_end_a_folder_run(session, photos):
    latin = os.fsdecode("é".encode("latin-1"))
    (photos / "a.png").rename(photos / f"a{latin}.png")
    (photos / "broken.png").rename(photos / f"a{latin} broken.png")
    paintings = photos.parent / f"paintings {latin}"
    paintings.mkdir()
    folders = {"folder": str(photos), "output_folder": str(paintings), "style": "negative", "strength": 0.0}
    shown = f"a{SHOWN_REPLACEMENT}"
    result = session.call("run_folder", **folders)
    assert result["status"] == "success", result["message"]
    assert result["painted"] == [f"{shown}.png", "b.jpg", "grey.tif", "indexed.gif"]
    assert [sentence.split(" was not painted")[0] for sentence in result["failed"]] == [
        f"{shown} broken.png",
        "notes.txt",
    ]
    assert sorted(file.name for file in paintings.iterdir()) == [f"a{latin}.png", "b.jpg", "grey.tif", "indexed.gif"]
    result = session.call("run_folder", **folders)
    assert result["painted"] == [] and (len(result["skipped"]), len(result["failed"])) == (4, 2)
    assert f"{shown}.png already exists" in result["skipped"][0]
    empty = photos.parent / f"empty {latin}"
    empty.mkdir()
    assert_refused(session.call("run_folder", **folders | {"folder": str(empty)}), f"empty {SHOWN_REPLACEMENT}")


def test_style_picture_may_have_a_name_in_latin_1(session, features, photos):
    require_torch()
    picture = photos / os.fsdecode("é.png".encode("latin-1"))
    image, layer = session.call("new_image", pixels=noise_pixels(alpha=False), alpha=False)
    arguments = {"style_image": str(picture), "features": features, "size": 64, "iterations": 1}
    picture.write_text("no picture")
    assert_refused(session.call("run", image=image, drawables=[layer], **arguments), f"{SHOWN_REPLACEMENT}.png")
    shutil.copy(photos / "a.png", picture)
    result = session.call("run", image=image, drawables=[layer], **arguments)
    assert result["status"] == "success", result["message"]
    expected_name = f"Neural Style: {SHOWN_REPLACEMENT}, 100 %"
    assert session.call("describe_layer", layer=result["layer"])["name"] == expected_name
    again = session.call("run", image=image, drawables=[result["layer"]], procedure=AGAIN, **arguments)
    assert again["status"] == "success", again["message"]
    assert session.call("describe_layer", layer=again["layer"])["name"] == expected_name
    session.call("delete", image=image)


def test_invalid_folder_arguments_are_refused(session, photos):
    folders = {"folder": str(photos), "output_folder": str(photos.parent / "paintings")}
    for wrong, *words in (
        ({"style": "negativ"}, "did you mean negative"),
        ({"folder": str(photos.parent / "paintings"), "output_folder": str(photos)}, "no pictures in"),
        ({"output_folder": str(photos)}, "another folder"),
        ({"strength": 101.0}, "from 0 to 100"),
        ({"format": "xyz"}, "xyz", "such as png"),
    ):
        assert_refused(session.call("run_folder", **folders | {"style": "negative"} | wrong), *words)
    assert not any((photos.parent / "paintings").iterdir())


def test_folder_with_subfolders_and_names(session, photos):
    paintings = photos.parent / "paintings"
    folders = {"folder": str(photos), "output_folder": str(paintings), "style": "negative", "subfolders": True}
    result = session.call("run_folder", **folders, name="{style}/{stem}.{ext}", format="png")
    expected = [f"negative/{name}.png" for name in ("a", "b", "grey", "indexed")]
    assert result["painted"] == [*expected, "negative/inner/inner.png"]
    assert all((paintings / name).is_file() for name in result["painted"])
    twins = session.call("run_folder", **folders, name="same.{ext}", format="png")
    assert_refused(twins, "would both be painted as")


def test_folder_procedure_called_from_script_fu(gimp, variables, photos):
    script_fu(
        gimp,
        variables,
        f"""
        (plug-in-neural-style-folder #:folder "{photos}" #:output-folder "{photos.parent / "paintings"}"
                                     #:style "negative" #:strength 0 #:format "png")
        """,
    )
    with Image.open(photos / "a.png") as before, Image.open(photos.parent / "paintings" / "a.png") as after:
        assert (np.array(before) == np.array(after)).all()
