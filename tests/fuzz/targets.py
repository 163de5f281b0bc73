"""What is fuzzed: each target takes a case and raises for whatever is neither a result nor one plain sentence."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import time
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nst_core.base.errors import StyleError
from nst_core.base.onnx_model import read_model
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import RECORD_BASE, as_data, from_data, layers_from
from nst_core.style_file import read_styles
from plugin.cli.commands.render import _recorded
from plugin.cli.main import COMMANDS, main
from plugin.cli.options import read_toml
from plugin.cli.outputs import PICTURE_SUFFIXES
from plugin.cli.picture_files import Allowed, read_picture, read_record, write_picture
from plugin.cli.picture_records import record_in, with_record
from plugin.cli.tiff_exif import add_exif, exif_in_tiff
from plugin.engine.fast.fast_settings import STROKE_SIZE_RANGE, FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.film.clip_reading import ClipFrames, read_clip
from plugin.engine.film.film_settings import FilmSettings
from plugin.engine.film.picture_sequences import AnimationFrames, is_animation
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant import style_measurement
from plugin.engine.instant.style_measurement import style_image
from plugin.engine.instant.style_reading import PIXELS_FOLLOW, encoded_pixels, is_readable
from plugin.engine.machine.kept_list import read_list
from plugin.engine.messages import FastRequest, PreviewRequest, RawPicture
from plugin.engine.process import pipe
from plugin.engine.process.worker import HostCalls
from plugin.engine.regions.masks import mask_of
from plugin.engine.regions.partition import UNITS, partition
from plugin.engine.saved_settings import settings_in
from plugin.engine.service import LocalEngine
from tests.fuzz import seeds
from tests.fuzz.cases import any_text, any_value, changed, some_of
from tests.style_files import style_with_metadata

CALL_SECONDS = 60
MOST_FRAMES = 20  # of a film; an altered one may claim millions


@dataclass(frozen=True)
class FuzzTarget:
    """A target.

    Attributes:
        strategy: makes its cases; called when the target is used.
        check: runs one case.
        share: how many of 100 cases are its own.
    """

    strategy: Callable[[], st.SearchStrategy[Any]]
    check: Callable[[Any], None]
    share: int


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Let a StyleError pass whose text is one plain line."""
    try:
        yield
    except StyleError as error:
        check_sentence(str(error))


def check_sentence(text: str) -> None:
    """Check that an error message is a line with a full stop and without control characters."""
    assert text.strip().endswith((".", "mesh", "\\")) or ";" in text or ")" in text, text
    odd = [letter for letter in text if unicodedata.category(letter) == "Cc"]
    assert not odd, ascii(text)


def check_picture(case: tuple[bytes, str, bool]) -> None:
    """Read a picture; what can be read can be written in any format, and nothing else is written."""
    content, suffix, allow_damaged = case
    with seeds.temporary_folder() as name, one_sentence():
        folder = Path(name)
        path, output = folder / "photo", folder / f"painted{suffix}"
        path.write_bytes(content)
        try:
            source = read_picture(path, Allowed(damaged=allow_damaged))
            pixels = source.picture.pixels
            assert np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1
            for note in source.notes:
                check_sentence(note)
            write_picture(source, pixels, output, {"style": "x"})
            again = read_picture(output)
            assert again.picture.pixels.shape == pixels.shape
            assert suffix == ".gif" or read_record(output) == {"style": "x"}
        finally:
            left = {path.name for path in folder.iterdir()}
            assert left <= {path.name, output.name}, left


def check_photos(case: tuple[bytes, bool]) -> None:
    """Train on a photo among others, or on a tar: it is used or skipped and named."""
    import torch

    from nst_core.pictures.photos import HeldPhotos, Photos

    content, in_tar = case
    with seeds.temporary_folder() as name, one_sentence():
        folder = Path(name)
        (folder / ("photos.tar" if in_tar else "odd.jpg")).write_bytes(content)
        if not in_tar:
            (folder / "good.png").write_bytes(seeds.pictures()[3])
        photos = Photos(folder / "photos.tar" if in_tar else folder, 8)
        batch = photos.batch(0, 4, 8, seed=1)
        assert batch.shape == (4, 3, 8, 8) and batch.isfinite().all()
        list(photos.wholes())
        held = HeldPhotos(photos, 10, torch.device("cpu"))
        assert in_tar or len(held) + len(held.skipped) == 2


def check_style_file(case: bytes) -> None:
    """List a style file, and check its graph."""
    with seeds.temporary_folder() as name:
        path = Path(name) / "style.onnx"
        path.write_bytes(case)
        with one_sentence():
            for style in read_styles(path):
                assert style.name and style.title.isprintable() and style.multiple_of > 0
        with one_sentence():
            read_model(path)


