"""Arrays in Parquet files, such as the per-query results of one entry of the compatibility matrix.

Every score of a record can be recomputed from these arrays. Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.data.id_lookup import IdLookup
from compatbench.errors import RequestError
from compatbench.storage.array_files import ArrayFiles, array_path, read_columns, write_columns
from compatbench.vocabulary import MetricName

CUTOFFS = (1, 5, 10)
METRICS = (MetricName.MAP, MetricName.MAP_AT_R, MetricName.CMC1, MetricName.CMC5, MetricName.CMC10)
"""The retrieval numbers of every record, in the order in which they are printed."""
FURTHER = (
    MetricName.MAP_AT_100,
    MetricName.NDCG10,
    MetricName.RECALL10,
    MetricName.RECALL100,
    MetricName.MRR10,
)
"""Those of queries with judgements; the first one also of classes of more than 100 items."""
RETRIEVAL = METRICS + FURTHER

STEP = 2**-16
"""Per-query values are kept in multiples of it: it moves no mean by more than 8e-6, and makes files a quarter smaller.
"""

_DTYPES = {
    "ids": "int64",
    "first_rank": "int32",
    "average_precision": "float32",
    "ap_at_r": "float32",
    "relevant": "int32",
    "ap_at_100": "float32",
    "found_at_10": "int32",
    "found_at_100": "int32",
    "ndcg_at_10": "float32",
}


class StoredColumns:
    """Base of dataclasses of arrays (N,), one column each in a file; None for an array that was not measured."""

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The arrays that there are."""
        return {name: array for name, array in vars(self).items() if array is not None}

    def write(self, folder: Path) -> str:
        """Write a file of this alone, see `write_columns`, and return its sha256."""
        return write_columns(folder, self.columns)

    def put(self, files: ArrayFiles, name: str, *, shared: bool = False) -> str:
        """Add it to the arrays of a cell, and return its reference."""
        return files.put(name, self.columns, shared=shared)

    @classmethod
    def read(cls, folder: Path, reference: str) -> Self:
        """Read it by its reference, see `read_columns`.

        Raises RequestError where the file is missing, its bytes have another hash, or it is another kind of array.
        """
        return cls.of_columns(read_columns(folder, reference), array_path(folder, reference))

    @classmethod
    def of_columns(cls, columns: Mapping[str, NDArray[Any]], path: Path) -> Self:
        """From the columns of the file at `path`. Raises RequestError where they are of another kind of array."""
        try:
            return cls(**columns)
        except (TypeError, ValueError) as error:
            raise RequestError(f"{path}: no {cls.__name__}: {error}") from error


