"""Backfill curves M(β), their per-query files, and the numbers read off them. Knows nothing of torch.

β is the share of the gallery that holds new vectors; M(0) is M(n,o) and M(1) is M(n,n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.errors import RequestError
from compatbench.evaluation.arrays import array_path, read_columns, write_columns
from compatbench.vocabulary import MetricName

BETAS = tuple(step / 20 for step in range(21))

STEP = 2**-16
"""Per-query values are multiples of it: it moves no mean by more than 8e-6, and takes a quarter off the files."""


@dataclass(frozen=True, eq=False)
class QueryCurves:
    """The results of each query during one backfill, or their average over several."""

    ids: NDArray[np.int64]
    """(Q,) sample ids of the queries."""
    betas: tuple[float, ...]
    """The S shares at which the gallery was searched."""
    values: Mapping[str, NDArray[np.float32]]
    """(Q, S) by DERIVED_FROM; NaN where nothing is relevant."""

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """(Q,) the queries with a relevant item, i.e. those that enter the curves."""
        return ~np.isnan(self.values[MetricName.MAP][:, 0])

    def per_query(self, metric: str) -> NDArray[np.float64]:
        """(A, S) curves of the answerable queries; their mean is the curve of `metric`."""
        return self.values[metric][self.answerable].astype(np.float64)

    def curve(self, metric: str) -> NDArray[np.float64]:
        """(S,) M(β): the mean over the answerable queries, at least one."""
        means: NDArray[np.float64] = self.per_query(metric).mean(axis=0)
        return means

    def write(self, folder: Path) -> str:
        """Write to `folder/<sha256>.parquet`, see `write_columns`, and return the sha256.

        One row for every query at every β, first all queries at the first one.
        """
        columns = {metric: values.T.ravel() for metric, values in self.values.items()}
        where = {"beta": np.repeat(self.betas, len(self.ids)), "ids": np.tile(self.ids, len(self.betas))}
        return write_columns(folder, where | columns)

    @classmethod
    def read(cls, folder: Path, sha256: str) -> QueryCurves:
        """Read the file of `write`.

        Raises RequestError where the file is missing, its bytes have another hash, or it is another kind of array.
        """
        columns = read_columns(folder, sha256)
        try:
            if "beta" not in columns:
                return cls(columns.pop("ids"), *_by_column_name(columns))
            betas = columns.pop("beta")
            queries = int((betas == betas[0]).sum())
            ids = columns.pop("ids")[:queries]
            values = {metric: np.ascontiguousarray(rows.reshape(-1, queries).T) for metric, rows in columns.items()}
            return cls(ids, tuple(betas[::queries].tolist()), values)
        except (KeyError, ValueError, IndexError) as error:
            raise RequestError(f"{array_path(folder, sha256)}: no backfill curves: {error}") from error


def _by_column_name(
    columns: Mapping[str, NDArray[np.float32]],
) -> tuple[tuple[float, ...], dict[str, NDArray[np.float32]]]:
    """Betas and values of the first files, which had one row a query and columns such as `mAP at 0.05`."""
    names = [name.split(" at ") for name in columns]
    betas = tuple(float(beta) for metric, beta in names if metric == names[0][0])
    values = {
        metric: np.stack([columns[f"{metric} at {beta}"] for beta in betas], axis=1)
        for metric in dict.fromkeys(metric for metric, _ in names)
    }
    return betas, values


def mean_curves(backfills: Sequence[QueryCurves]) -> QueryCurves:
    """Each query's average over several backfills of the same queries, in multiples of STEP."""
    first = backfills[0]
    means = {metric: np.mean([one.values[metric] for one in backfills], axis=0) for metric in first.values}
    return QueryCurves(first.ids, first.betas, {metric: np.rint(mean / STEP) * STEP for metric, mean in means.items()})


@dataclass(frozen=True, eq=False)
class BackfillMeans:
    """Each query's mean over β of a whole backfill, averaged over several backfills."""

    ids: NDArray[np.int64]
    """(Q,) sample ids of the queries."""
    values: Mapping[str, NDArray[np.float32]]
    """(Q,) by DERIVED_FROM; NaN where nothing is relevant."""

    @classmethod
    def of(cls, backfills: Sequence[QueryCurves]) -> BackfillMeans:
        """The means of backfills of the same queries: ∫ M(β) dβ of each query's curve, see `area`."""
        first = backfills[0]
        means = {
            metric: np.stack([area(one.betas, one.values[metric]) for one in backfills]).mean(axis=0).astype(np.float32)
            for metric in first.values
        }
        return cls(first.ids, means)

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """(Q,) the queries with a relevant item."""
        return ~np.isnan(self.values[MetricName.MAP])

    def write(self, folder: Path) -> str:
        """Write to `folder/<sha256>.parquet`, see `write_columns`, and return the sha256."""
        return write_columns(folder, {"ids": self.ids, **self.values})

    @classmethod
    def read(cls, folder: Path, sha256: str) -> BackfillMeans:
        """Read the file of `write`.

        Raises RequestError where the file is missing, its bytes have another hash, or it is another kind of array.
        """
        columns = read_columns(folder, sha256)
        if "ids" not in columns or MetricName.MAP not in columns:
            raise RequestError(f"{array_path(folder, sha256)}: no means of backfills")
        return cls(columns.pop("ids"), columns)


@dataclass(frozen=True)
class BackfillNumbers:
    """Summary of a backfill curve."""

    area: float
    """∫ M(β) dβ from 0 to 1 by the trapezoidal rule: the mean quality of a backfill at constant pace."""
    minimum: float
    minimum_beta: float
    """The smallest β at which the curve is at its minimum."""
    crossing: float | None
    """The smallest of the betas from which on the curve stays above M(o,o); None where it ends at or below it."""


def backfill_numbers(betas: ArrayLike, curve: ArrayLike, status_quo: float) -> BackfillNumbers:
    """Numbers of a curve (S,) at ascending `betas` (S,) from 0 to 1, against `status_quo` = M(o,o)."""
    shares, scores = np.asarray(betas, dtype=np.float64), np.asarray(curve, dtype=np.float64)
    lowest = int(scores.argmin())
    not_above = np.flatnonzero(scores <= status_quo)
    stays_from = int(not_above[-1]) + 1 if len(not_above) else 0
    return BackfillNumbers(
        area=float(area(shares, scores)),
        minimum=float(scores[lowest]),
        minimum_beta=float(shares[lowest]),
        crossing=float(shares[stays_from]) if stays_from < len(shares) else None,
    )


def area(betas: ArrayLike, curves: ArrayLike) -> NDArray[np.float64]:
    """∫ M(β) dβ of curves (…, S) by the trapezoidal rule."""
    from scipy.integrate import trapezoid

    return np.asarray(trapezoid(np.asarray(curves), np.asarray(betas), axis=-1), dtype=np.float64)
