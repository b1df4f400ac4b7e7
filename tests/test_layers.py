"""The rooms of src/compatbench: who may import whom, how large they may be, and which of them work without torch.

The table is that of docs/architecture.md, from the lowest room to the highest: a room imports only rooms above it in
the table, and only those that its line names, so no circle is possible. Imports are read from the source with `ast`,
wherever they stand: those inside functions count, and those for type checkers alone too, so that no circle hides there.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PAGE = ROOT / "docs" / "architecture.md"

OWN_ROOMS = ("report", "data.families", "data.text", "data.vectors", "discovery.contract", "comparison.api")
"""Packages inside a package that are rooms of their own; of `report` every package is."""

ROOT_MODULES = 8
PACKAGES = 15
ROOM_LINES = 3500
MODULE_LINES = 400
MEDIAN_LINES = 95


def modules() -> dict[str, Path]:
    """Source files by name inside the package: `` for the package itself, `data.families.cub200`."""
    found = {}
    for path in sorted((SOURCE / "compatbench").rglob("*.py")):
        parts = path.relative_to(SOURCE / "compatbench").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room(module: str) -> str:
    """The room of a module; a module at the root is one, and the package itself is `compatbench`."""
    parts = module.split(".")
    package = ".".join(parts[:2])
    is_room = package in OWN_ROOMS or (parts[0] in OWN_ROOMS and len(parts) > 1)
    return (package if is_room else parts[0]) or "compatbench"


def imported(module: str) -> set[str]:
    """The modules of the package that a module imports, anywhere in its source."""
    return {name for name in _imported(MODULES[module]) if name != module}


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] == "compatbench":
                yield _module(name.partition(".")[2])


def _module(name: str) -> str:
    """The module that `name` is, or is a name in."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def table() -> dict[str, tuple[set[str], str]]:
    """The lines of the page's table by room, in order: the rooms that it imports, and what works without torch."""
    lines = re.findall(
        r"^\| `([^`]+)` \| [^|]+ \| ([^|]*) \| ([^|]*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: (set(re.findall(r"`([^`]+)`", imports)), free.strip()) for name, imports, free in lines}


TABLE = table()
IMPORTS = {
    name: {room(target) for source in MODULES if room(source) == name for target in imported(source)} - {name}
    for name in sorted({room(module) for module in MODULES})
}
"""Rooms that each room imports, as the source has it."""


def test_every_room_is_in_the_table() -> None:
    assert set(TABLE) == set(IMPORTS)


def test_the_table_has_no_circle() -> None:
    """A room names only rooms above its own line."""
    names = list(TABLE)
    for position, (name, (allowed, _)) in enumerate(TABLE.items()):
        assert allowed <= set(names[:position]), name


def test_a_room_imports_what_its_line_says() -> None:
    """No room more, and none less, so that the page shows what is there."""
    said = {(name, target) for name, (allowed, _) in TABLE.items() for target in allowed}
    found = {(name, target) for name, targets in IMPORTS.items() for target in targets}
    assert not found - said, "imports that the table does not name"
    assert not said - found, "imports that the table names and nobody needs"


def test_the_page_names_files_that_are_there() -> None:
    for name in re.findall(r"`([a-z0-9_/]+\.py)`", PAGE.read_text(encoding="utf-8")):
        assert any((folder / name).is_file() for folder in (ROOT, SOURCE / "compatbench")), name


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Nor one inside a room."""
    left = {module: imported(module) for module in MODULES}
    while True:
        wanted = {target for targets in left.values() for target in targets}
        inside = {module: targets & left.keys() for module, targets in left.items() if module in wanted}
        inside = {module: targets for module, targets in inside.items() if targets}
        if inside == left:
            break
        left = inside
    assert not left


def without_torch() -> list[str]:
    """The modules that the table says work without torch."""
    free = []
    for name, (_, words) in TABLE.items():
        if words == "yes":
            free += [module for module in MODULES if room(module) == name]
        else:
            free += [f"{name}.{module}" for module in re.findall(r"`([^`]+)`", words)]
    return free


def test_what_is_to_work_without_torch_does() -> None:
    names = [f"compatbench.{name}".rstrip(".") for name in without_torch()]
    code = f"""
import importlib, sys
for name in {names}:
    importlib.import_module(name)
    assert "torch" not in sys.modules, name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def sizes() -> Iterator[tuple[str, int, int, str, float, int, int]]:
    """Of each room its modules, lines, largest module, median, floor, and how many rooms it imports."""
    floors: dict[str, int] = {}
    for name in TABLE:
        paths = {path: lines(path) for module, path in MODULES.items() if room(module) == name}
        largest = max(paths, key=lambda path: paths[path])
        floors[name] = 1 + max((floors[target] for target in IMPORTS[name]), default=0)
        told = f"{largest.relative_to(SOURCE / 'compatbench')}, {paths[largest]}"
        median = statistics.median(paths.values())
        yield name, len(paths), sum(paths.values()), told, median, floors[name], len(IMPORTS[name])


def test_sizes_are_those_of_all_modules() -> None:
    found = list(sizes())
    assert sum(modules for _, modules, *_ in found) == len(MODULES)
    assert sum(each[2] for each in found) == sum(map(lines, MODULES.values()))
    assert [floor for name, *_, floor, _ in found if name == "errors"] == [1]


def test_the_root_stays_small() -> None:
    root = SOURCE / "compatbench"
    assert len(list(root.glob("*.py"))) <= ROOT_MODULES
    assert len(list(root.glob("*/__init__.py"))) <= PACKAGES


@pytest.mark.parametrize("name", IMPORTS)
def test_rooms_stay_small(name: str) -> None:
    rooms = {name, f"{name}.api"}
    assert sum(lines(path) for module, path in MODULES.items() if room(module) in rooms) <= ROOM_LINES


def test_modules_stay_small() -> None:
    sizes = {path: lines(path) for path in MODULES.values()}
    assert not [path for path, size in sizes.items() if size > MODULE_LINES]
    assert statistics.median(sizes.values()) <= MEDIAN_LINES


def test_a_class_has_a_name_of_its_own() -> None:
    """So that one word says one thing, whatever room one reads in."""
    names = Counter(
        node.name
        for path in MODULES.values()
        for node in ast.parse(path.read_bytes(), str(path)).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    """Pytest imports them by name alone: two of one name fail in a run of all, and only there."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


if __name__ == "__main__":
    for row in (("room", "modules", "lines", "largest module", "median", "floor", "imports"), *sizes()):
        print(" | ".join(map(str, row)))
