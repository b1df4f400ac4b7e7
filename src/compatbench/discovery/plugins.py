"""Finds methods: built-in ones, those of further folders, and of installed packages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compatbench.discovery.finding import Found, Kind, find
from compatbench.discovery.source import load_module, source_hash
from compatbench.errors import RequestError
from compatbench.storage.builtin import builtin_folder
from compatbench.storage.validation import refuse_truth_values, validated
from compatbench.vocabulary import MethodKind, Need

if TYPE_CHECKING:
    from compatbench.method import Params


@dataclass(frozen=True)
class Plugin:
    """A method ready to run."""

    name: str
    cls: type[Any]
    """Subclass of TrainingMethod or of Adapter."""
    path: Path
    source_hash: str
    """Sha256 over the method's file and the files beside it that it imports."""
    kind: MethodKind
    summary: str
    """First line of the docstring."""

    @property
    def needs(self) -> frozenset[Need]:
        """The needs of the class; an instance may narrow them to those of its variant."""
        return frozenset(self.cls.needs)

    def resolve(self, params: dict[str, Any]) -> Params:
        """All parameters of the method, those not given at their defaults.

        Raises RequestError, in one line, for a misspelt name or a value out of bounds.
        """
        model: type[Params] = self.cls.Params
        try:
            refuse_truth_values(model, params)
        except ValueError as error:
            raise RequestError(f"method '{self.name}': {error}") from error
        return validated(model, params, f"method '{self.name}': ")


Catalogue = Found[Plugin]


def discover(folders: Sequence[Path] = (), names: Collection[str] | None = None) -> Catalogue:
    """All methods of the built-in folder, of `folders`, and of installed packages; with `names` no others are executed.

    Raises RequestError for a folder that does not exist, and where two methods have one name.
    """
    return find(METHODS, folders, None if names is None else names.__contains__)


def known_methods(folders: Sequence[Path] = ()) -> Catalogue:
    """Like `discover`, but only names, files and summaries: parsed, if possible, and not executed.

    An error that shows only when a file is executed is not found.
    """
    return find(METHODS, folders, lambda name: False)


def make_plugin(cls: type[Any], path: Path) -> Plugin:
    """The plugin of the method class `cls` from `path`."""
    from compatbench.method import Adapter

    return Plugin(
        name=cls.name,
        cls=cls,
        path=path,
        source_hash=source_hash(path),
        kind=MethodKind.ADAPTER if issubclass(cls, Adapter) else MethodKind.TRAINING,
        summary=(cls.__doc__ or "").strip().partition("\n")[0],
    )


def _bases() -> tuple[type[Any], ...]:
    from compatbench.method import Adapter, TrainingMethod

    return TrainingMethod, Adapter


METHODS = Kind(
    word="method",
    summary="__doc__",
    builtin=builtin_folder("methods"),
    bases=_bases,
    load=load_module,
    make=make_plugin,
)
