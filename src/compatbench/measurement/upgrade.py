"""Numbers from the matrix alone: compatibility numbers, flips, and the numbers of a whole chain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from compatbench.evaluation.chains import chain_estimates
from compatbench.evaluation.compatibility import compatibility
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.flips import CUTOFFS, flip_estimates
from compatbench.evaluation.grouped_results import GroupedResults, Results
from compatbench.measurement.numbers import metric
from compatbench.records.parts import Metric
from compatbench.storage.query_groups import is_inner
from compatbench.vocabulary import DERIVED_FROM

MatrixResults = Mapping[tuple[str, str], Results]
"""Per-query results by query and gallery generation."""


def upgrade_metrics(results: MatrixResults) -> Iterator[Metric]:
    """All numbers from the entries in `results`, in the order of a record."""
    generations = next(n for n in itertools.count() if (str(n), str(n)) not in results)
    steps = [(str(step), str(step - 1)) for step in range(1, generations)]
    for new, old in steps:
        if {(old, old), (new, old), (new, new), (f"*{new}", f"*{new}")} <= results.keys():
            yield from compatibility_metrics(results, new, old)
    if all({(old, old), (new, old), (new, new)} <= results.keys() for new, old in steps):
        for new, old in steps:
            in_groups = isinstance(results[new, old], GroupedResults)
            if not (in_groups and is_inner(new, old, generations)):
                yield from flip_metrics(results, new, old)
    triangle = [(str(query), str(gallery)) for query in range(generations) for gallery in range(query + 1)]
    if generations > 2 and set(triangle) <= results.keys():
        yield from chain_metrics({at: results[at] for at in triangle}, generations)


def compatibility_metrics(results: MatrixResults, new: str, old: str) -> Iterator[Metric]:
    """Compatibility numbers (protocol §3) of neighbouring generations; none if no query has an answer."""
    entries = [results[at] for at in ((old, old), (new, old), (new, new), (f"*{new}", f"*{new}"))]
    if not all(entry.answerable.any() for entry in entries):
        return
    scores = [entry.metrics() for entry in entries]
    for name in DERIVED_FROM:
        for number, value in compatibility(*(one[name] for one in scores)).items():
            yield metric(number.of(name), (new, old), Estimate(value), entries[0].count)


def flip_metrics(results: MatrixResults, new: str, old: str) -> Iterator[Metric]:
    """Flip rates of a generation against the one before: on its gallery, and on an own one after the backfill."""
    systems = {(new, gallery): [(results[old, old], results[new, gallery])] for gallery in (old, new)}
    for at, rates in flip_estimates(systems, CUTOFFS).items():
        for name, rate in rates.items():
            yield metric(name, at, rate, results[at].count)


def chain_metrics(results: MatrixResults, generations: int) -> Iterator[Metric]:
    """Numbers of a chain longer than one upgrade: AC by three tie rules, AM, BC and FC."""
    ends, n = (str(generations - 1), "0"), results["0", "0"].count
    for base in DERIVED_FROM:
        entries = {(int(query), int(gallery)): found.per_query(base) for (query, gallery), found in results.items()}
        for name, number in chain_estimates(entries).numbers.items():
            yield metric(f"{name}:{base}", ends, number, n)
