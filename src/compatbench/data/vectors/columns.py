"""Finds the columns of vectors, ids, labels and documents: as the user says, else by usual names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from compatbench.data.vectors.formats.format import Columns, Format, Names
from compatbench.data.vectors.formats.numbered import FIRST, UNNAMED, gaps
from compatbench.data.vectors.notices import LISTED, Notice
from compatbench.data.vectors.options import InputOptions, WhichModel
from compatbench.errors import RequestError, listed
from compatbench.storage.validation import did_you_mean

USUAL = {
    "vectors": ("vectors", "vector", "embeddings", "embedding", "emb"),
    "ids": ("ids", "id", "_id", FIRST, UNNAMED),
    "labels": ("labels", "label"),
    "group": (),
}
"""What each role may be called, the first of these that a file has."""


EITHER = "labels", "group"
"""What one of two files may have for both."""


def find_columns(path: Path, form: Format, options: InputOptions, side: WhichModel) -> tuple[Columns, list[Notice]]:
    """The columns by role, with `index` what names the rows if they have no ids; and what is to be said of columns.

    Raises RequestError if there are no vectors.
    """
    available = form.columns(path)
    chosen = {role: name for role in USUAL if (name := _choose(path, form, available, options, side, role)) is not None}
    found = form.read(path, list(dict.fromkeys(chosen.values())))
    columns = {role: found[name] for role, name in chosen.items()}
    if not form.named:
        return found, []
    if chosen.get("ids") == UNNAMED and np.array_equal(columns["ids"], np.arange(len(columns["ids"]))):
        chosen["index"], columns["index"] = chosen.pop("ids"), columns.pop("ids")
    index = form.index(path, len(columns["vectors"])) if form.index is not None and "ids" not in columns else None
    if index is not None:
        columns["index"] = index[1]
    return columns, list(_notices(path, available, options, chosen, () if index is None else index[0]))


def _choose(
    path: Path, form: Format, available: Names, options: InputOptions, side: WhichModel, role: str
) -> str | None:
    if not form.named:
        return "vectors" if role == "vectors" else None
    asked = options.column(role, side)
    usual = next((name for name in USUAL[role] if name in available), None)
    if asked is not None:
        for name in (asked, f"{asked}*", f"{asked}_*"):
            if name in available:
                return name
        if options.of_queries and usual is not None:
            return usual
        if role in EITHER:
            return None
        raise RequestError(f"{path} has no column '{asked}' for --{role}{did_you_mean(asked, available)}")
    if usual is not None or role != "vectors":
        return usual
    possible = [name for name, can in available.items() if can]
    if len(possible) != 1:
        raise RequestError(
            f"{path} has no 'vectors'; its columns are {listed(available, LISTED)}{gaps(available)}: name one by "
            "--vectors COLUMN"
        )
    return possible[0]


def _notices(
    path: Path, available: Names, options: InputOptions, chosen: dict[str, str], index: Collection[str]
) -> Iterator[Notice]:
    told = [role for role in USUAL if getattr(options, role) and not options.of_queries]
    guessed = [
        f"{role} from '{name}'" for role, name in chosen.items() if name != role and role in USUAL and role not in told
    ]
    if guessed:
        yield Notice("columns", 0, f"{path}: {', '.join(guessed)}")
    members = [name for name in available if name not in (*chosen.values(), *index) and not name.endswith("*")]
    if chosen["vectors"].endswith("*"):
        prefix = chosen["vectors"].removesuffix("*")
        members = [name for name in members if not (name.startswith(prefix) and name[len(prefix) :].isdigit())]
    if members:
        yield Notice("columns", len(members), f"{path}: left alone: {listed(map(repr, members), LISTED)}")
