"""Records and per-query arrays made of plain numbers, so that tests know every result beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.curves import BackfillMeans, CurvePoints, QueryCurves
from compatbench.records.parts import ArrayRef, BackfillCurve, BackfilledQueries, Environment, Metric
from compatbench.records.record import CellSpec, MethodInfo, Record, Status
from compatbench.report.render.table import Table, interval, value
from compatbench.storage.array_files import write_arrays
from compatbench.storage.canonical import digest

PAIRS = {"oo": ("0", "0"), "no": ("1", "0"), "nn": ("1", "1"), "ss": ("*1", "*1"), "oracle": ("oracle", "0")}

Precisions = Mapping[str, Sequence[float]]
"""Average precision of each query, by entry of the matrix: oo, no, nn, ss, oracle."""


class Bench:
    """Makes the records of one suite; their arrays lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record(
        self,
        label: str,
        seed: int,
        precisions: Precisions | None = None,
        *,
        name: str | None = None,
        role: str = "method",
        needs: Sequence[str] = (),
        expects: Sequence[str] = (),
        setting: str | None = None,
        status: Status = Status.OK,
        reason: str = "",
        costs: Mapping[str, float | None] = {},
        extra: Sequence[Metric] = (),
        scenario: str = "extended_data",
        **changes: Any,
    ) -> Record:
        """A record whose queries score `precisions`; a query's first hit is relevant where its AP is 0.5 or more.

        In the mean over a random backfill they score 0.6 M(n,o) + 0.4 M(n,n), so A = 0.6 Γ + 0.4 Φ.
        """
        spec = CellSpec(
            suite="synthetic",
            dataset="toy",
            dataset_fingerprint="f" * 64,
            image_size=16,
            train_limit=None,
            scenario=scenario,
            generations=[{"backbone": "small", "dim": 8}, {"backbone": "large", "dim": 8}],
            recipe={"epochs": 1},
            method=MethodInfo(
                name=name or label,
                label=label,
                params={},
                role=role,
                needs=list(needs),
                expects=list(expects),
                kind="training",
                setting=setting,
                source_hash=digest(label),
            ),
            seed=seed,
        )
        record = Record(
            status=status,
            reason=reason,
            spec_hash=digest(spec.model_dump(mode="json")),
            spec=spec,
            split_hash="c" * 64 if status is Status.OK else "",
            metrics=list(extra),
            costs=dict(costs),
            environment=Environment(python="3.11.2", packages={}, cpu="one", cpu_threads=1),
            command=f"compatbench run synthetic --methods {label} --seeds {seed}",
            started="2026-01-02T03:04:05+00:00",
            seconds=1.0,
        )
        for pair, values in (precisions or {}).items():
            query, gallery = PAIRS[pair]
            name = f"{write_arrays(self.folder, {pair: results(values).columns})}#{pair}"
            record.arrays.append(ArrayRef(query_generation=query, gallery_generation=gallery, array=name))
        if precisions and len(precisions["no"]) == len(precisions["nn"]):
            means = (0.6 * np.asarray(precisions["no"]) + 0.4 * np.asarray(precisions["nn"])).astype(np.float32)
            stored = BackfillMeans(np.arange(len(means)), {"mAP": means, "CMC@1": means})
            name = f"{write_arrays(self.folder, {'backfilled': {'ids': stored.ids, **stored.values}})}#backfilled"
            ref = BackfilledQueries(query_generation="1", gallery_generation="0", repeats=3, array=name)
            record.backfilled.append(ref)
        return record.model_copy(update=changes)


def add_curves(
    bench: Bench,
    record: Record,
    order: str,
    curves: Sequence[Sequence[float]],
    *,
    spread: float = 0.0,
    ids: Sequence[int] | None = None,
) -> Record:
    """Let the record's queries follow `curves`, one a query, with M(β) at β = 0, …, 1 in equal steps."""
    values = np.asarray(curves, dtype=np.float32)
    betas = tuple(np.linspace(0, 1, values.shape[1]).tolist())
    stored = QueryCurves(
        np.arange(len(values)) if ids is None else np.asarray(ids), betas, {"mAP": values, "CMC@1": values}
    )
    mean = stored.curve("mAP")
    sha256 = write_arrays(bench.folder, {"curve": CurvePoints.of(stored).columns})
    record.backfill.append(
        BackfillCurve(
            order=order,
            metric="mAP",
            query_generation="1",
            gallery_generation="0",
            repeats=3,
            n=len(values),
            status_quo=0.5,
            beta=list(betas),
            mean=mean.tolist(),
            low=(mean - spread).tolist(),
            high=(mean + spread).tolist(),
            minimum_beta=betas[int(mean.argmin())],
            array=f"{sha256}#curve",
        )
    )
    return record


def results(precisions: Sequence[float]) -> QueryResults:
    """Per-query results with these average precisions."""
    ap = np.asarray(precisions, dtype=np.float32)
    return QueryResults(
        ids=np.arange(len(ap), dtype=np.int64),
        first_rank=np.where(ap >= 0.5, 1, 7).astype(np.int32),
        average_precision=ap,
        ap_at_r=ap,
        relevant=np.full(len(ap), 5, dtype=np.int32),
    )


def at_chance(cross: float, mean: float = 0.125, spread: float = 0.05) -> list[Metric]:
    """The metrics of a cross-test beside random rotations of its queries."""
    found = {"chance_cross": cross, "chance_spread": spread, "chance_skew": 0.0}
    level = cross_metric("chance:mAP", mean, ci_low=0.0, ci_high=2 * mean)
    return [level, *(cross_metric(f"{name}:mAP", value) for name, value in found.items())]


def cross_metric(name: str, value: float | None, **fields: Any) -> Metric:
    """A metric of M(n,o)."""
    return Metric(name=name, query_generation="1", gallery_generation="0", value=value, n=4, **fields)


def written(table: Table) -> dict[str, dict[str, str]]:
    """Cells as text by row name and column key; bold between asterisks."""
    found: dict[str, dict[str, str]] = {}
    for group in table.groups:
        for row in group.rows:
            cells = {}
            for column in table.columns:
                cell = row.cell(column)
                text = value(cell, column.unit)
                parts = [f"*{text}*" if cell.bold else text, interval(cell, column.unit), *cell.marks]
                cells[column.key] = " ".join(part for part in parts if part)
            found[row.cell(table.label).value] = cells
    return found
