"""Which pictures a batch has, how its paintings are named, and what is refused before the work."""

import os
import sys
from pathlib import Path

import pytest

from nst_core.base.errors import StyleError
from plugin.engine.batch.batch_plan import BatchFormats, BatchSettings, Shard, plan_batch

FORMATS = BatchFormats(frozenset({".jpg", ".png", ".heic"}), frozenset({".jpg", ".png"}))


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with two pictures, one more in a subfolder, and files that are none."""
    folder = tmp_path / "photos"
    (folder / "sub/deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name in ("b.jpg", "a.HEIC", "notes.txt", ".c.jpg", ".hidden/d.jpg", "sub/deep/e.png"):
        (folder / name).write_bytes(b"x")
    return folder


def names(photos: Path, output: str = "out", **options) -> dict[str, str]:
    """Return the paintings that are planned, by their pictures, both relative to the test's folder."""
    base = photos.parent
    settings = BatchSettings(**{"inputs": [photos], "output": base / output, "styles": ["wave"], **options})
    plan = plan_batch(settings)
    return {
        str(task.source.relative_to(base)): str(task.target.relative_to(base / output))
        for task in [*plan.tasks, *plan.skipped]
    }


def test_folder_is_searched_and_its_tree_is_kept(photos):
    assert names(photos, formats=FORMATS) == {
        "photos/a.HEIC": "a.png",  # HEIC cannot be written
        "photos/b.jpg": "b.jpg",
        "photos/sub/deep/e.png": "sub/deep/e.png",
    }
    assert list(names(photos, formats=FORMATS, subfolders=False)) == ["photos/a.HEIC", "photos/b.jpg"]


def test_without_known_formats_every_visible_file_is_a_picture(photos):
    assert list(names(photos, subfolders=False)) == ["photos/a.HEIC", "photos/b.jpg", "photos/notes.txt"]


def test_named_files_are_taken_whatever_their_extension_and_once(photos):
    inputs = [photos / "notes.txt", photos / "b.jpg", photos / "sub/../b.jpg", photos]
    planned = names(photos, inputs=inputs, formats=FORMATS)
    assert planned["photos/notes.txt"] == "notes.png"
    assert list(planned) == ["photos/notes.txt", "photos/b.jpg", "photos/a.HEIC", "photos/sub/deep/e.png"]


def test_several_folders_keep_their_names(photos):
    other = photos.parent / "other"
    other.mkdir()
    (other / "b.jpg").write_bytes(b"x")
    planned = names(photos, inputs=[photos, other], formats=FORMATS)
    assert (planned["photos/b.jpg"], planned["other/b.jpg"]) == ("photos/b.jpg", "other/b.jpg")


@pytest.mark.parametrize(
    ("pattern", "extension", "expected"),
    [
        ("", "", "b.jpg"),
        ("", "png", "b.png"),
        ("{stem}-{style}.{ext}", "", "b-great-wave.jpg"),
        ("{style}/{stem} painted.png", "", "great-wave/b painted.png"),
    ],
)
def test_pattern_names_the_paintings(photos, pattern, extension, expected):
    planned = names(
        photos, inputs=[photos / "b.jpg"], styles=["great-wave"], pattern=pattern, extension=extension, formats=FORMATS
    )
    assert planned == {"photos/b.jpg": expected}


def test_folders_of_the_pattern_come_before_those_of_the_input(photos):
    planned = names(photos, pattern="{style}/{stem}.png", formats=FORMATS)
    assert planned["photos/sub/deep/e.png"] == "wave/sub/deep/e.png"


def test_several_styles_are_told_apart_and_painted_one_after_another(photos):
    settings = BatchSettings([photos], photos.parent / "out", ["wave", "mine/../udnie"], formats=FORMATS)
    tasks = plan_batch(settings).tasks
    assert [task.style for task in tasks] == [0, 0, 0, 1, 1, 1]
    assert [task.target.name for task in tasks[1::3]] == ["b-wave.jpg", "b-mine-..-udnie.jpg"]
    assert tasks[4].target.parent == photos.parent / "out"


def test_paintings_that_exist_are_left_out_unless_they_are_overwritten(photos):
    output = photos.parent / "out"
    output.mkdir()
    (output / "b.jpg").write_bytes(b"x")
    settings = {"inputs": [photos], "output": output, "styles": ["wave"], "formats": FORMATS}
    plan = plan_batch(BatchSettings(**settings))
    assert [task.target.name for task in plan.skipped] == ["b.jpg"]
    assert [task.target.name for task in plan.tasks] == ["a.png", "e.png"]
    plan = plan_batch(BatchSettings(**settings, overwrite=True))
    assert not plan.skipped and len(plan.tasks) == 3


