"""Computed vectors of any items (ours): a folder `train`, a folder `gallery` and maybe `query`.

Each has one file a trunk, such as `e5.npz`, in the formats that `compatbench compare` reads (docs/compare.md): ids and
labels stand beside the vectors. A file `qrels/test.tsv` says what is relevant if that is not the label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from compatbench.data.families._judged import judgements, read_grades
from compatbench.data.family import Family, Notify, Options
from compatbench.data.id_lookup import IdLookup
from compatbench.data.vectors.embeddings import EmbeddingTable, read_table
from compatbench.data.vectors.formats.format import Values
from compatbench.data.vectors.formats.registry import FORMATS
from compatbench.data.vectors.index_as_ids import index_as_ids
from compatbench.data.vectors.pairing import SHORTEST
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset, Split

PARTS = ("train", "gallery")
UNLABELLED = "item"
LAYOUT = "a folder of vectors has train/TRUNK.npz, gallery/TRUNK.npz and maybe query/TRUNK.npz and qrels/test.tsv"


class VectorsOptions(Options):
    """Options of the dataset `vectors`."""

    path: str
    """Folder, absolute or relative to the data folder."""
    qrels: str = "test"
    """The file of judgements in the folder `qrels`, if there is one."""
    relevant_from: float = Field(1.0, gt=0, allow_inf_nan=False)
    """The least grade that is relevant; lower ones count for nDCG alone."""


class VectorsFamily(Family[VectorsOptions]):
    """Without a folder `query`, every query searches the rest of the gallery."""

    name = "vectors"
    description = "a folder of your own vectors, by any encoders: one file a trunk and split"
    size = None
    licence = "that of the items"
    options_type = VectorsOptions
    linked = False

    def load(self, root: Path, options: VectorsOptions, image_size: int | None) -> Dataset:
        """Read ids, labels and judgements; vectors stay in files whose format can be mapped."""
        import torch

        from compatbench.data.dataset import Dataset

        folder = root / Path(options.path).expanduser()
        parts = {name: _read(folder / name) for name in (*PARTS, "query") if name in PARTS or (folder / name).exists()}
        if len({frozenset(part.tables) for part in parts.values()}) > 1:
            each = "; ".join(f"{name}: {', '.join(part.tables)}" for name, part in parts.items())
            raise RequestError(f"{folder}: every split needs the vectors of every trunk; there are {each}")
        names = sorted({label for part in parts.values() for label in part.labels})
        firsts = np.cumsum([0, *(len(part.ids) for part in parts.values())])
        splits = {name: _split(part, names, first) for (name, part), first in zip(parts.items(), firsts, strict=False)}
        train, gallery, query = splits["train"], splits["gallery"], splits.get("query", splits["gallery"])
        qrels = folder / "qrels" / f"{options.qrels}.tsv"
        if not qrels.exists():
            return Dataset(self.name, tuple(names), train, query, gallery)
        searched, asked = (
            dict(zip(part.ids, split.ids.tolist(), strict=True))
            for part, split in ((parts["gallery"], gallery), (parts.get("query", parts["gallery"]), query))
        )
        grades = read_grades(qrels, asked, searched)
        rows = torch.tensor([row for row, name in enumerate(asked) if name in grades])
        answers = judgements(grades, asked, searched, options.relevant_from)
        return Dataset(self.name, tuple(names), train, query.at(rows), gallery, answers)

    def missing(self, root: Path, options: VectorsOptions) -> tuple[str, ...]:
        """The missing ones of the two folders."""
        folder = root / Path(options.path).expanduser()
        return tuple(str(folder / name) for name in PARTS if not (folder / name).is_dir())

    def get(self, root: Path, options: VectorsOptions, notify: Notify) -> str:
        """Nothing to fetch."""
        self.load(root, options, None)
        return f"{self.name}: your own vectors in {root / Path(options.path).expanduser()}"


@dataclass(frozen=True, eq=False)
class _Part:
    """The items of one split."""

    tables: Mapping[str, EmbeddingTable]
    """By trunk."""
    orders: Mapping[str, NDArray[np.intp]]
    """(N,) the row of each item in each of them."""
    ids: list[str]
    labels: list[str]


@dataclass(frozen=True, eq=False)
class _Ordered:
    """Rows of a table in another order."""

    table: EmbeddingTable
    order: NDArray[np.intp]

    @property
    def dim(self) -> int:
        return self.table.dim

    def gather(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        return self.table.gather(self.order[rows])


def _read(folder: Path) -> _Part:
    """Raises RequestError where files are damaged, or differ in their items."""
    paths = sorted(path for path in folder.glob("*") if path.suffix in FORMATS)
    if not paths:
        raise RequestError(f"{folder} has no files of vectors; {LAYOUT}")
    tables = {path.stem: _checked(read_table(path)) for path in paths}
    first = next(iter(tables.values()))
    ids = _names(first)
    if len(np.unique(ids)) < len(ids):
        raise RequestError(f"{first.name}: an id is there twice; give every item its own")
    orders = {}
    for name, table in tables.items():
        one, other, _ = index_as_ids(first, table)
        orders[name] = IdLookup(_names(other)).rows(_names(one))
        if len(table) != len(first) or (orders[name] < 0).any():
            raise RequestError(f"{table.name} and {first.name} differ in their items; give all trunks the same ids")
    labelled = next((name for name, table in tables.items() if table.labels is not None), None)
    labels = [UNLABELLED] * len(ids)
    if labelled is not None:
        given = tables[labelled].labels
        assert given is not None
        labels = given[orders[labelled]].astype(str).tolist()
    return _Part(tables, orders, ids.tolist(), labels)


def _names(table: EmbeddingTable) -> Values:
    return (np.arange(len(table)) if table.ids is None else table.ids).astype(str)


def _checked(table: EmbeddingTable) -> EmbeddingTable:
    for rows, block in table.blocks():
        lengths = np.linalg.norm(block, axis=1)
        if (bad := np.flatnonzero(~((lengths > SHORTEST) & np.isfinite(lengths)))).size:
            raise RequestError(f"{table.name}: row {rows.start + bad[0]} is zero or not finite; take it out everywhere")
    return table


def _split(part: _Part, names: list[str], first: int) -> Split:
    import torch

    from compatbench.data.dataset import Split
    from compatbench.data.items import TrunkVectors

    number = {name: place for place, name in enumerate(names)}
    return Split(
        TrunkVectors.of(
            {name: _Ordered(table, part.orders[name]) for name, table in part.tables.items()}, len(part.ids)
        ),
        torch.tensor([number[label] for label in part.labels]),
        torch.arange(first, first + len(part.ids)),
        tuple(part.ids),
    )