def check_style_description(case: dict[str, str | None]) -> None:
    """List a style file with a description of any kind."""
    with seeds.temporary_folder() as name, one_sentence():
        path = Path(name) / "style.onnx"
        with contextlib.suppress(UnicodeEncodeError):  # ONNX cannot hold it
            style_with_metadata(path, None, **case)
            for style in read_styles(path):
                assert style.name and style.title.isprintable() and style.multiple_of > 0


def check_metadata(case: tuple[bytes, bytes]) -> None:
    """Add a record to odd metadata, and EXIF data to a TIFF file."""
    xmp, exif = case
    record_in(xmp)
    assert record_in(with_record(xmp, {"a": "<&"})) == {"a": "<&"}
    with seeds.temporary_folder() as name:
        path = Path(name) / "a.tif"
        seeds.RGB.save(path)
        add_exif(path, exif)
        exif_in_tiff(path)
        assert read_picture(path).picture.pixels.shape == (12, 16, 4)


def check_settings(case: tuple[str, object]) -> None:
    """Read settings from a TOML file, a record, a list of layers or a mixture of styles."""
    kind, value = case
    with seeds.temporary_folder() as name, one_sentence():
        path = Path(name) / "settings.toml"
        if kind == "file":
            path.write_bytes(value)
            as_data(from_data(read_toml(path), PRESETS["default"], f"{path}: "))
        elif kind == "record":
            as_data(from_data(value, RECORD_BASE, "x: "))
        elif kind == "picture":
            path = path.with_suffix(".png")
            picture = _plain_picture()
            with contextlib.suppress(TypeError, ValueError):  # JSON cannot hold it
                write_picture(picture, picture.picture.pixels, path, value)
                given = argparse.Namespace(like=path, init=None, reference_photos=None, features=None)
                _, extras = _recorded(given)
                BlendSettings(extras.strength, extras.keep_colors)
        elif kind == "layers":
            layers_from(value)
        else:
            shares = find_styles(value)
            assert abs(sum(shares.values()) - 1) < 1e-6


@cache
def _plain_picture() -> Any:
    with seeds.temporary_folder() as name:
        path = Path(name) / "a.png"
        seeds.RGB.save(path)
        return read_picture(path)


def check_calls(case: list[tuple[str, list[Any]]]) -> None:
    """Send calls to an engine as a host does: each is answered."""
    answers, engine = io.BytesIO(), Future[LocalEngine]()
    engine.set_result(LocalEngine())
    calls = HostCalls(engine, answers)
    stream = io.BytesIO()
    for number, (method, arguments) in enumerate(case):
        pipe.send(stream, (number, method, arguments, {}))
    stream.seek(0)
    for _ in case:
        calls.take(*pipe.receive(stream))
    limit, expected = time.monotonic() + CALL_SECONDS, sum(method != pipe.STOP for method, _ in case)
    while len(_messages(answers)) < expected:
        assert time.monotonic() < limit, f"no answer to {case}"
        time.sleep(0.0005)
    for _, kind, value in _messages(answers):
        if kind == "refused":
            check_sentence(value)


def _messages(stream: io.BytesIO) -> list[Any]:
    reader, messages = io.BytesIO(stream.getvalue()), []
    with contextlib.suppress(EOFError):
        while True:
            messages.append(pipe.receive(reader))
    return messages


def check_frames(case: bytes) -> None:
    """Read messages from a pipe that broke off or carries something else: an error, and no more."""
    stream = io.BytesIO(case)
    with contextlib.suppress(Exception):  # of any kind: the worker then ends
        while True:
            pipe.receive(stream)


def check_arguments(case: list[str]) -> None:
    """Start a command with odd arguments: an exit code and one sentence."""
    with seeds.temporary_folder() as name:
        folder = Path(name)
        (folder / "photo.png").write_bytes(seeds.pictures()[3])
        arguments = [argument.replace("FOLDER", name) for argument in case]
        errors = io.StringIO()
        before = Path.cwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
                code = main(arguments)
        except SystemExit as done:  # from argparse
            code = int(done.code or 0)
        finally:
            os.chdir(before)
        assert code in (0, 2), (code, errors.getvalue())
        if code:
            lines = errors.getvalue().splitlines()
            assert len(lines) == 1 and lines[0].startswith("neural-style: "), errors.getvalue()


def check_network(case: bytes) -> None:
    """Read a network or weights of another program."""
    from export.foreign.import_style import read_network
    from nst_core.features import weight_files

    with seeds.temporary_folder() as name:
        for suffix in (".pth", ".npz"):
            path = Path(name) / f"network{suffix}"
            path.write_bytes(case)
            with one_sentence():
                read_network(path)
        with one_sentence():
            weight_files.read(path)


