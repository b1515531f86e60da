"""The structure of the package: which room imports which, and how large things may get."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.venvs import CHECKOUT
from tests.unit.test_docs import ARCHITECTURE, codes, rows, section

PACKAGE = CHECKOUT / "cronalytics_otel"
MODULES = {path.relative_to(PACKAGE): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
ENTRY = "entry"

MOST_LINES = 400
MAY_BE_LONGER = "telemetry/semconv/"
"""The registry of names is one table."""

MOST_TOP_ENTRIES = 20


def room_of(module: Path) -> str:
    name = module.parts[0].removesuffix(".py")
    return ENTRY if name in ("__init__", "plugin") else name


def imported(module: Path) -> Iterator[Path]:
    """The modules of ours that a module imports, anywhere in it."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = module.parents[node.level - 1]
            source = folder.joinpath(*(node.module or "").split("."))
            for name in node.names:
                candidates = (
                    source / f"{name.name}.py",
                    source / name.name / "__init__.py",
                    source.with_suffix(".py") if source.name else source,
                    source / "__init__.py",
                )
                yield next(path for path in candidates if path in MODULES)


IMPORTS = {module: set(imported(module)) - {module} for module in MODULES}


def allowed() -> Mapping[str, set[str]]:
    """By room, the rooms that it may import, as the documents have it."""
    table = rows(section(ARCHITECTURE, "## The rooms").partition("\n\n| room | what")[0])
    return {
        codes(room)[0].removesuffix(".py") if room.startswith("`") else ENTRY: set(
            filter(None, map(str.strip, names.split(",")))
        )
        for room, names in table
    }


def test_every_import_is_one_that_the_table_of_rooms_allows() -> None:
    table = allowed()
    wrong = [
        f"{module} imports {target}"
        for module, targets in IMPORTS.items()
        for target in targets
        if room_of(target) not in table[room_of(module)] | {room_of(module)}
    ]

    assert set(table) == {room_of(module) for module in MODULES}
    assert wrong == []


def test_all_imports_within_the_package_are_relative() -> None:
    """A git checkout is loaded under another name; and only these are held against the table."""
    assert [
        str(module)
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(PACKAGE.name in a.name for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name))
    ] == []


def test_imports_go_down_the_table() -> None:
    order = list(allowed())

    assert {
        (room, name)
        for room, names in allowed().items()
        for name in names
        if order.index(name) <= order.index(room)
    } == set()


def test_the_table_allows_nothing_that_no_module_uses() -> None:
    used: dict[str, set[str]] = {}
    for module, targets in IMPORTS.items():
        used.setdefault(room_of(module), set()).update(map(room_of, targets))

    assert {
        (room, name)
        for room, names in allowed().items()
        for name in names
        if name not in used.get(room, set())
    } == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Also within a room, and also by imports inside functions."""
    done: set[Path] = set()
    circles: list[str] = []

    def visit(module: Path, path: tuple[Path, ...]) -> None:
        if module in path:
            circles.append(" → ".join(map(str, (*path[path.index(module) :], module))))
        elif module not in done:
            for target in sorted(IMPORTS[module]):
                visit(target, (*path, module))
            done.add(module)

    for module in sorted(MODULES):
        visit(module, ())

    assert circles == []


def test_the_top_of_the_package_can_be_taken_in_at_a_glance() -> None:
    entries = {
        path.name
        for path in PACKAGE.iterdir()
        if path.name not in ("__init__.py", "py.typed") and not path.name.startswith("__pycache__")
    }

    assert len(entries) <= MOST_TOP_ENTRIES


@pytest.mark.parametrize("module", sorted(MODULES), ids=str)
def test_no_module_is_longer_than_one_noun_takes(module: Path) -> None:
    lines = (PACKAGE / module).read_text(encoding="utf-8").count("\n")

    assert lines <= MOST_LINES or str(module).startswith(MAY_BE_LONGER)
