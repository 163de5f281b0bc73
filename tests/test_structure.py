"""The shape of the code: short functions with few parameters, and no two things with the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PRODUCT = ("nst_core", "export", "plugin")
OWN_CODE = (*PRODUCT, "benchmarks")
LONGEST, MOST_PARAMETERS = 60, 6
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    """The Python files of these folders, and install.py."""
    return [*sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")), ROOT / "install.py"]


def nodes(path: Path) -> Iterator[ast.AST]:
    """Every node of a file's syntax tree."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def place(path: Path, node: Function) -> str:
    """Where a function stands, for a message."""
    return f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def parameters(node: Function) -> int:
    """How many parameters a caller gives; a method's own object is none."""
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls", "ctx")])


def test_functions_are_short():
    functions = [
        (place(path, node), node.end_lineno - node.lineno + 1)
        for path in sources(*OWN_CODE, "tests")
        for node in nodes(path)
        if isinstance(node, Function)
    ]
    assert len(functions) > 500
    assert {name: lines for name, lines in functions if lines > LONGEST} == {}


def test_functions_have_few_parameters():
    functions = [
        (place(path, node), parameters(node))
        for path in sources(*OWN_CODE, "tests")
        for node in nodes(path)
        if isinstance(node, Function)
    ]
    assert {name: count for name, count in functions if count > MOST_PARAMETERS} == {}


def test_no_two_modules_have_the_same_name():
    modules = defaultdict(list)
    for path in sources(*OWN_CODE):
        # A command's module is named after its command, which may be the name of what it calls.
        if not path.stem.startswith("__") and path.parent.name != "commands":
            modules[path.stem].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in modules.items() if len(paths) > 1} == {}


def test_no_two_classes_have_the_same_name():
    classes = defaultdict(list)
    for path in sources(*OWN_CODE):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                classes[node.name.lstrip("_")].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in classes.items() if len(paths) > 1} == {}


def constants(path: Path) -> Iterator[str]:
    """The names in capitals that a module gives to values; not type variables, which have one letter."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for name in (part for target in targets for part in getattr(target, "elts", [target])):
            if isinstance(name, ast.Name) and name.id.isupper() and len(name.id) > 1:
                yield name.id.lstrip("_")


def test_no_two_constants_have_the_same_name():
    modules = defaultdict(set)
    for path in sources(*OWN_CODE):
        for name in constants(path):
            modules[name].add(str(path.relative_to(ROOT)))
    # Each command says with it what it does.
    twins = {name: paths for name, paths in modules.items() if len(paths) > 1 and name != "SUMMARY"}
    assert len(modules) > 300 and twins == {}


def test_no_module_passes_attributes_on_or_keeps_state():
    forbidden = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*OWN_CODE)
        for node in nodes(path)
        if isinstance(node, ast.Global) or (isinstance(node, Function) and node.name == "__getattr__")
    ]
    assert forbidden == []
