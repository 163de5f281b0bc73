import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nst_core.base.files import link_target, written_whole


def write(path, content=b"new"):
    with written_whole(path) as partial:
        partial.write_bytes(content)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_replaced_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(mode)
    with written_whole(path) as partial:
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        partial.write_bytes(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() == b"new"


def test_new_file_has_the_usual_mode(tmp_path):
    (tmp_path / "usual").touch()
    write(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("exists", [True, False])
def test_link_stays_and_its_target_is_written(tmp_path, exists):
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "a.png"
    if exists:
        target.write_bytes(b"old")
    (tmp_path / "folder" / "link.png").symlink_to("a.png")
    (tmp_path / "link.png").symlink_to("folder/link.png")
    write(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink() and target.read_bytes() == b"new"
    assert {path.name for path in tmp_path.rglob("*")} == {"folder", "link.png", "a.png"}


def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="too many"):
        write(tmp_path / "a")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a link away")
def test_link_of_another_user_in_a_folder_for_all_is_not_followed(tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "a.png").symlink_to(tmp_path / "mine")
    assert link_target(shared / "a.png") == tmp_path / "mine"
    shared.chmod(0o1777)
    os.lchown(shared / "a.png", 12345, 12345)
    write(shared / "a.png")
    assert (tmp_path / "mine").read_bytes() == b"mine" and (shared / "a.png").read_bytes() == b"new"
    assert not (shared / "a.png").is_symlink()


def test_temporary_name_is_new_each_time_and_keeps_the_suffix(tmp_path):
    names = set()
    for _ in range(5):
        with written_whole(tmp_path / "a.png") as partial:
            assert partial.suffix == ".png" and partial.parent == tmp_path and str(os.getpid()) in partial.name
            names.add(partial.name)
            partial.write_bytes(b"")
    assert len(names) == 5 and [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_leftover_of_a_killed_process_is_removed_by_the_next_one(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from nst_core.base.files import written_whole\n"
        "with written_whole(Path(sys.argv[1])) as partial: os.kill(os.getpid(), 9)"
    )
    for name in ("a.png", "b.png"):
        subprocess.run([sys.executable, "-c", code, tmp_path / name], env=os.environ | {"PYTHONPATH": str(Path.cwd())})
    assert len(list(tmp_path.iterdir())) == 2
    write(tmp_path / "a.png")
    assert len(list(tmp_path.iterdir())) == 2  # the painting, and what is left of another one
    with written_whole(tmp_path / "b.png"):
        write(tmp_path / "b.png")  # which leaves what a living process is writing alone
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


@pytest.mark.parametrize("name", [245 * "x" + ".png", 85 * "漢", "." + 248 * "x", "x." + 247 * "y"])
def test_long_legal_names_work(tmp_path, name):
    write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_failed_block_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), written_whole(path) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_pipe_is_not_replaced(tmp_path):
    path, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(path)
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(OSError, match="ordinary"), written_whole(name):
            pass
    assert path.is_fifo() and sorted(tmp_path.iterdir()) == [link, path]
