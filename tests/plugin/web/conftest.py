"""The page in a process of its own, and a browser that visits it."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest


@pytest.fixture
def page(run):
    """Start the page; give its address, its process, and the folder for temporary files."""
    pytest.importorskip("gradio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = run("web", "--port", port, start=True)
    line = process.stdout.readline()
    assert f"http://127.0.0.1:{port} shows the page" in line, process.stderr.read() if process.poll() else line
    yield f"http://127.0.0.1:{port}", process
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture
def browser(tmp_path):
    """A headless Chromium, of a given width, that notes what it requests. Downloads go to the test's folder."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("there is no Chromium with its driver on this machine")
    opened = []

    def start(width=1280, height=900):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
        if width < 500:
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": {"width": width, "height": height}})
        else:
            options.add_argument(f"--window-size={width},{height}")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        opened.append(driver)
        return driver

    yield start
    for driver in opened:
        driver.quit()


def requested(driver) -> list[str]:
    """The addresses that a browser asked for, without those of the page itself."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert any("127.0.0.1" in url for url in urls)
    return [url for url in urls if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]


def keep_screenshot(driver, name: str) -> None:
    """Save what a browser shows where NEURAL_STYLE_ARTIFACTS says, to be looked at."""
    if folder := os.environ.get("NEURAL_STYLE_ARTIFACTS"):
        driver.save_screenshot(str(Path(folder) / name))
