"""The comparison itself: split, fit, score, conclude."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from compatbench.compare.comparison import (
    FULL_BACKFILL,
    ORACLE,
    STATUS_QUO,
    UNADAPTED,
    Comparison,
    Inputs,
    Outcome,
)
from compatbench.compare.fitting import Fit, Pairs, choose_adapters, fit_within
from compatbench.compare.inputs import Items, Rows
from compatbench.compare.numbers import acceptance_numbers, gain_p_values, retrieval_numbers, tax
from compatbench.compare.relevance import RelevantItems
from compatbench.compare.split import make_split
from compatbench.compare.systems import build_systems, query_milliseconds, self_test
from compatbench.compare.verdict import verdict
from compatbench.errors import RequestError
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.streaming import Scored, score
from compatbench.machine.stopwatch import Stopwatch
from compatbench.records.environment import environment

REFERENCES = {
    STATUS_QUO: "the old model, left as it is: old queries on the old index",
    FULL_BACKFILL: "every item embedded again: new queries on a new index",
    UNADAPTED: "new queries on the old index, as they are (cut or zero-padded to its dimensions)",
    ORACLE: "queries at the mean of their relevant items' old vectors: a ceiling for any query map",
}


@dataclass(frozen=True)
class Settings:
    """What a comparison may take."""

    queries: int = 2000
    """Scored at most, drawn at random; the gallery is whole but for the fitting part."""
    fit_pairs: int = 10_000
    """Items to fit on at most, and at most half of all."""
    fit_seconds: float = 8.0
    """Allowed for fitting one adapter."""
    seed: int = 0
    adapters: tuple[str, ...] = ()
    """All, where none is named."""
    method_folders: tuple[Path, ...] = ()


def compare(
    gallery: Items,
    queries: Items | None,
    relevant_items: RelevantItems,
    settings: Settings,
    command: str,
    device: torch.device,
    stages: Stopwatch,
) -> tuple[Comparison, dict[str, QueryResults]]:
    """Fit every adapter on one part of the items, score all systems on the other, and conclude.

    Returns the comparison and the per-query results of its rows. Raises RequestError where the data do not allow one.
    """
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    adapters = choose_adapters(settings.adapters, settings.method_folders)
    asked = gallery if queries is None else queries
    if queries is not None and (queries.old.dim, queries.new.dim) != (gallery.old.dim, gallery.new.dim):
        raise RequestError(
            f"queries have {queries.old.dim} (old) and {queries.new.dim} (new) dimensions, items {gallery.old.dim} and "
            f"{gallery.new.dim}: embed both by the same two models"
        )
    with stages.stage("split"):
        split = make_split(relevant_items, settings.fit_pairs, settings.queries, settings.seed)
    with stages.stage("fit"):
        pairs = _pairs(gallery, relevant_items, split.fit, device)
        fits = [fit_within(plugin, pairs, settings.fit_seconds, settings.seed) for plugin in adapters]
    with stages.stage("score"):
        new, old = asked.new_vectors(split.queries), asked.old_vectors(split.queries)
        relevant = relevant_items.among(split.gallery, split.queries)
        times = {fit.plugin.name: query_milliseconds(fit.adapter, new, old) for fit in fits if fit.adapter}
        systems, chunks = build_systems(fits, new, old, relevant, gallery, split.gallery)
        scored = score(systems, chunks, relevant, split.queries.astype(np.int64), STATUS_QUO, device)
    with stages.stage("intervals"):
        outcomes = _outcomes(fits, scored, times)
    found = Comparison(
        inputs=_inputs(gallery, queries, relevant_items),
        parts=split.counts,
        seed=settings.seed,
        fit_seconds_allowed=settings.fit_seconds,
        rates=sorted(scored[STATUS_QUO].transferred, reverse=True),
        outcomes=outcomes,
        verdict=verdict(outcomes),
        command=command,
        environment=environment(),
        started=started,
        timings=stages.seconds,
    )
    return found, {name: one.results for name, one in scored.items()}


def _pairs(gallery: Items, relevant_items: RelevantItems, rows: Rows, device: torch.device) -> Pairs:
    classes = None
    if relevant_items.by_class and gallery.labels is not None:
        classes = torch.from_numpy(np.unique(gallery.labels[rows], return_inverse=True)[1]).to(device)
    return Pairs(gallery.new_vectors(rows).to(device), gallery.old_vectors(rows).to(device), classes)


def _outcomes(fits: list[Fit], scored: dict[str, Scored], times: dict[str, float]) -> list[Outcome]:
    results = {name: one.results for name, one in scored.items()}
    fitted = [fit.plugin.name for fit in fits if fit.adapter]
    retrieval = retrieval_numbers(results)
    verified = acceptance_numbers(
        {name: one.own_threshold for name, one in scored.items()},
        {name: one.transferred for name, one in scored.items()},
    )
    numbers = {name: retrieval[name] | verified[name] for name in results}
    for name in fitted:
        after = self_test(name)
        if after in results:
            numbers[name] |= {"self:mAP": numbers[after]["mAP"], "tax:mAP": tax(results, name, after)}
        else:
            numbers[name] |= {
                "self:mAP": numbers[FULL_BACKFILL]["mAP"],
                "tax:mAP": Estimate(0.0, 0.0, 0.0),
            }
    p_values = gain_p_values(results, fitted)
    rows = [
        Outcome(name=name, role="reference", summary=text, metrics=numbers[name]) for name, text in REFERENCES.items()
    ]
    for fit in fits:
        name = fit.plugin.name
        row = Outcome(name=name, role="adapter", summary=fit.plugin.summary, skipped=fit.reason)
        if fit.adapter is not None:
            row.needs = sorted(fit.adapter.needs)
            row.pairs, row.fit_seconds, row.query_ms = fit.pairs, fit.seconds, times[name]
            row.p_value, row.metrics = p_values[name], numbers[name]
        rows.append(row)
    return rows


def _inputs(gallery: Items, queries: Items | None, relevant_items: RelevantItems) -> Inputs:
    labels = gallery.labels if relevant_items.by_class else None
    return Inputs(
        old=Path(gallery.old.name).name,
        new=Path(gallery.new.name).name,
        old_queries=None if queries is None else Path(queries.old.name).name,
        new_queries=None if queries is None else Path(queries.new.name).name,
        judged_by="labels" if relevant_items.by_class else "qrels",
        items=len(gallery),
        old_dim=gallery.old.dim,
        new_dim=gallery.new.dim,
        classes=None if labels is None else len(np.unique(labels)),
    )
