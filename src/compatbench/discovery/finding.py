"""Finds plugins, methods and datasets alike: in the built-in folder, in further folders, and in installed packages.

A plugin is one file with one class. Files of a folder are loaded by path under the private namespace
`compatbench_methods`, so that tracebacks name real files and `from ._shared import …` works for files beside
them. A file that does not load is listed with its error, and the rest go on.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from compatbench.discovery.source import NAMESPACE
from compatbench.errors import ContractError, RequestError, kind_and_text, one_line
from compatbench.storage.validation import did_you_mean

PLUGIN_NAME = re.compile(r"[a-z][a-z0-9_]*")
T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of plugin: methods or datasets."""

    word: str
    """`method` or `dataset`."""
    builtin: Path
    """Folder of the built-in ones."""
    summary: str
    """The attribute of a plugin's class whose first line says what it is."""
    bases: Callable[[], tuple[type[Any], ...]]
    """A plugin's class derives from one of these; a function, since some need seconds of imports."""
    load: Callable[[Path], ModuleType]
    """Executes a file."""
    make: Callable[[type[Any], Path], T]
    """The plugin of a class that is valid, from its file."""

    @property
    def group(self) -> str:
        """Entry-point group of installed packages."""
        return f"compatbench.{self.word}s"


@dataclass(frozen=True)
class BrokenPlugin:
    """A file or an entry point that does not load."""

    path: Path
    error: str
    """One line."""


@dataclass
class Found(Generic[T]):
    """All plugins of a kind, by name."""

    plugins: dict[str, T] = field(default_factory=dict)
    broken: list[BrokenPlugin] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    """Files by name, also of those plugins that nobody asked for, so that they were not loaded."""
    summaries: dict[str, str] = field(default_factory=dict)
    """What each of those is, in one line."""
    word: str = "method"

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self.paths.keys() | self.plugins.keys())

    def get(self, name: str) -> T:
        """The plugin `name`. Raises RequestError with the nearest name, or why its file does not load."""
        self.check(name)
        return self.plugins[name]

    def check(self, name: str, among: Sequence[str] = ()) -> None:
        """Raise RequestError, as `get` does, if nothing has this name; it tells the names of `among`, or all."""
        if name in self.paths or name in self.plugins:
            return
        for plugin in self.broken:
            if plugin.path.stem == name:
                raise RequestError(f"{self.word} '{name}' does not load: {plugin.path}: {plugin.error}")
        raise RequestError(f"no {self.word} '{name}'{did_you_mean(name, among or self.names)}")

    def claim(self, name: str, path: Path, summary: str) -> None:
        """Note that `path` defines `name`. Raises RequestError if another file does so too."""
        other = self.paths.setdefault(name, path)
        if other != path:
            raise RequestError(f"two {self.word}s are named '{name}': {other} and {path}; rename one")
        self.summaries[name] = summary.strip().partition("\n")[0]


def find(kind: Kind[T], folders: Sequence[Path] = (), wanted: Callable[[str], bool] | None = None) -> Found[T]:
    """All plugins of the built-in folder, of `folders`, and of installed packages.

    A file that declares a name that is not `wanted` is read and not executed; without `wanted` all are executed. Raises
    RequestError for a folder that does not exist, and where two plugins have one name.
    """
    found: Found[T] = Found(word=kind.word)

    def add(origin: Path, load: Callable[[], type[Any]]) -> None:
        try:
            cls = load()
            check_name(cls)
            path = Path(inspect.getfile(cls)).resolve()
            plugin = kind.make(cls, path)
        except Exception as error:
            found.broken.append(BrokenPlugin(origin, why_broken(error)))
        else:
            found.claim(cls.name, path, getattr(cls, kind.summary) or "")
            found.plugins[cls.name] = plugin

    for folder in dict.fromkeys(path.resolve() for path in (kind.builtin, *folders)):
        if not folder.is_dir():
            raise RequestError(f"no folder of {kind.word}s at {folder}; give a folder with one .py file a {kind.word}")
        for path in sorted(folder.glob("[!_]*.py")):
            texts = declared(path) if wanted else {}
            if not wanted or not {"name", kind.summary} <= texts.keys() or wanted(texts["name"]):
                add(path, lambda path=path: find_class(kind.load(path), kind.bases()))  # type: ignore[misc]
            else:
                found.claim(texts["name"], path, texts[kind.summary])
    for entry in sorted(entry_points(group=kind.group), key=lambda entry: entry.name):
        add(Path(entry.name), lambda entry=entry: _installed(entry, kind.bases()))  # type: ignore[misc]
    return found


def declared(path: Path) -> dict[str, str]:
    """The texts that the one class with a `name` in the file at `path` assigns, and its `__doc__`; nothing is run.

    Empty where there is no such class or more than one, and where only an error could tell more: the file does not
    parse, its name is not valid, or a module that it imports is not there.
    """
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return {}
    texts = [_texts(node) for node in body if isinstance(node, ast.ClassDef) and node.bases]
    named = [one for one in texts if PLUGIN_NAME.fullmatch(one.get("name", ""))]
    return named[0] if len(named) == 1 and all(_is_there(node, path) for node in body) else {}


def find_class(module: ModuleType, bases: tuple[type[Any], ...]) -> type[Any]:
    """The one class with a `name` in `module` itself, below `bases`. Raises ContractError for none or more."""
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, bases)
        and value.__module__ == module.__name__
        and "name" in vars(value)
    ]
    if len(classes) != 1:
        found = ", ".join(cls.__name__ for cls in classes) or "none"
        raise ContractError(f"the file must define one subclass of {_either(bases)} with a `name`; found {found}")
    return classes[0]


def check_name(cls: type[Any]) -> None:
    """Raise ContractError unless the name of `cls` is valid."""
    if not isinstance(cls.name, str) or not PLUGIN_NAME.fullmatch(cls.name):
        raise ContractError(f"name = {cls.name!r} of {cls.__name__} is not valid: use lower-case letters, digits and _")


def why_broken(error: BaseException) -> str:
    """An exception in one line, with the remedy if a package is missing."""
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith(NAMESPACE):
        return f"needs the package '{error.name}': install it, e.g. pip install {error.name.partition('.')[0]}"
    return one_line(str(error)) if isinstance(error, ContractError) else kind_and_text(error)


def _installed(entry: EntryPoint, bases: tuple[type[Any], ...]) -> type[Any]:
    cls = entry.load()
    if not (inspect.isclass(cls) and issubclass(cls, bases)):
        raise ContractError(f"entry point {entry.value} must name a subclass of {_either(bases)}")
    return cls


def _texts(node: ast.ClassDef) -> dict[str, str]:
    texts = {"__doc__": ast.get_docstring(node) or ""}
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Constant):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            value = statement.value.value
            texts |= {one.id: value for one in targets if isinstance(one, ast.Name) and isinstance(value, str)}
    return texts


def _is_there(node: ast.stmt, path: Path) -> bool:
    """Whether the modules are there that `node` imports, if it does; of packages only the outermost is looked for."""
    if isinstance(node, ast.ImportFrom) and node.level:
        names = [node.module] if node.module else [alias.name for alias in node.names]
        return all(path.with_name(f"{name.partition('.')[0]}.py").is_file() for name in names)
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
    return all(_is_installed(name.partition(".")[0]) for name in names)


@cache
def _is_installed(package: str) -> bool:
    return package in sys.modules or find_spec(package) is not None


def _either(bases: tuple[type[Any], ...]) -> str:
    return " or ".join(base.__name__ for base in bases)
