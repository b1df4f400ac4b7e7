"""The user's options for reading and pairing files, in one object."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from compatbench.errors import RequestError, check_number

WhichModel = Literal["old", "new"]


@dataclass(frozen=True)
class InputOptions:
    """Columns, and permitted exclusions, of files of embeddings and of judgements."""

    vectors: str | None = None
    """Column of the vectors; two names with a comma between are those of OLD and NEW."""
    ids: str | None = None
    labels: str | None = None
    group: str | None = None
    """Column that names the document of each vector, of which there may be several."""
    packed_bits: bool = False
    """Bytes are eight dimensions each."""
    dims: int | None = None
    """The first dimensions of NEW are used."""
    old_dims: int | None = None
    common: bool = False
    """Items that only one file has are left out."""
    skip_bad_rows: bool = False
    """Items without a vector that can be ranked are left out."""
    skip_unknown: bool = False
    """Judgements of ids without a vector are left out."""
    relevant_from: float | None = None
    """The least grade that is relevant; None: whatever is above 0."""
    separate_ids: bool = False
    """A query that has the id of an item is not that item."""
    of_queries: bool = False
    """The files are of queries: what they do not have by a name that is given, they have by its usual name."""

    def __post_init__(self) -> None:
        for name in ("dims", "old_dims"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), 1)
        if self.relevant_from is not None:
            check_number("relevant_from", self.relevant_from, whole=False)
        for one in fields(self):
            value = getattr(self, one.name)
            if one.default is False and value not in (True, False):
                raise RequestError(f"{one.name} is {value!r}: give True or False")
            if one.name in ("vectors", "ids", "labels", "group") and not isinstance(value, str | None):
                raise RequestError(f"{one.name} is {value!r}: give the name of a column")

    def column(self, role: str, side: WhichModel) -> str | None:
        """The user's name for the column of this role."""
        name: str | None = getattr(self, role)
        if role == "vectors" and name is not None and "," in name:
            return name.split(",", 1)[side == "new"].strip()
        return name

    def first_dims(self, side: WhichModel) -> int | None:
        """How many dimensions of a side are used; None: all."""
        return self.dims if side == "new" else self.old_dims


DEFAULT = InputOptions()
