"""Source files of methods: the files of a method, their hash, and their modules, loaded by path.

Code is compiled from the bytes on disk, never from a cached `.pyc`, and a module whose files have changed is
executed again: what runs is what was hashed.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from compatbench.storage.builtin import builtin_folder

NAMESPACE = "compatbench_methods"


def source_files(path: Path) -> list[Path]:
    """The files beside `path` that it imports, recursively, each after its own imports; `path` last.

    Raises SyntaxError where one of them does not parse.
    """
    found: list[Path] = []
    pending: set[Path] = set()

    def visit(file: Path) -> None:
        if file in pending:
            return
        pending.add(file)
        for name in _relative_imports(file.read_bytes(), file.name):
            sibling = file.with_name(f"{name}.py")
            if sibling.is_file():
                visit(sibling)
        found.append(file)

    visit(path)
    return found


def source_hash(path: Path) -> str:
    """Sha256 (hex) over names and bytes of `source_files(path)`; part of the name of a trained model."""
    state = hashlib.sha256()
    for file in sorted(source_files(path), key=lambda file: file.name):
        content = file.read_bytes()
        state.update(f"{file.name}:{len(content)};".encode() + content)
    return state.hexdigest()


def load_module(path: Path) -> ModuleType:
    """The module of the method file at `path` (absolute). Raises whatever executing it raises."""
    package = _package(path.parent)
    for file in source_files(path):
        module = _load(file, f"{package}.{file.stem}")
    return module


@lru_cache(maxsize=1024)
def _relative_imports(source: bytes, name: str) -> list[str]:
    """Names of the siblings that the file `name` imports: `from ._rows import x`, `from . import _rows`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            if node.module:
                names.add(node.module.partition(".")[0])
            else:
                names.update(alias.name for alias in node.names)
    return sorted(names)


def _package(folder: Path) -> str:
    """The private package for the files of `folder`: the namespace itself for the built-in methods."""
    name = NAMESPACE
    if folder != builtin_folder("methods").resolve():
        _register(NAMESPACE)
        name = f"{NAMESPACE}.at_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    _register(name)
    return name


def _register(package: str) -> None:
    """An empty package; without a search path, so that nothing is imported past `load_module`."""
    if package not in sys.modules:
        module = ModuleType(package)
        module.__path__ = []
        sys.modules[package] = module


def _load(file: Path, name: str) -> ModuleType:
    digest = source_hash(file)
    known = sys.modules.get(name)
    if known is not None and known.__dict__.get("__source_hash__") == digest:
        return known
    spec = spec_from_file_location(name, file)
    if spec is None:
        raise ImportError(f"{file} is no Python file")
    module = module_from_spec(spec)
    module.__dict__["__source_hash__"] = digest
    sys.modules[name] = module
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