def check_masks(case: tuple[list[bytes], int, int, int]) -> None:
    """Read pictures as masks of a photo: they divide it exactly."""
    contents, height, width, feather = case
    with seeds.temporary_folder() as name, one_sentence():
        path, masks = Path(name) / "mask", []
        for content in contents:
            path.write_bytes(content)
            mask, notes = mask_of(read_picture(path, Allowed(damaged=True)).picture, height, width, "mask")
            assert mask.shape == (height, width) and mask.min() >= 0 and mask.max() <= 1
            masks.append(mask)
            for note in notes:
                check_sentence(note)
        shares, _ = partition(masks, (height, width), feather)
        assert (shares.sum(0, dtype=np.uint32) == UNITS).all()


def check_film(case: tuple[bytes, str]) -> None:
    """Read the frames of a film or an animation."""
    content, name = case
    settings = FilmSettings()
    with seeds.temporary_folder() as folder, one_sentence():
        path = Path(folder) / name
        path.write_bytes(content)
        animated = is_animation(path)
        source = AnimationFrames(path, settings) if animated else ClipFrames(read_clip(path), settings)
        for frame in itertools.islice(source.frames(), MOST_FRAMES):
            assert np.isfinite(frame.picture.pixels).all() and frame.time >= 0


def check_style_picture(case: tuple[str, bytes]) -> None:
    """Read a style picture as the filter does, or the measurements that are kept of one."""
    kind, content = case
    with seeds.temporary_folder() as name, one_sentence():
        path = Path(name) / "style"
        path.write_bytes(content)
        if kind == "measurements":
            style_measurement._read(path)
            return
        is_readable(path)
        answer = encoded_pixels(path)
        if answer.startswith(PIXELS_FOLLOW):
            image = style_image(Picture(np.load(io.BytesIO(answer[1:]))))
            assert image.shape[0] == 3 and np.isfinite(image).all()
        else:
            check_sentence(f"{answer[1:].decode()}.")


def check_saved_choices(case: bytes) -> None:
    """Read the files of the dialog: saved settings and lists."""
    with seeds.temporary_folder() as name:
        path = Path(name) / "saved.json"
        path.write_bytes(case)
        assert all(isinstance(text, str) for text in read_list(path))
        saved = settings_in(path)
        assert all(isinstance(values, dict) for values in [*saved.named.values(), *saved.recent])


def _settings_cases() -> st.SearchStrategy[Any]:
    recipe = as_data(PRESETS["default"])
    tables = some_of(recipe | {"objective": recipe.get("objective", {})})
    toml = b'size = 64\n[objective]\nstyle_layers = "relu1_1=0.5,relu2_1"\ncontent_weight = 1e3\n'
    return st.one_of(
        changed([toml, b"\xef\xbb\xbf" + toml]).map(lambda data: ("file", data)),
        tables.map(lambda data: ("record", data)),
        st.tuples(tables, any_value()).map(lambda pair: ("picture", {"recipe": pair[0], "strength": pair[1]})),
        any_text().map(lambda text: ("layers", text)),
        st.lists(st.sampled_from(["udnie", ":", "0.5", ",", "nan", "inf", "-1"]) | any_text(), max_size=6).map(
            lambda parts: ("styles", "".join(parts))
        ),
    )


def _call_cases() -> st.SearchStrategy[Any]:
    style = replace(next(iter(find_styles("udnie"))), thumbnail=b"")
    sides = st.integers(-2, 40)
    raw = st.builds(
        RawPicture,
        sides,
        sides,
        st.integers(0, 5),
        st.binary(max_size=64) | st.integers(0, 5000).map(bytes),
        st.none() | st.binary(max_size=64),
        st.booleans(),
    )
    shares = st.dictionaries(st.just(style), st.floats(), max_size=1)
    request = st.builds(
        FastRequest, shares, st.builds(FastSettings, stroke_size=st.floats(*STROKE_SIZE_RANGE), device=st.just("cpu"))
    )
    previews = st.builds(
        PreviewRequest, st.just(((style, 1.0),)), st.floats(*STROKE_SIZE_RANGE), st.none() | st.tuples(sides, sides)
    )
    value = any_value() | raw | request
    methods = {
        "open_layer": st.tuples(raw, st.booleans()),
        "close_layer": st.tuples(st.integers(-1, 3)),
        "select": st.tuples(st.integers(-1, 3), st.none() | st.binary(max_size=64)),
        "layer_photo": st.tuples(st.integers(-1, 3), st.none() | st.tuples(sides, sides)),
        "preview": st.tuples(st.integers(0, 3), previews, st.booleans(), st.just(pipe.StandIn.STOPPER)),
        "check_pictures": st.tuples(st.integers()),
        "check_painting": st.tuples(st.lists(st.tuples(sides, sides), max_size=3), request),
        "paint": st.tuples(st.lists(raw, max_size=2), request),
        "no_such_method": st.lists(value, max_size=3).map(tuple),
    }
    calls = [st.tuples(st.just(name), arguments.map(list)) for name, arguments in methods.items()]
    anything = st.tuples(st.sampled_from([*methods, pipe.STOP]), st.lists(value, max_size=3))
    return st.lists(st.one_of(*calls, anything), max_size=5)


