"""Finds the methods: the built-in folder, further folders, and installed packages (entry points).

A method is one file with one class. Files of a folder are loaded by path under the private namespace
`compatbench_methods`, so that tracebacks name real files and `from ._shared import …` works for files beside
them. A file that does not load is listed with its error, and the rest go on.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import ValidationError

from compatbench.discovery.source import NAMESPACE, load_module, source_hash
from compatbench.errors import ContractError, RequestError
from compatbench.method import Adapter, Params, TrainingMethod
from compatbench.storage.builtin import builtin_folder
from compatbench.storage.validation import did_you_mean, explain
from compatbench.vocabulary import Need

ENTRY_POINT_GROUP = "compatbench.methods"
METHOD_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Plugin:
    """A method that can be run."""

    name: str
    cls: type[Any]
    """Subclass of TrainingMethod or of Adapter."""
    path: Path
    source_hash: str
    """Sha256 over the method's file and the files beside it that it imports."""
    kind: Literal["training", "adapter"]
    summary: str
    """First line of the docstring."""

    @property
    def needs(self) -> frozenset[Need]:
        """What the class declares; an instance may narrow it to what its variant really needs."""
        return frozenset(self.cls.needs)

    def resolve(self, params: dict[str, Any]) -> Params:
        """All parameters of the method, those not given at their defaults.

        Raises RequestError, in one line, for a misspelt name or a value out of bounds.
        """
        try:
            resolved: Params = self.cls.Params.model_validate(params)
        except ValidationError as error:
            raise RequestError(f"method '{self.name}': {explain(error, self.cls.Params)}") from error
        return resolved


@dataclass(frozen=True)
class BrokenPlugin:
    """A method file that does not load, or an entry point that does not."""

    path: Path
    error: str
    """One line."""


@dataclass
class Catalogue:
    """All methods that were found, by name."""

    methods: dict[str, Plugin] = field(default_factory=dict)
    broken: list[BrokenPlugin] = field(default_factory=list)

    def get(self, name: str) -> Plugin:
        """The method `name`. Raises RequestError with the nearest name, or why its file does not load."""
        if name in self.methods:
            return self.methods[name]
        for plugin in self.broken:
            if plugin.path.stem == name:
                raise RequestError(f"method '{name}' does not load: {plugin.path}: {plugin.error}")
        raise RequestError(f"no method '{name}'{did_you_mean(name, self.methods)}")

    def add(self, plugin: Plugin) -> None:
        """Adds a method. Raises RequestError where another file already has its name."""
        other = self.methods.setdefault(plugin.name, plugin)
        if other is not plugin:
            raise RequestError(f"two methods are named '{plugin.name}': {other.path} and {plugin.path}; rename one")


def discover(folders: Sequence[Path] = ()) -> Catalogue:
    """All methods of the built-in folder, of `folders`, and of installed packages.

    Raises RequestError for a folder that does not exist, and where two methods have one name.
    """
    catalogue = Catalogue()
    for folder in dict.fromkeys(path.resolve() for path in (builtin_folder("methods"), *folders)):
        if not folder.is_dir():
            raise RequestError(f"no folder of methods at {folder}; give a folder with one .py file a method")
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("_"):
                _add(catalogue, path)
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        _add_installed(catalogue, entry_point)
    return catalogue


def load_file(path: Path) -> Plugin:
    """The method that the file at `path` defines.

    Raises ContractError where the file has not exactly one method class with a valid name, and whatever
    executing the file raises.
    """
    path = path.resolve()
    return make_plugin(find_class(load_module(path)), path)


def find_class(module: ModuleType) -> type[Any]:
    """The one method class that `module` itself defines. Raises ContractError where there is not one."""
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, TrainingMethod | Adapter)
        and value.__module__ == module.__name__
        and "name" in vars(value)
    ]
    if len(classes) != 1:
        found = ", ".join(cls.__name__ for cls in classes) or "none"
        raise ContractError(
            f"a method file defines one subclass of TrainingMethod or Adapter with a `name`; found {found}"
        )
    return classes[0]


def make_plugin(cls: type[Any], path: Path) -> Plugin:
    """The plugin of the method class `cls` from `path`. Raises ContractError where its name is not valid."""
    name = cls.name
    if not isinstance(name, str) or not METHOD_NAME.fullmatch(name):
        raise ContractError(f"name = {name!r} of {cls.__name__} is not valid: use lower-case letters, digits and _")
    return Plugin(
        name=name,
        cls=cls,
        path=path,
        source_hash=source_hash(path),
        kind="adapter" if issubclass(cls, Adapter) else "training",
        summary=(cls.__doc__ or "").strip().partition("\n")[0],
    )


def one_line(error: BaseException) -> str:
    """An exception in one line, with the remedy where a package is missing."""
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith(NAMESPACE):
        return f"needs the package '{error.name}': install it, e.g. pip install {error.name.partition('.')[0]}"
    text = " ".join(str(error).split())
    if isinstance(error, ContractError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _add(catalogue: Catalogue, path: Path) -> None:
    try:
        plugin = load_file(path)
    except Exception as error:
        catalogue.broken.append(BrokenPlugin(path, one_line(error)))
    else:
        catalogue.add(plugin)


def _add_installed(catalogue: Catalogue, entry_point: EntryPoint) -> None:
    try:
        cls = entry_point.load()
        if not (inspect.isclass(cls) and issubclass(cls, TrainingMethod | Adapter)):
            raise ContractError(f"entry point {entry_point.value} must name a subclass of TrainingMethod or Adapter")
        plugin = make_plugin(cls, Path(inspect.getfile(cls)).resolve())
    except Exception as error:
        catalogue.broken.append(BrokenPlugin(Path(entry_point.name), one_line(error)))
    else:
        catalogue.add(plugin)
