"""What a comparison is asked: items, queries and relevance, read and checked together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from numpy.typing import ArrayLike

from compatbench.comparison.inputs import PairedItems, read_items
from compatbench.comparison.relevance import by_class, read_qrels, shared_ids
from compatbench.data.vectors.embeddings import VectorSource
from compatbench.data.vectors.in_memory import JudgementSource
from compatbench.data.vectors.notices import Notice
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError
from compatbench.evaluation.relevance import Relevance


@dataclass(frozen=True)
class Sources:
    """Files, or arrays in memory."""

    old: VectorSource
    new: VectorSource
    labels: str | Path | ArrayLike | None = None
    qrels: str | Path | JudgementSource | None = None
    old_queries: VectorSource | None = None
    new_queries: VectorSource | None = None
    query_labels: str | Path | ArrayLike | None = None


@dataclass(frozen=True, eq=False)
class Request:
    """What is compared, and by what."""

    items: PairedItems
    queries: PairedItems | None
    """None where the items are their own queries."""
    relevance: Relevance
    notices: tuple[Notice, ...]


def check_sources(sources: Sources, options: InputOptions) -> None:
    """Raise RequestError where sources contradict each other, before any is read."""
    if (sources.old_queries is None) != (sources.new_queries is None):
        raise RequestError("queries are needed by both models: give --old-queries and --new-queries, or neither")
    by_class = sources.labels is not None or options.labels is not None or sources.query_labels is not None
    if sources.qrels is not None and by_class:
        raise RequestError("--qrels and --labels both say what is relevant: give one of them")


def read_request(sources: Sources, options: InputOptions) -> Request:
    """Read everything. Raises RequestError."""
    items = read_items(sources.old, sources.new, sources.labels, options)
    asked = None
    if sources.old_queries is not None and sources.new_queries is not None:
        alone = replace(options, group=None, of_queries=True)
        asked = read_items(sources.old_queries, sources.new_queries, sources.query_labels, alone)
    if sources.qrels is None:
        relevance, said = by_class(items, asked, options), shared_ids(items, asked, options) if asked else ()
    else:
        relevance, said = read_qrels(sources.qrels, items, asked, options)
    return Request(items, asked, relevance, said)
