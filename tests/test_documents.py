"""What the documents name exists: files of this tree, and the pages and headings that their links lead to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCUMENTS = sorted(
    file for folder in (".", "docs", "docs/models", "plugin/samples") for file in ROOT.glob(f"{folder}/*.md")
)
TOP_FOLDERS = "nst_core|export|plugin|benchmarks|tests|docs"
# Examples of files that a contributor makes.
EXAMPLES = {"plugin/gimp/neural-style/locale/fr/LC_MESSAGES/neural-style.po"}
by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))


def anchors(document: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named_files(text: str) -> set[str]:
    """The files and folders that a page names in full between backquotes, also as patterns."""
    return set(re.findall(rf"`((?:{TOP_FOLDERS})/[^`\s]*)`", text))


@by_name
def test_files_that_a_page_names_exist(document):
    names = named_files(document.read_text(encoding="utf-8")) - EXAMPLES
    assert {name for name in names if not any(ROOT.glob(name.rstrip("/")))} == set()


@by_name
def test_links_lead_somewhere(document):
    broken = set()
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.add(link)
    assert broken == set()


def test_a_change_has_a_place_that_exists():
    """Short names stand after a full path and mean its neighbours."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = page.partition("## Where a change goes")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) > 20
    for row in rows:
        full, *others = re.findall(r"`([\w./-]+/[\w./-]+|\w+\.py)`", row)
        assert (ROOT / full).exists(), row
        for name in others:
            assert (ROOT / name).exists() or (ROOT / full).with_name(name).exists(), row


def test_licences_cover_every_bundled_file():
    page = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    section = page.partition("## Bundled files")[2].partition("\n## ")[0]
    covered = set()
    for row in section.splitlines():
        for name in re.findall(r"`([^`\s]+)`", row.partition("|")[2].partition("|")[0]):
            folder = "" if "/" in name else "plugin/styles/"
            covered |= {file.relative_to(ROOT) for file in ROOT.glob(folder + name)}
    kinds = ("onnx", "safetensors", "jpg", "png", "svg", "ico", "mo")
    folders = ("nst_core", "export", "plugin", "benchmarks", "docs")
    bundled = {
        file.relative_to(ROOT) for folder in folders for kind in kinds for file in (ROOT / folder).rglob(f"*.{kind}")
    }
    assert len(bundled) > 40 and bundled - covered == set()
