"""The page, as a visitor sees it. Needs Gradio, Selenium and Chromium, and is skipped without them."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from tests.plugin.web.conftest import keep_screenshot, requested

pytestmark = pytest.mark.slow


def wait_until(condition, seconds=30):
    start = time.monotonic()
    while not (result := condition()):
        assert time.monotonic() - start < seconds
        time.sleep(0.05)
    return result


def upload(driver, path, number=0):
    files = wait_until(lambda: driver.find_elements("css selector", "input[type=file]"))
    files[number].send_keys(str(path))


def shown(driver) -> str:
    return driver.find_element("css selector", "body").text


def test_visitor_paints_a_photo_and_downloads_it(page, browser, sample, tmp_path, record_property):
    driver = browser()
    driver.get(page[0])
    wait_until(lambda: "Drop a photo" in shown(driver))
    start = time.monotonic()
    upload(driver, sample)
    wait_until(lambda: "In the style of The Great Wave" in shown(driver))
    record_property("first painting", f"{time.monotonic() - start:.1f} s after the drop")
    keep_screenshot(driver, "page-desktop.png")
    wait_until(lambda: driver.find_elements("css selector", "button.thumbnail-item"))[0].click()
    wait_until(lambda: "In the style of Composition VII" in shown(driver))
    assert requested(driver) == []
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
    driver.find_element("xpath", "//button[contains(., 'Download the painting')]").click()
    (file,) = wait_until(lambda: list(tmp_path.glob("painting*.jpg")))
    with Image.open(file) as painting, Image.open(sample) as photo:
        assert painting.size == photo.size


def test_page_fits_a_phone(page, browser, sample):
    driver = browser(390, 844)
    driver.get(page[0])
    upload(driver, sample)
    wait_until(lambda: "In the style of" in shown(driver))
    width, inner = driver.execute_script("return [document.documentElement.scrollWidth, screen.width]")
    keep_screenshot(driver, "page-phone.png")
    assert width <= inner + 8


def test_upload_that_is_no_picture_is_refused_in_a_sentence(page, browser, tmp_path):
    driver = browser()
    driver.get(page[0])
    (tmp_path / "text.png").write_text("no picture")
    upload(driver, tmp_path / "text.png")
    wait_until(lambda: "cannot be read as a picture" in shown(driver))
    Image.new("1", (6000, 5000)).save(tmp_path / "large.png")
    driver.get(page[0])
    upload(driver, tmp_path / "large.png")
    wait_until(lambda: "megapixels" in shown(driver))
    assert "Traceback" not in shown(driver)


@pytest.fixture
def visit(page):
    """Do what a browser does: join the queue with a picture on the server, and listen until the answer is there."""
    httpx = pytest.importorskip("httpx")
    config = httpx.get(f"{page[0]}/config").json()
    painting = next(d for d in config["dependencies"] if len(d["inputs"]) == 9 and len(d["targets"]) > 3)

    def go(visitor, photo):
        with httpx.Client(base_url=f"{page[0]}/gradio_api", timeout=120) as client:
            path = photo
            if isinstance(photo, bytes):
                (path,) = client.post("/upload", files={"files": ("a.jpg", photo)}).json()
            values = [{"path": path, "meta": {"_type": "gradio.FileData"}}, None, None, 100, 50, False, 100, 60, 40]
            job = {"data": values, "fn_index": painting["id"], "session_hash": visitor}
            assert client.post("/queue/join", json=job).status_code == 200
            with client.stream("GET", "/queue/data", params={"session_hash": visitor}) as lines:
                for line in lines.iter_lines():
                    message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                    if message.get("msg") == "process_completed":
                        return message["success"] and message["output"]["data"][0] is not None
        return False

    return go


def test_20_visitors_at_once_are_all_answered(page, visit, sample, record_property):
    before, photo = resident(page[1].pid), sample.read_bytes()
    with ThreadPoolExecutor(20) as visitors:
        assert all(visitors.map(lambda number: visit(f"visitor{number}", photo), range(20)))
    record_property("memory", f"{before:.0f} MiB before, {resident(page[1].pid):.0f} after 20 visitors")
    assert resident(page[1].pid) < before + 600


def test_only_what_was_uploaded_is_painted(visit, sample):
    assert visit("one", sample.read_bytes())
    assert not visit("two", str(sample))


def resident(pid: int) -> float:
    """The memory of a process, in MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 2**10


def test_ctrl_c_ends_the_page_and_leaves_nothing(run, page, tmp_path):
    import signal
    import tempfile

    before = set(Path(tempfile.gettempdir()).glob("neural-style-web-*"))
    assert before
    page[1].send_signal(signal.SIGINT)
    assert page[1].wait(timeout=30) == 130
    assert not [folder for folder in before if folder.exists()]


def test_port_in_use_and_missing_package_are_explained(run, monkeypatch):
    from nst_core.base.errors import StyleError
    from plugin.web.serving import require_gradio

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("web", "--port", taken.getsockname()[1])
    if "needs Gradio" not in done.stderr:
        assert done.returncode == 2 and "choose another with --port" in done.stderr
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StyleError, match="pip install"):
        require_gradio()
