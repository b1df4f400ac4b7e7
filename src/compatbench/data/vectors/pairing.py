"""Checks rows for ranking, and pairs the rows of two tables. Knows nothing of torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compatbench.data.id_lookup import IdLookup
from compatbench.data.vectors.embeddings import EmbeddingTable
from compatbench.data.vectors.formats.format import Values
from compatbench.data.vectors.index_as_ids import REMEDY
from compatbench.data.vectors.notices import LISTED, Notice
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError, listed

Rows = NDArray[np.intp]

_LISTED_BAD = 100

SHORTEST = 1e-12
"""Length from which float32 gives a vector unit length, as torch does it; 1e19 is the longest."""


@dataclass(frozen=True, eq=False)
class Checked:
    """A table with rows checked once, block by block."""

    table: EmbeddingTable
    not_finite: Rows
    """Rows with NaN or infinite values."""
    zero: Rows
    """Rows of nothing but zeros."""
    unfit: Rows
    """Rows of numbers so small, or so large, that float32 cannot give them unit length."""
    lengths: tuple[float, float]
    """The least and the greatest length of the other rows; (1, 1) where there are none."""

    @classmethod
    def of(cls, table: EmbeddingTable) -> Checked:
        """Raises RequestError for an id that is there twice, unless rows are parts of documents."""
        bad, lengths = [np.empty((0, 2), np.intp)], (np.inf, 0.0)
        for rows, block in table.blocks():
            with np.errstate(over="ignore", invalid="ignore"):
                norms = np.linalg.norm(block, axis=1)
            good = np.isfinite(norms) & (norms > SHORTEST)
            if good.any():
                lengths = min(lengths[0], float(norms[good].min())), max(lengths[1], float(norms[good].max()))
            greatest = np.abs(block[~good]).max(axis=1)
            kind = np.where(np.isfinite(greatest), np.where(greatest == 0, 1, 2), 0)
            bad.append(np.stack((rows.start + np.flatnonzero(~good), kind), axis=1))
        if table.ids is not None and table.group is None:
            _check_unique(table, table.ids)
        found = (1.0, 1.0) if lengths[1] == 0 else lengths
        every = np.concatenate(bad)
        not_finite, zero, unfit = (every[every[:, 1] == kind, 0] for kind in range(3))
        return cls(table, not_finite, zero, unfit, found)

    @cached_property
    def bad(self) -> Rows:
        """Rows that cannot be ranked, ascending."""
        return np.sort(np.concatenate((self.not_finite, self.zero, self.unfit)))

    @property
    def complaint(self) -> str:
        """The number of bad rows, the reason, and their places."""
        kinds = (
            (self.not_finite, "NaN or infinite"),
            (self.zero, "nothing but zeros"),
            (self.unfit, f"shorter than {SHORTEST:g} or longer than 1e19: multiply all of a model by one number"),
        )
        why = [f"{len(rows):,} {what}" for rows, what in kinds if len(rows)]
        ids, word = (self.bad, "row ") if self.table.ids is None else (self.table.ids[self.bad], "")
        return (
            f"{self.table.name}: {len(self.bad):,} of {len(self.table):,} rows cannot be ranked ({', '.join(why)}): "
            f"{word}{listed(ids, _LISTED_BAD)}"
        )


def refuse_bad_rows(*tables: Checked) -> None:
    """Raise RequestError with all rows of all tables that cannot be ranked."""
    complaints = dict.fromkeys(one.complaint for one in tables if len(one.bad))
    if complaints:
        raise RequestError(
            f"{'; '.join(complaints)}; embed these items again, or leave them out on both sides by --skip-bad-rows"
        )


@dataclass(frozen=True, eq=False)
class Pairing:
    """The rows of the same items in two tables, (N,) each; None for all rows in their order."""

    old: Rows | None
    new: Rows | None
    notices: tuple[Notice, ...]


def pair(old: Checked, new: Checked, options: InputOptions, *, more_old: bool = False) -> Pairing:
    """The items in both tables, in the order of `new`: by id, or by position if neither has ids.

    Raises RequestError where rows have no counterpart and --common does not leave them out; with `more_old` further
    rows of `old` are no matter.
    """
    if not options.skip_bad_rows:
        refuse_bad_rows(old, new)
    old_rows, new_rows, notices = _matched(old.table, new.table, options, more_old)
    bad = np.isin(old_rows, old.bad) | np.isin(new_rows, new.bad)
    if bad.any():
        names = new_rows[bad] if new.table.ids is None else new.table.ids[new_rows[bad]]
        notices.append(
            Notice(
                "bad rows",
                int(bad.sum()),
                f"{bad.sum():,} of {len(bad):,} items left out of {old.table.name} and {new.table.name}, since they "
                f"are NaN, infinite or zero in one of them: {listed(names, LISTED)}",
            )
        )
        old_rows, new_rows = old_rows[~bad], new_rows[~bad]
    if not len(new_rows):
        raise RequestError(f"{old.table.name} and {new.table.name} have no item in common that can be ranked")
    return Pairing(_or_all(old_rows, old.table), _or_all(new_rows, new.table), tuple(notices))


def _or_all(rows: Rows, table: EmbeddingTable) -> Rows | None:
    return None if np.array_equal(rows, np.arange(len(table))) else rows


def _matched(
    old: EmbeddingTable, new: EmbeddingTable, options: InputOptions, more_old: bool
) -> tuple[Rows, Rows, list[Notice]]:
    every = np.arange(len(new))
    if old.ids is None and new.ids is None:
        if len(old) != len(new):
            raise RequestError(
                f"{old.name} has {len(old)} rows and {new.name} has {len(new)}: without ids, rows are paired by "
                "position, and there must be equally many; with ids, --common cuts to those that both have"
            )
        return every, every, []
    if old.ids is None or new.ids is None:
        without, other = (old, new) if old.ids is None else (new, old)
        raise RequestError(f"{other.name} has ids and {without.name} has none: give both of them ids, or neither")
    old_ids, new_ids = of_one_kind(old.ids, new.ids, f"the ids of {old.name} and {new.name}")
    if np.array_equal(old_ids, new_ids):
        return every, every, []
    rows = _rows_of(old_ids, new_ids)
    found = rows >= 0
    other_way = np.ones(len(old), dtype=np.bool_)
    other_way[rows[found]] = False
    unused = np.flatnonzero(other_way)
    if not options.common:
        _refuse_missing(old, new, np.flatnonzero(~found))
        if not more_old:
            _refuse_missing(new, old, unused)
    said = []
    if options.common or (more_old and len(unused)):
        said.append(
            Notice(
                "unpaired rows",
                int((~found).sum()) + len(unused),
                f"{found.sum():,} items are in both files; left out: {len(unused):,} that only {old.name} has, and "
                f"{(~found).sum():,} that only {new.name} has",
            )
        )
    return rows[found], every[found], said


def of_one_kind(one: Values, other: Values, what: str) -> tuple[Values, Values]:
    """Both as text where one is text and the other numbers: 7 is "7", and "007" another.

    Raises RequestError where nothing is the same then.
    """
    if (one.dtype.kind == "U") == (other.dtype.kind == "U"):
        return one, other
    one, other = one.astype(str), other.astype(str)
    if not np.isin(one, other).any():
        raise RequestError(f"{what} differ in kind: numbers in one, text in the other")
    return one, other


def _rows_of(ids: Values, wanted: Values) -> Rows:
    """The row of each of `wanted`; the k-th row of an id that is there several times goes with its k-th one."""
    lookup = IdLookup(ids)
    if not len(lookup.repeated()) and len(np.unique(wanted)) == len(wanted):
        return lookup.rows(wanted)
    _, codes = np.unique(np.concatenate((ids.astype(str), wanted.astype(str))), return_inverse=True)
    first, second = (codes[: len(ids)], codes[len(ids) :])
    width = max(len(ids), len(wanted))
    return IdLookup(first * width + _place(first)).rows(second * width + _place(second))


def _place(codes: Rows) -> Rows:
    """(N,) how many equal codes come before each."""
    order = np.argsort(codes, kind="stable")
    ascending = codes[order]
    starts = np.searchsorted(ascending, ascending)
    places = np.empty(len(codes), dtype=np.intp)
    places[order] = np.arange(len(codes)) - starts
    return places


def _refuse_missing(table: EmbeddingTable, other: EmbeddingTable, missing: Rows) -> None:
    if len(missing) and other.ids is not None:
        remedy = "embed these items by both models, or cut to those that both have by --common"
        if table.ids is table.index or other.ids is other.index:
            remedy = f"{remedy}; {REMEDY}"
        if (alike := _spelt_alike(table.ids, other.ids[missing[0]])) is not None:
            remedy = f"{table.name} has {alike}: spell ids alike in both files"
        raise RequestError(
            f"{table.name} has no id {other.ids[missing[0]]!s}, which is row {missing[0]} of {other.name}; "
            f"{len(missing)} of {len(other)} ids are missing: {remedy}"
        )


def _spelt_alike(ids: Values | None, wanted: str) -> str | None:
    """The first of the `ids` that is the wanted one but for capitals, hyphens, blanks and brackets, as UUIDs may be."""
    bare = _bare(wanted)
    return next((str(one) for one in ids if _bare(one) == bare), None) if ids is not None and bare else None


def _bare(name: object) -> str:
    return "".join(filter(str.isalnum, str(name))).casefold()


def _check_unique(table: EmbeddingTable, ids: Values) -> None:
    repeated = IdLookup(ids).repeated()
    if len(repeated):
        first, second = np.flatnonzero(ids == repeated[0])[:2]
        raise RequestError(
            f"{table.name}: id {repeated[0]!s} is there twice, in rows {first} and {second}; {len(repeated):,} ids "
            "are: number them apart, or if they name documents with several vectors, --group COLUMN"
        )


def select(values: Values | None, rows: Rows | None) -> Values | None:
    """(n,) of these rows."""
    return values if values is None or rows is None else values[rows]
