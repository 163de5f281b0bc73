import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.features.downloads import Download, fetch

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NOWHERE = "http://127.0.0.1:9"  # a port of this machine that refuses: what an offline machine's user sees


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT in the way that the folder in the address says, and writes down what was asked for."""

    def do_GET(self):
        way = self.path.split("/")[1]
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.server.asked.append((way, start))
        if way == "missing":
            return self.send_error(404)
        body = {"wrong": bytes(len(CONTENT)), "short": b"<html>Please log in</html>"}.get(way, CONTENT)
        if way in ("whole", "short"):
            start = 0
        self.send_response(206 if start else 200)
        if way != "unmeasured":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : 200_000 if way in ("breaking", "hanging") else None])
        if way == "hanging":
            self.wfile.flush()
            self.server.over.wait()
        return None

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.asked, httpd.over = [], threading.Event()
        httpd.address = f"http://127.0.0.1:{httpd.server_address[1]}"
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield httpd
        httpd.over.set()
        httpd.shutdown()


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """Provide an empty torch.hub folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("NEURAL_STYLE_MIRRORS", raising=False)
    return tmp_path / "torch" / "hub" / "checkpoints"


def wanted(base: str, sha256: str = SHA256) -> Download:
    return Download(f"{base}/weights.pth", sha256, len(CONTENT))


def leave(hub: Path, content: bytes) -> None:
    """Leave what an earlier download would."""
    hub.mkdir(parents=True, exist_ok=True)
    (hub / ".weights.pth.partial").write_bytes(content)


@pytest.mark.parametrize("way", ["plain", "whole", "unmeasured"])
@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8]])
def test_download_leaves_the_whole_file_and_nothing_else(hub, server, way, sha256):
    seen = []

    def progress(done, total):
        seen.append((done, total))
        return True

    path = fetch(wanted(f"{server.address}/{way}", sha256), progress)
    assert path.read_bytes() == CONTENT and list(hub.iterdir()) == [path]
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)


@pytest.mark.parametrize(("way", "asked"), [("plain", 100_000), ("whole", 100_000), ("unmeasured", 100_000)])
def test_partial_file_is_resumed(hub, server, way, asked):
    """Also from a server that sends the whole file again."""
    leave(hub, CONTENT[:asked])
    path = fetch(wanted(f"{server.address}/{way}"))
    assert path.read_bytes() == CONTENT and list(hub.iterdir()) == [path]
    assert server.asked == [(way, asked)]


@pytest.mark.parametrize("content", [bytes(100_000), bytes(len(CONTENT)), CONTENT + b"more"])
def test_wrong_partial_file_is_downloaded_again(hub, server, content):
    leave(hub, content)
    assert fetch(wanted(f"{server.address}/plain")).read_bytes() == CONTENT
    assert server.asked[-1] == ("plain", 0)


def test_complete_partial_file_needs_no_network(hub):
    leave(hub, CONTENT)
    assert fetch(wanted(NOWHERE)).read_bytes() == CONTENT


def test_broken_connection_keeps_the_partial_file(hub, server):
    with pytest.raises(StyleError, match="the connection was lost"):
        fetch(wanted(f"{server.address}/breaking"))
    assert [file.read_bytes() for file in hub.iterdir()] == [CONTENT[:200_000]]
    fetch(wanted(f"{server.address}/plain"))
    assert server.asked[-1] == ("plain", 200_000)


@pytest.mark.parametrize("way", ["wrong", "short"])
def test_wrong_checksum_leaves_no_file(hub, server, way):
    with pytest.raises(StyleError, match=r"could not be fetched.*wrong checksum"):
        fetch(wanted(f"{server.address}/{way}"))
    assert list(hub.iterdir()) == []


def test_mirrors_are_tried_in_order(hub, server, monkeypatch):
    """Each goes on from what the one before it left, and a wrong file counts for nothing."""
    ways = ("missing", "wrong", "breaking", "plain")
    bases = [f"{server.address}/{way}{end}" for way, end in zip(ways, ("", "/", "", "//"), strict=True)]
    monkeypatch.setenv("NEURAL_STYLE_MIRRORS", " ".join(["no-address", *bases]))
    assert fetch(wanted(NOWHERE)).read_bytes() == CONTENT
    assert server.asked == [("missing", 0), ("wrong", 0), ("breaking", 0), ("plain", 200_000)]


def test_a_mirror_may_be_a_folder(hub, tmp_path, monkeypatch):
    (tmp_path / "weights.pth").write_bytes(CONTENT)
    monkeypatch.setenv("NEURAL_STYLE_MIRRORS", tmp_path.as_uri())
    assert fetch(wanted(NOWHERE)).read_bytes() == CONTENT


def test_offline_says_which_file_to_put_where(hub, server, monkeypatch):
    monkeypatch.setenv("NEURAL_STYLE_MIRRORS", f"{server.address}/missing")
    with pytest.raises(StyleError) as error:
        fetch(Download(f"{NOWHERE}/weights.pth", SHA256, 548 * 2**20))
    text = str(error.value)
    assert "weights.pth (575 MB)" in text and f"{NOWHERE}/weights.pth" in text and str(hub / "weights.pth") in text
    assert "404" in text and "feature network compact" in text and "\n" not in text
    assert list(hub.iterdir()) == []


def test_stopping_keeps_the_partial_file(hub, server):
    download = wanted(f"{server.address}/plain")
    with pytest.raises(StyleError, match=r"stopped after .* MB; the next one continues from there"):
        fetch(download, lambda done, total: done < 100_000)
    (partial,) = hub.iterdir()
    assert partial.read_bytes() == CONTENT[: partial.stat().st_size] and partial.stat().st_size >= 100_000
    kept = partial.stat().st_size
    fetch(download)
    assert server.asked[-1] == ("plain", kept)


def test_second_download_of_a_file_is_refused(hub, server):
    download, refusals = wanted(f"{server.address}/plain"), []

    def progress(done, total):
        with pytest.raises(StyleError, match=r"Another program is fetching weights\.pth") as error:
            fetch(download)
        refusals.append(error)
        return True

    assert fetch(download, progress).read_bytes() == CONTENT and refusals
    assert server.asked == [("plain", 0)]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_download_of_a_killed_program_is_resumed(hub, server):
    """As GIMP ends a filter that is cancelled."""
    script = (
        "import sys; from nst_core.features.downloads import *\n"
        "fetch(Download(sys.argv[1], '00', 300_000), lambda done, total: print(done, flush=True) or True)"
    )
    command = [sys.executable, "-c", script, f"{server.address}/hanging/weights.pth"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while int(process.stdout.readline()) < 200_000:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = (hub / ".weights.pth.partial").stat().st_size
    assert fetch(wanted(f"{server.address}/plain")).read_bytes() == CONTENT
    assert 0 < kept <= 200_000 and server.asked[-1] == ("plain", kept)


def test_unwritable_folder_is_an_error_in_one_sentence(hub, server, full_disk, tmp_path, monkeypatch):
    with full_disk(), pytest.raises(StyleError, match=r"could not be fetched.*File too large"):
        fetch(wanted(f"{server.address}/plain"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    with pytest.raises(StyleError, match=r"could not be fetched.*Not a directory"):
        fetch(wanted(f"{server.address}/plain"))
