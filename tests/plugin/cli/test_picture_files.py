import base64
import contextlib
import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from nst_core.base.errors import StyleError
from plugin.cli import picture_files
from plugin.cli.picture_files import Allowed, read_picture, read_record, write_picture
from plugin.cli.picture_records import CLOSING, END, NEW_XMP, OPENING, record_in, with_record

RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (37, 51, 3), np.uint8)


def copy_picture(source, target):
    """Read a picture and write it unchanged."""
    picture = read_picture(source)
    write_picture(picture, picture.picture.pixels, target)
    return picture


def test_eight_bit_values_survive(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    copy_picture(tmp_path / "a.png", tmp_path / "b.png")
    assert np.array_equal(np.array(Image.open(tmp_path / "b.png")), RGB)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bands", [3, 4])
def test_sixteen_bit_values_survive(tmp_path, suffix, bands):
    values = RANDOM.integers(0, 65536, (20, 30, bands)).astype(np.uint16)
    pyvips.Image.new_from_array(values, interpretation="rgb16").write_to_file(str(tmp_path / f"a{suffix}"))
    assert copy_picture(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}").bits == 16
    written = pyvips.Image.new_from_file(str(tmp_path / f"b{suffix}"))
    assert written.format == "ushort" and np.array_equal(written.numpy(), values)


def test_exif_orientation_is_applied_and_other_exif_survives(tmp_path):
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112], exif[0x010E] = 6, "a description"  # turned by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert copy_picture(tmp_path / "a.jpg", tmp_path / "b.jpg").picture.pixels.shape == (51, 37, 4)
    with Image.open(tmp_path / "b.jpg") as written:
        assert written.size == (37, 51)
        assert written.getexif().get(0x0112, 1) == 1 and written.getexif()[0x010E] == "a description"


