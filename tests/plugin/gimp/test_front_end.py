"""What the filter imports: the Python that GIMP starts may have nothing but the standard library and gi."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

FILTER = ROOT / "plugin/gimp/neural-style"
OURS = ("nst_core", "plugin")
# The filter imports this only if its own process can load the whole engine.
ENGINE = "plugin.engine.service"


def is_package(module: str | None) -> bool:
    """Return whether this is a package of ours, from which modules are imported."""
    return bool(module) and (ROOT / module.replace(".", "/") / "__init__.py").is_file()


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, at any place."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and is_package(node.module):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module or ""


def test_filter_imports_only_the_standard_library_and_gi():
    files = sorted(FILTER.rglob("*.py"))
    modules = {module for file in files for module in imported_modules(file)}
    assert ENGINE in modules
    known = {"gi", *OURS, "gui", *(file.stem for file in FILTER.glob("*.py")), *sys.stdlib_module_names}
    assert {module.partition(".")[0] for module in modules} <= known
    ours = sorted(module for module in modules - {ENGINE} if module.partition(".")[0] in OURS)
    assert len(ours) > 5
    # Some GIMPs are built with an older Python than the engine needs.
    for file in [*files, *(ROOT / f"{module.replace('.', '/')}.py" for module in ours)]:
        ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 10))
    # They load without any other package, so they need none.
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {', '.join(ours)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-S", "-I", "-c", script], capture_output=True, text=True, check=True)
    others = {name.partition(".")[0] for name in loaded.stdout.split()} - {*OURS, *sys.stdlib_module_names}
    assert others <= {"__main__", "__mp_main__"}
