"""The comparison itself: split, fit, score, conclude."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from compatbench.comparison.backfill_curve import Searched, backfill_curves
from compatbench.comparison.comparison import (
    FULL_BACKFILL,
    ORACLE,
    STATUS_QUO,
    UNADAPTED,
    Comparison,
    Inputs,
    Outcome,
)
from compatbench.comparison.costs import Backfill
from compatbench.comparison.effort import Effort
from compatbench.comparison.fitting import Fit, choose_adapters
from compatbench.comparison.index_check import index_notices
from compatbench.comparison.inputs import PairedItems, length_notices
from compatbench.comparison.numbers import acceptance_numbers, gain_p_values, retrieval_numbers, tax
from compatbench.comparison.side_by_side import Watch, fit_all
from compatbench.comparison.split import FitSplit, make_split
from compatbench.comparison.systems import Sides, build_systems, query_milliseconds, self_test
from compatbench.comparison.verdict import best_adapter, conclusion
from compatbench.data.vectors.notices import Notice
from compatbench.data.vectors.pairing import Rows
from compatbench.errors import RequestError, check_number
from compatbench.evaluation.arrays import METRICS, RETRIEVAL, QueryResults
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.ranks import CUT
from compatbench.evaluation.relevance import Relevance
from compatbench.evaluation.scoring import System, score, waiting_queries
from compatbench.evaluation.thresholds import ThresholdTransfer
from compatbench.generations.adapters import PairedVectors
from compatbench.machine.stopwatch import Stopwatch
from compatbench.records.environment import environment
from compatbench.vocabulary import FitOn, MethodKind, MetricName, Role, Similarity

CHUNK_ITEMS = 2**14, 2**17
"""Gallery items scored at once: as many as a query has relevant ones, within these bounds."""
BLOCK_SCORES = 2**25
QUERIES, QUERY_ITEMS = 2000, 4 * 10**8
"""Scored at most, and the most pairs of a query with an item; 200 queries for two million items."""
SAMPLED_QUERIES, SAMPLED_PAIRS = 1000, 2**27
"""At most so many of the first queries, and of their pairs with the whole gallery, are looked at for thresholds."""

REFERENCES = {
    STATUS_QUO: "the old model, unchanged: old queries on the old index",
    FULL_BACKFILL: "every item re-embedded: new queries on a new index",
    UNADAPTED: "new queries on the old index, unmapped (cut or zero-padded to its dimensions)",
    ORACLE: "queries that know the answer: the mean of their relevant items' old vectors",
}


@dataclass(frozen=True)
class Settings:
    """Limits of a comparison."""

    queries: int | None = None
    """Scored at most, drawn at random; the gallery is whole but for the fitting part. None: `usual_queries`."""
    fit_pairs: int = 10_000
    """Items to fit on at most, and at most half of all."""
    effort: Effort = Effort.QUICK
    metric: MetricName = MetricName.MAP
    """Systems are judged by it."""
    costs: Backfill | None = None
    similarity: Similarity = Similarity.COSINE
    fit_on: FitOn = FitOn.DOCUMENTS
    seed: int = 0
    adapters: tuple[str, ...] = ()
    """All, where none is named."""
    method_folders: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.queries is not None:
            check_number("queries", self.queries, 1)
        check_number("fit_pairs", self.fit_pairs, 1)
        check_number("seed", self.seed, 0)


def compare(
    gallery: PairedItems,
    queries: PairedItems | None,
    relevance: Relevance,
    settings: Settings,
    command: str,
    device: torch.device,
    stages: Stopwatch,
    watch: Watch = lambda progress: None,
) -> tuple[Comparison, dict[str, QueryResults]]:
    """Fit every adapter on one part of the items, score all systems on the other, and conclude.

    Returns the comparison and the per-query results of its rows. Raises RequestError where the data do not allow one.
    """
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    _check_metric(settings.metric, relevance)
    adapters = choose_adapters(settings.adapters, settings.method_folders)
    asked = gallery if queries is None else queries
    if queries is not None and (queries.old.dim, queries.new.dim) != (gallery.old.dim, gallery.new.dim):
        raise RequestError(
            f"queries have {queries.old.dim} (old) and {queries.new.dim} (new) dimensions, items {gallery.old.dim} and "
            f"{gallery.new.dim}: embed both by the same two models"
        )
    with stages.stage("split"):
        if queries is None and settings.fit_on is not FitOn.DOCUMENTS:
            raise RequestError(
                f"--fit-on {settings.fit_on} takes queries of their own: --old-queries and --new-queries"
            )
        most = settings.queries or usual_queries(relevance.items)
        split = make_split(relevance, settings.fit_pairs, most, settings.seed, settings.fit_on)
        if len(split.gallery) > CHUNK_ITEMS[0]:  # the scorer's second pass ends with the last relevant item
            late = ~np.isin(split.gallery, relevance.columns_of(split.queries))
            split = replace(split, gallery=split.gallery[np.argsort(late, kind="stable")])
    with stages.stage("check"):  # of items that are enough
        notices = [*_notices(gallery, queries, settings), *index_notices(gallery, settings.seed)]
    with stages.stage("fit"):
        pairs = _pairs(gallery, asked, relevance, split, device)
        fits = fit_all(adapters, pairs, settings.effort, settings.seed, settings.method_folders, watch)
    with stages.stage("score"):
        sides = Sides.of(asked, split.queries)
        searched = relevance.among(split.gallery, split.queries)
        times = {fit.plugin.name: query_milliseconds(fit.adapter, sides.new, sides.old) for fit in fits if fit.adapter}
        usual = _usual_length(gallery, asked, split)
        systems, chunks = build_systems(fits, sides, searched, gallery, split.gallery, settings.similarity, usual)
        scored = partial(
            score,
            chunks=chunks,
            chunk_items=int(np.clip(searched.widest, *CHUNK_ITEMS)),
            block_scores=BLOCK_SCORES,
            device=device,
            members=None if gallery.documents is None else gallery.documents.sizes(split.gallery),
        )
        transfer = _transfer(systems, searched, split.queries, scored)
        results = scored(systems, relevance=searched, ids=split.queries, transfer=transfer)
    with stages.stage("intervals"):
        outcomes = _outcomes(fits, results, transfer, times, settings.metric)
    with stages.stage("backfill"):
        best = best_adapter(outcomes, settings.metric)
        among = split.queries, searched, gallery, split.gallery
        on = Searched(systems, chunks, *among, settings.metric, settings.seed, results)
        curves = backfill_curves(on, next((fit for fit in fits if best and fit.plugin.name == best.name), None))
    found = Comparison(
        inputs=_inputs(gallery, queries, relevance),
        parts=split.counts,
        similarity=settings.similarity,
        fit_on=settings.fit_on,
        seed=settings.seed,
        effort=settings.effort,
        metric=settings.metric,
        rates=sorted(transfer.rates, reverse=True),
        outcomes=outcomes,
        verdict=conclusion(outcomes, settings.metric),
        notices=notices,
        curves=curves,
        costs=settings.costs,
        command=command,
        environment=environment(),
        started=started,
        timings=stages.seconds,
    )
    return found, results


def usual_queries(items: int) -> int:
    """How many queries are scored if nothing is said: 2,000, and fewer where they have very many items to search."""
    return max(1, min(QUERIES, QUERY_ITEMS // items))


def _check_metric(metric: MetricName, relevance: Relevance) -> None:
    known: tuple[MetricName, ...] = RETRIEVAL
    if relevance.by_label:
        known = (*METRICS, MetricName.MAP_AT_100) if relevance.widest > CUT else METRICS
    if metric not in known:
        why = "takes classes of more than 100 items" if metric == MetricName.MAP_AT_100 else "takes --qrels"
        raise RequestError(f"--metric {metric} {why}; there are {', '.join(known)} here")


def _transfer(
    systems: Mapping[str, System], searched: Relevance, queries: Rows, scored: Callable[..., dict[str, QueryResults]]
) -> ThresholdTransfer:
    """Of the first queries, with the thresholds of the status quo."""
    most = SAMPLED_QUERIES, max(1, SAMPLED_PAIRS // searched.items), waiting_queries(searched, len(systems))
    first = np.arange(min(len(queries), *most))
    tuned = ThresholdTransfer([STATUS_QUO], searched[first], queries[first], STATUS_QUO)
    if len(tuned):
        stored = System(systems[STATUS_QUO].queries[: len(first)], systems[STATUS_QUO].gallery)
        scored({STATUS_QUO: stored}, relevance=searched[first], ids=queries[first], transfer=tuned)
    return ThresholdTransfer(systems, searched[first], queries[first], STATUS_QUO, tuned.thresholds[STATUS_QUO])


def _pairs(
    gallery: PairedItems, asked: PairedItems, relevance: Relevance, split: FitSplit, device: torch.device
) -> PairedVectors:
    """The items and queries that adapters are fitted on."""
    parts = [(gallery, gallery.rows_of(split.fit))]
    if len(split.fit_queries):
        parts.append((asked, split.fit_queries))
    new = torch.cat([items.new_vectors(rows) for items, rows in parts])
    old = torch.cat([items.old_vectors(rows) for items, rows in parts])
    classes = None
    if relevance.by_label:
        labels = np.concatenate([items.labels[rows] for items, rows in parts if items.labels is not None])
        classes = torch.from_numpy(np.unique(labels, return_inverse=True)[1]).to(device)
    return PairedVectors(new.to(device), old.to(device), classes)


def _notices(gallery: PairedItems, queries: PairedItems | None, settings: Settings) -> list[Notice]:
    lengths = length_notices(gallery) if settings.similarity is Similarity.COSINE else ()
    return [*gallery.notices, *(() if queries is None else queries.notices), *lengths]


def _usual_length(gallery: PairedItems, asked: PairedItems, split: FitSplit) -> float:
    """The median length of the old vectors that adapters are fitted on, at most 1,000 of them."""
    items, rows = (asked, split.fit_queries) if len(split.fit_queries) else (gallery, gallery.rows_of(split.fit))
    return float(np.median(np.linalg.norm(items.raw_old(rows[:1000]), axis=1)))


def _outcomes(
    fits: list[Fit],
    results: dict[str, QueryResults],
    transfer: ThresholdTransfer,
    times: dict[str, float],
    metric: MetricName,
) -> list[Outcome]:
    fitted = [fit.plugin.name for fit in fits if fit.adapter]
    retrieval = retrieval_numbers(results)
    accepted = acceptance_numbers(
        {name: transfer.acceptance(name, transferred=False) for name in results},
        {name: transfer.acceptance(name, transferred=True) for name in results},
    )
    numbers = {name: retrieval[name] | accepted[name] for name in results}
    for name in fitted:
        after = self_test(name)
        if after in results:
            found = numbers[after][metric], tax(results, name, after, metric)
        else:
            found = numbers[FULL_BACKFILL][metric], Estimate(0.0, 0.0, 0.0)
        numbers[name] |= dict(zip((f"self:{metric}", f"tax:{metric}"), found, strict=True))
    p_values = gain_p_values(results, fitted, metric)
    rows = [
        Outcome(name=name, role=Role.REFERENCE, summary=text, metrics=numbers[name])
        for name, text in REFERENCES.items()
        if name in numbers
    ]
    for fit in fits:
        name = fit.plugin.name
        row = Outcome(name=name, role=MethodKind.ADAPTER, summary=fit.plugin.summary, skipped=fit.reason)
        if fit.adapter is not None:
            row.needs = sorted(fit.adapter.needs)
            row.pairs, row.fit_seconds, row.query_ms = fit.pairs, fit.seconds, times[name]
            row.changes = fit.changes
            row.p_value, row.metrics = p_values[name], numbers[name]
        rows.append(row)
    return rows


def _inputs(gallery: PairedItems, queries: PairedItems | None, relevance: Relevance) -> Inputs:
    labels = gallery.labels if relevance.by_label else None
    return Inputs(
        old=Path(gallery.old.name).name,
        new=Path(gallery.new.name).name,
        old_queries=None if queries is None else Path(queries.old.name).name,
        new_queries=None if queries is None else Path(queries.new.name).name,
        judged_by="labels" if relevance.by_label else "qrels",
        items=len(gallery.searched),
        vectors=None if gallery.documents is None else len(gallery),
        old_dim=gallery.old.dim,
        new_dim=gallery.new.dim,
        classes=None if labels is None else len(np.unique(labels)),
    )