def test_output_within_the_input_is_not_searched(photos):
    output = photos / "out"
    output.mkdir()
    (output / "b.jpg").write_bytes(b"x")
    plan = plan_batch(BatchSettings([photos], output, ["wave"], overwrite=True, formats=FORMATS))
    assert [task.target.name for task in plan.tasks] == ["a.png", "b.jpg", "e.png"]
    (note,) = plan.notes
    assert str(output) in note and "left out" in note


def test_linked_folders_are_not_entered(photos):
    (photos / "sub/loop").symlink_to(photos)
    assert len(names(photos, formats=FORMATS)) == 3


def test_names_need_not_be_utf_8(photos):
    name = os.fsdecode("é.jpg".encode("latin-1"))
    (photos / name).write_bytes(b"x")
    assert names(photos, formats=FORMATS)[f"photos/{name}"] == name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": ["nothing"]}, "There is no picture or folder"),
        ({"inputs": ["photos/.hidden/.."], "output": "photos"}, "choose another folder"),
        ({"inputs": ["photos/sub"], "formats": BatchFormats(frozenset({".tif"}))}, "There are no pictures in"),
        ({"output": "photos/b.jpg"}, "is a file"),
        ({"output": "photos/b.jpg/deeper"}, "is a file"),
        ({"pattern": "same.png"}, "would both be painted as"),
        ({"inputs": ["photos/b.jpg"], "output": "photos", "overwrite": True}, "is one of the pictures"),
        ({"pattern": "{title}.png"}, "unknown field"),
        ({"pattern": "{stem.__class__}.png"}, "unknown field"),
        ({"pattern": "{stem"}, "is not valid"),
        ({"pattern": "../{stem}.png"}, "leaves the output folder"),
        ({"pattern": "/{stem}.png"}, "leaves the output folder"),
        ({"pattern": "{stem}.xyz"}, "does not have a picture file's"),
        ({"pattern": "x" * 260 + "{stem}.png"}, "too long"),
    ],
    ids=str,
)
def test_bad_input_is_refused_before_the_work(photos, options, words):
    base = photos.parent
    options = {"inputs": ["photos"], "output": "out", "styles": ["wave"], "formats": FORMATS} | options
    settings = options | {
        "inputs": [base / path for path in options["inputs"]],
        "output": base / options["output"],
    }
    with pytest.raises(StyleError, match=words) as error:
        plan_batch(BatchSettings(**settings))
    assert str(error.value)[-1] in ".?" and "\n" not in str(error.value)
    assert not (base / "out").exists()


def test_links_to_photos_are_not_overwritten(photos):
    output = photos.parent / "out"
    output.mkdir()
    (output / "b.jpg").symlink_to(photos / "b.jpg")
    with pytest.raises(StyleError, match="one of the pictures"):
        plan_batch(BatchSettings([photos], output, ["wave"], overwrite=True, formats=FORMATS))


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_unreadable_and_unwritable_folders_are_named(photos):
    (photos / "sub").chmod(0)
    try:
        with pytest.raises(StyleError, match="cannot be read"):
            names(photos, formats=FORMATS)
    finally:
        (photos / "sub").chmod(0o755)


def test_shards_share_the_pictures_out(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(200):
        (photos / f"{number}.png").touch()
    parts = [names(photos, shard=Shard(number, 4)) for number in (1, 2, 3, 4)]
    assert sorted(name for part in parts for name in part) == sorted(names(photos))
    assert all(30 <= len(part) <= 70 for part in parts)


def test_shards_stay_when_the_folder_moves_and_pictures_are_added(photos, tmp_path):
    before = set(names(photos, shard=Shard(1, 2)).values())
    moved = photos.rename(tmp_path / "elsewhere")
    (moved / "another.png").touch()
    assert before and set(names(moved, shard=Shard(1, 2)).values()) - {"another.png"} == before


def test_names_are_checked_across_all_shards(photos):
    for number in (1, 2):
        with pytest.raises(StyleError, match="would both be painted"):
            names(photos, pattern="same.png", shard=Shard(number, 2))


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0), (-1, -1), (1, 10**9)])
def test_shard_out_of_range_is_refused(shard):
    with pytest.raises(StyleError, match="There is no part"):
        Shard(*shard)