def test_icc_profile_is_applied_and_survives(tmp_path):
    """A picture with swapped primaries: the engine sees other numbers, the file gets its own back."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, blue = srgb.index(b"rXYZ"), srgb.index(b"bXYZ")  # the tag table comes first
    swapped = bytearray(srgb)
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=bytes(swapped))
    seen = copy_picture(tmp_path / "a.png", tmp_path / "b.png").picture.pixels[..., :3]
    np.testing.assert_allclose(seen, RGB[..., ::-1] / 255, atol=0.02)
    with Image.open(tmp_path / "b.png") as written:
        assert written.info["icc_profile"] == bytes(swapped)
        assert np.abs(np.array(written).astype(int) - RGB).max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I;16"])
def test_every_kind_of_picture_can_be_read_and_written(tmp_path, mode):
    grey = np.array(Image.fromarray(RGB).convert("L"))
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(RGB).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    for suffix in (".png", ".jpg", ".tif", ".webp"):
        source = copy_picture(path, tmp_path / f"b{suffix}")
        with Image.open(tmp_path / f"b{suffix}") as written:
            written.load()
            assert written.size == (51, 37)
    assert source.has_alpha == (mode in ("LA", "RGBA")) and source.bits == (16 if mode == "I;16" else 8)
    if mode in ("L", "I;16"):
        np.testing.assert_allclose(source.picture.pixels[..., 0], grey / 255, atol=1e-3)


def test_resolution_survives(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png", dpi=(300, 300))
    for suffix in (".png", ".jpg", ".tif"):
        copy_picture(tmp_path / "a.png", tmp_path / f"b{suffix}")
        with Image.open(tmp_path / f"b{suffix}") as written:
            assert written.info["dpi"] == pytest.approx((300, 300), abs=0.1)


KEPT_RECORD = {"recipe": {"size": 512, "layers": ["relu1_1"]}, "style": "<Größe & \"]]>'.jpg"}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
def test_record_survives_in_every_format(tmp_path, suffix):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    source = read_picture(tmp_path / "a.png")
    write_picture(source, source.picture.pixels, tmp_path / f"b{suffix}", KEPT_RECORD)
    assert read_record(tmp_path / f"b{suffix}") == KEPT_RECORD
    # A picture painted over again has the record of the last time.
    again = read_picture(tmp_path / f"b{suffix}")
    write_picture(again, again.picture.pixels, tmp_path / "c.png", {"style": "other"})
    assert read_record(tmp_path / "c.png") == {"style": "other"}
    assert read_picture(tmp_path / "c.png").metadata["xmp-data"].count(b":record>") == 2


def test_record_leaves_other_metadata_alone(tmp_path):
    other = b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/png"/>'
    packet = NEW_XMP.replace(b"</rdf:RDF>", other + b"</rdf:RDF>")
    image = pyvips.Image.new_from_array(RGB, interpretation="srgb")
    image.set_type(pyvips.GValue.blob_type, "xmp-data", packet)
    image.write_to_file(str(tmp_path / "a.png"))
    source = read_picture(tmp_path / "a.png")
    write_picture(source, source.picture.pixels, tmp_path / "b.png", KEPT_RECORD)
    assert other in read_picture(tmp_path / "b.png").metadata["xmp-data"]
    assert read_record(tmp_path / "b.png") == KEPT_RECORD


@pytest.mark.parametrize("text", [b"Tom & Jerry", b"\xff", b"<unclosed>"])
def test_record_is_found_beside_metadata_that_is_not_xml(tmp_path, text):
    odd = NEW_XMP.replace(b"</rdf:RDF>", b"<rdf:Description>" + text + b"</rdf:Description></rdf:RDF>")
    image = pyvips.Image.new_from_array(RGB, interpretation="srgb")
    image.set_type(pyvips.GValue.blob_type, "xmp-data", odd)
    image.write_to_file(str(tmp_path / "a.jpg"))
    source = read_picture(tmp_path / "a.jpg")
    write_picture(source, source.picture.pixels, tmp_path / "b.jpg", KEPT_RECORD)
    assert read_record(tmp_path / "b.jpg") == KEPT_RECORD
    assert base64.b64encode(odd) in read_picture(tmp_path / "b.jpg").metadata["xmp-data"]


@pytest.mark.parametrize("xmp", [OPENING * 8000, OPENING * 8000 + b"</rdf:RDF>", b"<a>" * 100_000])
def test_record_is_added_to_hostile_metadata_at_once(xmp):
    began = time.process_time()
    packet = with_record(xmp, KEPT_RECORD)
    assert record_in(packet) == KEPT_RECORD and len(packet) < 2000
    assert time.process_time() - began < 2
    deep = NEW_XMP.replace(
        END, OPENING + b"<neural-style:record>" + b"[" * 200_000 + b"</neural-style:record>" + CLOSING + END
    )
    assert record_in(deep) is None and record_in(with_record(deep, KEPT_RECORD)) == KEPT_RECORD


@pytest.mark.parametrize("xmp", [None, b"no xml", NEW_XMP])
def test_pictures_without_a_record_are_refused(tmp_path, xmp):
    image = pyvips.Image.new_from_array(RGB, interpretation="srgb")
    if xmp is not None:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", xmp)
    image.write_to_file(str(tmp_path / "a.png"))
    with pytest.raises(StyleError, match="does not say how it was made"):
        read_record(tmp_path / "a.png")


def test_square_brackets_in_names_are_not_options(tmp_path):
    name = tmp_path / "a.png[compression=9]"
    Image.fromarray(RGB).save(name, "PNG")
    copy_picture(name, tmp_path / "-b [1].png")
    assert np.array_equal(np.array(Image.open(tmp_path / "-b [1].png")), RGB)


def test_float_pictures_keep_colour_and_alpha(tmp_path):
    """GIMP also reads floats without a profile as encoded values."""
    values = np.linspace(0, 1, 8 * 9 * 4, dtype=np.float32).reshape(8, 9, 4)
    pyvips.Image.new_from_array(values, interpretation="scrgb").write_to_file(str(tmp_path / "a.tif"))
    source = copy_picture(tmp_path / "a.tif", tmp_path / "b.tif")
    np.testing.assert_allclose(source.picture.pixels, values, atol=1e-5)
    assert source.bits == 16 and source.has_alpha
    pyvips.Image.new_from_array(values[..., 0]).write_to_file(str(tmp_path / "grey.tif"))
    grey = read_picture(tmp_path / "grey.tif").picture.pixels
    np.testing.assert_allclose(grey[..., :3], np.dstack([values[..., 0]] * 3), atol=1e-5)


@pytest.mark.parametrize("interpretation", ["linear", "encoded"])
def test_profile_of_a_float_picture_is_applied(tmp_path, interpretation):
    """A linear 0.5 is 0.735 in sRGB (IEC 61966-2-1)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag in (b"rTRC", b"gTRC", b"bTRC"):
        entry = profile.index(tag)
        offset = int.from_bytes(profile[entry + 4 : entry + 8], "big")
        if interpretation == "linear":  # a curve without entries is the identity (ICC.1:2001-04, 6.5.3)
            profile[offset : offset + 12] = b"curv" + bytes(8)
    image = pyvips.Image.new_from_array(np.full((8, 9, 3), 0.5, np.float32), interpretation="scrgb")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", bytes(profile))
    image.write_to_file(str(tmp_path / "a.tif"))
    pixels = read_picture(tmp_path / "a.tif").picture.pixels
    np.testing.assert_allclose(pixels[..., :3], 0.735 if interpretation == "linear" else 0.5, atol=2e-3)


