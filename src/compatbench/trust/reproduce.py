"""Re-runs a recorded cell from nothing, and compares the result with the record."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from compatbench.discovery import datasets
from compatbench.discovery.plugins import Catalogue, discover
from compatbench.errors import RequestError
from compatbench.evaluation.arrays import RETRIEVAL
from compatbench.execution.cell import RunContext
from compatbench.execution.executor import Watcher
from compatbench.execution.local import LocalExecutor
from compatbench.plan.cells import Cell
from compatbench.records.environment import environment
from compatbench.records.parts import Metric
from compatbench.records.record import Measurements, Record, read_record, write_record
from compatbench.records.store import Store
from compatbench.trust.environments import why_not_exact
from compatbench.trust.published import published
from compatbench.vocabulary import MetricName, Status

TOLERANCE, HITS = 0.01, 5
"""Of mAP and mAP@R, where other arithmetic trains other models of the same recipe: twice the largest difference that
was measured (docs/trust.md). Of a hit rate, which turns on one item a query, HITS times as much."""
ROUNDED = 2e-4
"""Of a mean on the leaderboard: the first 1,389 records were published in levels, and what was measured is gone."""
MEANS = (MetricName.MAP, MetricName.MAP_AT_R)

REPRODUCED = ("status", *(part for part in Measurements.model_fields if part not in ("search", "costs", "step_costs")))
"""Parts of a record that follow from its spec; the others are times, and where and when it ran."""


@dataclass(frozen=True)
class Reproduction:
    """A re-run of a recorded cell."""

    again: Record
    inexact: str
    """Why it may differ in the last bits; empty where it may not: on a CPU of one kind, with the same versions."""
    apart: tuple[float, float]
    """Largest difference from the record of mAP or mAP@R, and of a hit rate."""
    differences: list[str]
    """Empty where the record was reproduced."""
    tolerance: float = TOLERANCE
    """What means may differ by where it is inexact."""


def reproduce(
    record: Record,
    context: RunContext,
    watcher: Watcher,
    *,
    tolerance: float = TOLERANCE,
    timeout_seconds: float,
    coarse: bool = False,
) -> Reproduction:
    """Run the cell of `record` in `context`, with an empty folder of runs, and compare.

    On a CPU of the record's kind, with its versions, every number must be the same to the last bit; elsewhere scores
    may differ by `tolerance`. Raises RequestError where method or data are no longer those of the record.

    A `coarse` record is one of a leaderboard; the new one is brought to the same form.
    """
    check_same_inputs(record, discover(context.method_folders), context)
    if record.status is Status.SKIPPED:
        raise RequestError(f"this cell was skipped, so there is nothing to reproduce: {record.reason}")
    [again] = LocalExecutor(context, 1, timeout_seconds).run([Cell(record.spec, None)], watcher)
    if coarse:
        arrays, path = Store(context.runs).arrays, context.runs / "published.json"
        write_record(published(again, arrays, arrays), path)
        again = read_record(path)  # rounded as records are
    inexact = why_not_exact(record.environment, again.environment)
    found = list(_differences(record, again, tolerance) if inexact else _exact_differences(record, again))
    if found and coarse and not inexact:
        inexact, tolerance = "what was measured was rounded before it was published", ROUNDED
        found = list(_differences(record, again, tolerance))
    return Reproduction(again, inexact, _apart(record, again), found, tolerance)


def drawn(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """So many of the records that have results, drawn by `seed`, whatever their order."""
    finished = sorted((one for one in records if one.status is Status.OK), key=lambda one: one.spec_hash)
    return random.Random(seed).sample(finished, min(count, len(finished)))


def threads_of(record: Record) -> int:
    """Threads for the new run: those of the recorded run, but never more than this machine has."""
    return min(record.environment.cpu_threads, environment().cpu_threads)


def check_same_inputs(record: Record, catalogue: Catalogue, context: RunContext) -> None:
    """Raise RequestError if the method's source or the data are not those of `record`."""
    spec = record.spec
    plugin = catalogue.get(spec.method.name)
    if plugin.source_hash != spec.method.source_hash:
        commit = f" {record.environment.git_sha[:12]}" if record.environment.git_sha else ""
        raise RequestError(
            f"method '{plugin.name}' is not the one of the record: its source changed; check out the commit{commit} "
            "that the record names, and run this there"
        )
    datasets.get(spec.dataset, context.data, lambda line: None, spec.dataset_options, context.dataset_folders)


def _exact_differences(record: Record, again: Record) -> Iterator[str]:
    one, other = (json.loads(each.model_dump_json(include=set(REPRODUCED))) for each in (record, again))
    for part in REPRODUCED:
        if part == "convergence" and not one[part]:
            continue  # not in the first records
        if _text(one[part]) != _text(other[part]):
            yield _first_difference(one[part], other[part], part)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)  # in which NaN equals itself


def _first_difference(one: object, other: object, at: str) -> str:
    """The first place at which two unequal JSON values differ, with what stands there."""
    pairs: list[tuple[str, object, object]] = []
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(key, one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(row), *pair) for row, pair in enumerate(zip(one, other, strict=True))]
    for part, before, after in pairs:
        if _text(before) != _text(after):
            return _first_difference(before, after, f"{at}.{part}")
    return f"{at} was {str(one)[:80]}, is {str(other)[:80]}"


def _scores(record: Record) -> dict[Any, Metric]:
    """Entries of the compatibility matrix: what derives from them, such as a ratio, has no tolerance of its own."""
    return {one.coordinates: one for one in record.metrics if one.name in RETRIEVAL}


def _apart(record: Record, again: Record) -> tuple[float, float]:
    found, largest = _scores(again), [0.0, 0.0]
    for at, metric in _scores(record).items():
        other = found[at].value if at in found else None
        if metric.value is not None and other is not None:
            hits = metric.name not in MEANS
            largest[hits] = max(largest[hits], abs(metric.value - other))
    return largest[0], largest[1]


def _differences(record: Record, again: Record, tolerance: float) -> Iterator[str]:
    for part in ("status", "split_hash", "parents"):
        if getattr(record, part) != getattr(again, part):
            yield f"{part} was {getattr(record, part)}, is {getattr(again, part)}"
    found, scores = _scores(again), _scores(record)
    for (name, *at), metric in scores.items():
        where, other = f"{name}{tuple(at)}", found.get(metric.coordinates)
        if other is None or other.n != metric.n:
            yield f"{where} is missing, or over other queries"
        elif metric.value is None or other.value is None:
            if metric.value is not other.value:
                yield f"{where} was {metric.value}, is {other.value}"
        elif abs(metric.value - other.value) > tolerance * (1 if name in MEANS else HITS):
            yield f"{where} was {metric.value:.4f}, is {other.value:.4f}"