@dataclass(frozen=True, eq=False)
class QueryResults(StoredColumns):
    """The result of each query, in the order of the queries. All arrays are (Q,).

    A query without any relevant gallery item enters no metric (protocol §2); it stays in the arrays so that
    the rows of all matrix entries are the same queries.
    """

    ids: NDArray[np.int64]
    """Sample ids of the queries."""
    first_rank: NDArray[np.int32]
    """Rank of the first relevant item, from 1; 0 where there is none."""
    average_precision: NDArray[np.float32]
    """AP over the full ranking; NaN where nothing is relevant."""
    ap_at_r: NDArray[np.float32]
    """AP over the first R ranks, R = number of relevant items; NaN where nothing is relevant."""
    relevant: NDArray[np.int32]
    """R: relevant items in the gallery, the query itself left out."""
    ap_at_100: NDArray[np.float32] | None = None
    """AP over the first 100 ranks, of min(R, 100); NaN where nothing is relevant. This and the rest where measured."""
    found_at_10: NDArray[np.int32] | None = None
    """Relevant items in the first 10."""
    found_at_100: NDArray[np.int32] | None = None
    ndcg_at_10: NDArray[np.float32] | None = None
    """nDCG@10, with the grades of judgements as gains; NaN where nothing is relevant."""

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            array = getattr(self, name)
            if array is None and name.partition("_at_")[2] in ("10", "100"):
                continue
            if array.shape != (len(self.ids),) or array.dtype != dtype:
                raise ValueError(f"{name}: expected {dtype} ({len(self.ids)},), got {array.dtype} {array.shape}")

    def __len__(self) -> int:
        return len(self.ids)

    def rounded(self) -> QueryResults:
        """The same in multiples of STEP, as it is kept; what is above 0 stays so."""
        kept: dict[str, NDArray[Any]] = {
            name: np.where((one > 0) & (one < STEP), np.float32(STEP), in_steps(one)) if one.dtype.kind == "f" else one
            for name, one in self.columns.items()
        }
        return QueryResults(**kept)

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """(Q,) the queries with a relevant item, i.e. those that enter the metrics."""
        return self.relevant > 0

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Rows of the queries of these sample ids. Raises ValueError if one is missing."""
        rows = IdLookup(self.ids).rows(ids)
        if (rows < 0).any():
            raise ValueError("some of the queries are not among the results")
        return rows

    @property
    def count(self) -> int:
        """The queries that enter the metrics."""
        return int(self.answerable.sum())

    def lost(self, old: object, k: int) -> NDArray[np.float64]:
        """(Q,) 1 where `old`, results of the same queries, has a hit in the first `k` and this has none, else 0.

        NaN where nothing is relevant.
        """
        if not isinstance(old, QueryResults) or not np.array_equal(old.ids, self.ids):
            raise ValueError("flips compare the same queries in the same order, but the query ids differ")
        return old.per_query(f"CMC@{k}") * (1 - self.per_query(f"CMC@{k}"))

    def hits(self, k: int) -> NDArray[np.bool_]:
        """(Q,) whether a relevant item is in the first `k`."""
        return (self.first_rank > 0) & (self.first_rank <= k)

    def per_query(self, metric: str) -> NDArray[np.float64]:
        """(Q,) the values with the mean `metric` (one of `names` or any `CMC@k`); NaN if nothing is relevant."""
        name, _, k = metric.partition("@")
        if name == "CMC" and k.isdecimal():
            return np.where(self.answerable, self.hits(int(k)), np.nan)
        if metric not in self.names:
            raise ValueError(f"unknown retrieval metric {metric!r}: use {', '.join(self.names)} or CMC@k")
        if metric == MetricName.MRR10:
            inverse = self.hits(10) / np.maximum(self.first_rank, 1)
            return np.where(self.answerable, inverse, np.nan)
        values: NDArray[Any] = getattr(self, _FIELDS[MetricName(metric)])
        if values.dtype.kind == "f":
            return values.astype(np.float64)
        return np.where(self.answerable, values / np.maximum(self.relevant, 1), np.nan)

    @property
    def names(self) -> tuple[MetricName, ...]:
        """The retrieval numbers that were measured, in the order of RETRIEVAL."""
        there = {name for name, field in _FIELDS.items() if getattr(self, field) is not None}
        if MetricName.NDCG10 in there:
            there.add(MetricName.MRR10)
        return tuple(name for name in RETRIEVAL if name in there or name in METRICS)

    def metrics(self, mask: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """All of `names`, each a mean over the answerable queries, or over those of them in `mask` (Q,).

        CMC@k (= R@k) is the share of queries with a relevant item in the first k, so CMC@1 = R@1 = P@1.
        All are NaN where no query is left.
        """
        chosen = self.answerable if mask is None else self.answerable & mask
        if not chosen.any():
            return dict.fromkeys(self.names, float("nan"))
        return {name: float(self.per_query(name)[chosen].mean()) for name in self.names}


def in_steps(values: ArrayLike) -> NDArray[np.float32]:
    """Values of queries as they are kept: the nearest multiples of STEP."""
    return (np.rint(np.asarray(values, dtype=np.float64) / STEP) * STEP).astype(np.float32)


_FIELDS = {
    MetricName.MAP: "average_precision",
    MetricName.MAP_AT_R: "ap_at_r",
    MetricName.MAP_AT_100: "ap_at_100",
    MetricName.NDCG10: "ndcg_at_10",
    MetricName.RECALL10: "found_at_10",
    MetricName.RECALL100: "found_at_100",
}
