"""Arrays in Parquet files, such as the per-query results of one entry of the compatibility matrix.

Every score of a record can be recomputed from these arrays. Knows nothing of torch.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from compatbench.data.id_lookup import IdLookup
from compatbench.errors import RequestError
from compatbench.storage.bounded_parquet import read_bounded
from compatbench.storage.files import write_whole
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


class Columns:
    """Base of dataclasses of arrays (N,), with a file of one column for each."""

    def write(self, folder: Path) -> str:
        """Write to `folder/<sha256>.parquet`, see `write_columns`, and return the sha256."""
        return write_columns(folder, {name: array for name, array in vars(self).items() if array is not None})

    @classmethod
    def read(cls, folder: Path, sha256: str) -> Self:
        """Read the file of `write`.

        Raises RequestError where the file is missing, its bytes have another hash, or it is another kind of array.
        """
        columns = read_columns(folder, sha256)
        try:
            return cls(**columns)
        except (TypeError, ValueError) as error:
            raise RequestError(f"{array_path(folder, sha256)}: no {cls.__name__}: {error}") from error


@dataclass(frozen=True, eq=False)
class QueryResults(Columns):
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


_FIELDS = {
    MetricName.MAP: "average_precision",
    MetricName.MAP_AT_R: "ap_at_r",
    MetricName.MAP_AT_100: "ap_at_100",
    MetricName.NDCG10: "ndcg_at_10",
    MetricName.RECALL10: "found_at_10",
    MetricName.RECALL100: "found_at_100",
}


def write_columns(folder: Path, columns: Mapping[str, NDArray[Any]]) -> str:
    """Write columns (N,) to `folder/<sha256>.parquet`, whole or not at all, and return the sha256 of its bytes.

    Equal columns give equal bytes under one version of pyarrow.
    """
    sink = io.BytesIO()
    pq.write_table(
        pa.table(dict(columns)),
        sink,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        column_encoding={
            name: "DELTA_BINARY_PACKED" if column.dtype.kind == "i" else "BYTE_STREAM_SPLIT"
            for name, column in columns.items()
        },
    )
    content = sink.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    write_whole(array_path(folder, sha256), content)  # also over a file of this name, which may be damaged
    return sha256


def read_columns(folder: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """Read the file of `write_columns`. Raises RequestError if it is missing or its bytes have another hash."""
    path = array_path(folder, sha256)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: per-query arrays not readable ({error.strerror}); run the cell again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RequestError(f"{path}: per-query arrays were changed after they were written; run the cell again")
    table = read_bounded(content, str(path))
    return {name: table[name].to_numpy() for name in table.column_names}


def array_path(folder: Path, sha256: str) -> Path:
    """Path of the arrays of this hash in `folder`."""
    return folder / f"{sha256}.parquet"