def test_first_frame_is_used_with_a_note(tmp_path):
    frames = [Image.new("L", (9, 9), value) for value in (60, 120)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    source = read_picture(tmp_path / "a.gif")
    assert source.notes == (f"{tmp_path / 'a.gif'} holds 2 pictures (frames or pages); the first one is used.",)


def test_damaged_pictures_are_refused_or_used_with_a_note(tmp_path):
    noise = Image.fromarray(RANDOM.integers(0, 256, (200, 200, 3), np.uint8))
    noise.save(tmp_path / "a.jpg")
    noise.save(tmp_path / "a.tif")
    (tmp_path / "marker.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-2])
    (tmp_path / "half.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:60000])
    assert "end marker" in read_picture(tmp_path / "marker.jpg").notes[0]
    with pytest.raises(StyleError, match=r"half\.tif is cut off or damaged .*--allow-damaged"):
        read_picture(tmp_path / "half.tif")
    source = read_picture(tmp_path / "half.tif", Allowed(damaged=True))
    assert "black" in source.notes[0] and source.picture.pixels[50, :, :3].mean() > 0.3
    assert source.picture.pixels[150, :, :3].max() == 0


def test_alpha_of_a_picture_with_a_profile_survives(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgba = np.dstack([RGB, RANDOM.integers(0, 256, RGB.shape[:2], np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png", icc_profile=profile)
    copy_picture(tmp_path / "a.png", tmp_path / "b.png")
    assert np.array_equal(np.array(Image.open(tmp_path / "b.png"))[..., 3], rgba[..., 3])


@pytest.mark.parametrize("name", ["missing.jpg", "text.jpg", "empty.jpg", "cut.jpg", "."])
def test_unreadable_picture_is_one_sentence(tmp_path, name):
    Image.fromarray(RANDOM.integers(0, 256, (200, 200, 3), np.uint8)).save(tmp_path / "whole.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:9000])
    with pytest.raises(StyleError) as error:
        read_picture(tmp_path / name)
    assert str(error.value).count("\n") == 0 and str(tmp_path) in str(error.value)


def test_failed_write_leaves_the_old_file(tmp_path, full_disk):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    source = read_picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"old")
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        write_picture(source, source.picture.pixels, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


def test_ctrl_c_while_saving_leaves_the_old_file(tmp_path, monkeypatch):
    """The library's log callback swallows exceptions."""
    Image.fromarray(RGB).save(tmp_path / "a.png")
    source, write = read_picture(tmp_path / "a.png"), pyvips.Image.write_to_target

    def interrupted_write(*arguments, **keywords):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        return write(*arguments, **keywords)

    monkeypatch.setattr(pyvips.Image, "write_to_target", interrupted_write)
    (tmp_path / "b.png").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_picture(source, source.picture.pixels, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 2


def input_only_profile():
    """Return an ICC profile with a table from RGB to Lab and none back, as scanners have (ICC.1:2001-04)."""
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(8, 3)
    lightness = corners @ [0.3, 0.6, 0.1] * 255
    grid = np.stack([lightness, np.full(8, 128), np.full(8, 128)], -1).round().astype(np.uint8)
    ramps = np.tile(np.arange(256, dtype=np.uint8), 3).tobytes()
    matrix = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    table = b"mft1" + bytes([0, 0, 0, 0, 3, 3, 2, 0]) + matrix + ramps + grid.tobytes() + ramps
    white = struct.pack(">iii", 63190, 65536, 54061)  # D50
    size = 128 + 4 + 12 + len(table)
    header = struct.pack(">I4xI4s4s4s12x4s", size, 0x02400000, b"scnr", b"RGB ", b"Lab ", b"acsp").ljust(68, b"\0")
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    return (header + white).ljust(128, b"\0") + tags + table


@pytest.mark.parametrize("kind", ["input only", "cut off"])
def test_profile_that_cannot_be_written_gives_srgb_and_a_note(tmp_path, kind):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    odd = input_only_profile() if kind == "input only" else profile[:200]
    Image.fromarray(RGB).save(tmp_path / "a.tif", icc_profile=odd)
    source = copy_picture(tmp_path / "a.tif", tmp_path / "b.tif")
    assert len(source.notes) == 1 and "a.tif" in source.notes[0] and "sRGB" in source.notes[0]
    seen = source.picture.pixels[..., :3] * 255
    assert np.ptp(seen, axis=2).max() < 3 if kind == "input only" else np.array_equal(seen.round(), RGB)
    with Image.open(tmp_path / "b.tif") as written:
        assert "icc_profile" not in written.info and np.array_equal(np.array(written), seen.round())
    Image.fromarray(RGB).save(tmp_path / "fine.tif", icc_profile=profile)
    assert read_picture(tmp_path / "fine.tif").notes == ()


def test_picture_that_would_unpack_to_very_many_pixels_is_refused_unless_it_is_allowed(tmp_path, monkeypatch):
    pyvips.Image.black(4000, 3000).pngsave(str(tmp_path / "bomb.png"), compression=9)
    assert (tmp_path / "bomb.png").stat().st_size < 20_000
    monkeypatch.setattr(picture_files, "LARGEST_PIXELS", 10_000_000)
    with pytest.raises(StyleError, match=r"would unpack to 4000x3000 pixels \(12 megapixels\).*--allow-large"):
        read_picture(tmp_path / "bomb.png")
    assert read_picture(tmp_path / "bomb.png", Allowed(large=True)).picture.width == 4000


def test_result_that_the_disk_does_not_take_leaves_no_file(run, sample):
    """The limit of a file's size has the effect of a full disk."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from plugin.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    output = run.folder / "out.png"
    command = [sys.executable, "-c", script, "apply", str(sample), "--style", "great-wave", "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "cannot be written" in done.stderr
    assert not list(run.folder.iterdir())