def _frame_cases() -> st.SearchStrategy[bytes]:
    stream = io.BytesIO()
    pipe.send(stream, (1, "open_layer", [RawPicture(4, 2, 3, bytes(24), eight_bits=True), False], {}))
    pipe.send(stream, (2, "preview", [1, Path("x"), True, pipe.StandIn.STOPPER], {}))
    return changed([stream.getvalue()])


def _argument_cases() -> st.SearchStrategy[list[str]]:
    words = [
        "photo.png",
        "-o",
        "out.png",
        "--style",
        "udnie",
        "--json",
        "--strength",
        "50",
        "--device",
        "cpu",
        "FOLDER",
    ]
    words += ["--style-image", "--settings", "--like", "--stroke-size", "--photos", "--steps", "1e99", "-1", "", "."]
    # Commands that would work for long or without an end, or read the disk, are left out.
    commands = sorted(set(COMMANDS) - {"doctor", "distill", "train-decoders", "study", "train", "render", "web"})
    return st.builds(
        lambda command, parts: [*command, *parts],
        st.lists(st.sampled_from(commands), min_size=0, max_size=1),
        st.lists(st.sampled_from(words) | any_text().map(lambda text: text.replace("\0", "")), max_size=8),
    )


def _descriptions() -> st.SearchStrategy[dict[str, str | None]]:
    import json

    card = {"name": "x", "title": "X", "artist": "A", "year": "1", "licence": "L", "thumbnail": ""}
    styles = st.lists(some_of(card) | any_value(), max_size=3).map(lambda value: json.dumps(value))
    names = ("multiple_of", "minimum_size", "bytes_per_pixel", "format")
    number = st.integers().map(str) | any_text()
    return st.fixed_dictionaries(
        {}, optional={"styles": styles | any_text(), **dict.fromkeys(names, st.none() | number)}
    )


def _choice_cases() -> st.SearchStrategy[bytes]:
    import json

    settings = st.fixed_dictionaries({}, optional={"named": any_value(), "recent": any_value(), "format": any_value()})
    texts = (settings | any_value()).map(lambda value: json.dumps(value).encode())
    return texts | changed([b'{"format": 1, "named": {"a": {"style": "udnie"}}, "recent": [{}]}', b'["a", "b"]'])


TARGETS = {
    "pictures": FuzzTarget(
        lambda: st.tuples(changed(seeds.pictures()), st.sampled_from(sorted(PICTURE_SUFFIXES)), st.booleans()),
        check_picture,
        24,
    ),
    "photos": FuzzTarget(
        lambda: (
            changed(seeds.pictures()).map(lambda data: (data, False))
            | changed([seeds.tar_of_photos()]).map(lambda data: (data, True))
        ),
        check_photos,
        12,
    ),
    "style-files": FuzzTarget(lambda: changed(seeds.style_files()), check_style_file, 12),
    "style-descriptions": FuzzTarget(_descriptions, check_style_description, 7),
    "metadata": FuzzTarget(
        lambda: st.tuples(changed([seeds.xmp_packet(), b""]), changed([seeds.exif_block(), b""])), check_metadata, 7
    ),
    "settings": FuzzTarget(_settings_cases, check_settings, 7),
    "calls": FuzzTarget(_call_cases, check_calls, 5),
    "frames": FuzzTarget(_frame_cases, check_frames, 4),
    "arguments": FuzzTarget(_argument_cases, check_arguments, 3),
    "networks": FuzzTarget(lambda: changed(seeds.networks()), check_network, 5),
    "masks": FuzzTarget(
        lambda: st.tuples(
            st.lists(changed(seeds.pictures()), max_size=4), st.integers(1, 70), st.integers(1, 70), st.integers(0, 40)
        ),
        check_masks,
        4,
    ),
    "films": FuzzTarget(
        lambda: (
            st.tuples(changed(seeds.films()), st.just("film.mp4"))
            | st.tuples(changed(seeds.animations()), st.sampled_from(["a.gif", "a.webp", "a.png"]))
        ),
        check_film,
        4,
    ),
    "style-pictures": FuzzTarget(
        lambda: (
            st.tuples(st.just("picture"), changed(seeds.pictures()))
            | st.tuples(st.just("measurements"), changed([seeds.style_measurements()]))
        ),
        check_style_picture,
        4,
    ),
    "saved-choices": FuzzTarget(_choice_cases, check_saved_choices, 2),
}
assert sum(target.share for target in TARGETS.values()) == 100
