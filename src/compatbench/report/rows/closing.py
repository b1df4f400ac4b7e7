"""Reasons for a scenario without ranks: unconverged models, little to gain, few classes."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.evaluation.compatibility import LEAST_GAIN
from compatbench.records.parts import Convergence
from compatbench.report.rows.row import MethodRow
from compatbench.vocabulary import Entry

LEAST_CLASSES = 50
"""Of the queries, unless relevance is judged query by query: with few classes whole clusters land by luck."""


def closed(rows: Sequence[MethodRow], status_quo: MethodRow | None) -> tuple[str, ...]:
    """Why the scenario of `rows` ranks nobody, one line each; empty if it ranks."""
    return (*_unconverged(rows), *little_gain(status_quo), *_few_classes(rows))


def _unconverged(rows: Sequence[MethodRow]) -> list[str]:
    """Of the models that all rows share: the old one, and the independent ones."""
    seeds: dict[str, set[int]] = {}
    for record in (record for row in rows if not row.own_first_generation for record in row.runs.finished):
        for generation, found in record.convergence.items():
            if not found.converged and (generation == "0" or generation.startswith("*")):
                seeds.setdefault(generation, set()).add(record.spec.seed)
    return [
        f"{shared_model(generation)} has not converged with seed {', '.join(map(str, sorted(several)))}"
        for generation, several in sorted(seeds.items(), reverse=True)
    ]


def shared_model(generation: str) -> str:
    """The name of a model that all rows share, by its label in records."""
    if generation == "0":
        return "the old model"
    return "the independent new model" if generation == "*1" else f"the independent model {generation}"


def little_gain(status_quo: MethodRow | None) -> list[str]:
    """One line if a full backfill gains so little that shares of it are noise."""
    old, full = (status_quo.number(entry).value if status_quo else None for entry in (Entry.OLD, Entry.REFERENCE))
    if old is None or full is None or full - old >= LEAST_GAIN:
        return []
    return [f"a full backfill gains {100 * (full - old):.1f} points, and shares of less than 5 are noise"]


def _few_classes(rows: Sequence[MethodRow]) -> list[str]:
    known = {
        record.query_classes
        for row in rows
        for record in row.runs.finished
        if record.query_classes is not None and not record.judged
    }
    fewest = min(known, default=LEAST_CLASSES)
    return [] if fewest >= LEAST_CLASSES else [f"{fewest} classes, fewer than {LEAST_CLASSES}, and no judgements"]


def convergences(row: MethodRow) -> list[tuple[int, str, Convergence]]:
    """Seed, generation and convergence of the models that the row trained itself."""
    newest = str(len(row.runs.records[0].spec.generations) - 1)
    own = ("0", newest) if row.own_first_generation else (newest,)
    return [
        (record.spec.seed, generation, found)
        for record in row.runs.finished
        for generation in own
        if (found := record.convergence.get(generation)) is not None
    ]
