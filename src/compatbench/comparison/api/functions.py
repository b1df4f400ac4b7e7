"""`compare`, `fit` and `load`: the commands, from Python. The old model always comes first."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike

from compatbench.comparison.api.keywords import by_keywords, errors_by_keywords
from compatbench.comparison.api.result import Result
from compatbench.comparison.api.serving_adapter import ServingAdapter
from compatbench.comparison.costs import backfill_costs
from compatbench.comparison.effort import Effort
from compatbench.comparison.evaluate import Settings
from compatbench.comparison.evaluate import compare as run
from compatbench.comparison.inputs import index_length_notices, read_items
from compatbench.comparison.numbers import metric_named
from compatbench.comparison.request import Sources, check_sources, read_request
from compatbench.data.vectors.embeddings import VectorSource
from compatbench.data.vectors.formats.registry import FORMATS
from compatbench.data.vectors.in_memory import JudgementSource
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError
from compatbench.generations import adapters as fitted_adapters
from compatbench.machine.stopwatch import Stopwatch
from compatbench.records.environment import device
from compatbench.storage.validation import check_keywords, several
from compatbench.vocabulary import FitOn, MetricName, Similarity

_Choice = TypeVar("_Choice", Effort, Similarity, FitOn)


class Reading(TypedDict, total=False):
    """How files and data frames are read; each is the option of the command with this name."""

    vectors: str
    ids: str
    group: str
    packed_bits: bool
    dims: int
    old_dims: int
    common: bool
    skip_bad_rows: bool
    skip_unknown: bool
    relevant_from: float
    separate_ids: bool


@errors_by_keywords()
def compare(
    old: VectorSource,
    new: VectorSource,
    labels: str | Path | ArrayLike | None = None,
    *,
    qrels: str | Path | JudgementSource | None = None,
    old_queries: VectorSource | None = None,
    new_queries: VectorSource | None = None,
    query_labels: str | Path | ArrayLike | None = None,
    adapters: str | Iterable[str] | None = None,
    queries: int | None = None,
    fit_pairs: int = 10_000,
    effort: str = Effort.QUICK,
    similarity: str = Similarity.COSINE,
    fit_on: str = FitOn.DOCUMENTS,
    metric: str = MetricName.MAP,
    items: int | str | None = None,
    tokens_per_item: float | None = None,
    price_per_million: float | None = None,
    items_per_second: float | None = None,
    seed: int = 0,
    methods: str | Path | Iterable[str | Path] | None = None,
    watch: Callable[[object], None] | None = None,
    **reading: Unpack[Reading],
) -> Result:
    """Keep the index, or re-embed everything? Fit every adapter between two models, and score each.

    `old` (N, D_o) and `new` (N, D_n) are the same items by both models: files, arrays, tensors, data frames, or
    mappings with `vectors`, `ids` and `labels`. `labels` (N,) is a column, a .npy file or an array in the order of
    `new`; `qrels` is a file of judgements, or {query: {document: grade}}. `watch` is called with the progress, for
    example `print`. The other options are those of `compatbench compare`. Raises RequestError, one line, for wrong
    input.
    """
    check_keywords(reading, _keywords(compare))
    labels, options = _options(labels, reading)
    sources = Sources(old, new, labels, qrels, old_queries, new_queries, query_labels)
    check_sources(sources, options)
    settings = Settings(
        queries,
        fit_pairs,
        _one_of(Effort, "effort", effort),
        metric_named(str(metric)),
        backfill_costs(None if items is None else str(items), tokens_per_item, price_per_million, items_per_second),
        _one_of(Similarity, "similarity", similarity),
        _one_of(FitOn, "fit_on", fit_on),
        seed,
        tuple(map(str, several(adapters, "adapters"))),
        _folders(methods),
    )
    stages = Stopwatch()
    with stages.stage("read"):
        request = read_request(sources, options)
    comparison, results = run(
        request.items,
        request.queries,
        request.relevance,
        settings,
        "compatbench.compare(...), from Python",
        device(),
        stages,
        watch or (lambda progress: None),
    )
    comparison.notices += request.notices
    return Result(comparison, results)


@errors_by_keywords()
def fit(
    method: str,
    old: VectorSource,
    new: VectorSource,
    labels: str | Path | ArrayLike | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    methods: str | Path | Iterable[str | Path] | None = None,
    **reading: Unpack[Reading],
) -> ServingAdapter:
    """Fit the adapter `method` between `old` (N, D_o) and `new` (N, D_n), given as to `compare`.

    Warns where old vectors differ in length. Raises RequestError, one line, for wrong input, an unknown method, and
    one that cannot be fitted here.
    """
    check_keywords(reading, _keywords(fit))
    if not isinstance(params, Mapping | None):
        raise RequestError(f"params are {params!r}: give {{name: value}}")
    labels, options = _options(labels, reading)
    items = read_items(old, new, labels, options, more_old=True)
    rows = np.arange(len(items))
    vectors = torch.from_numpy(items.raw_old(rows)), torch.from_numpy(items.raw_new(rows))
    found = fitted_adapters.fit(
        str(method), *vectors, items.labels, params=params, seed=seed, folders=_folders(methods)
    )
    for notice in index_length_notices(items):
        warnings.warn(by_keywords(notice.text), stacklevel=3)  # the decorator is between
    return ServingAdapter.of(found)


def load(path: str | Path, methods: str | Path | Iterable[str | Path] | None = None) -> ServingAdapter:
    """The adapter in a file of `ServingAdapter.save` or `compatbench fit`. Raises RequestError for anything else."""
    return ServingAdapter.of(fitted_adapters.load(Path(path), _folders(methods)))


def _keywords(function: Callable[..., object]) -> list[str]:
    return [*(name for name in inspect.signature(function).parameters if name != "reading"), *Reading.__annotations__]


def _options(
    labels: str | Path | ArrayLike | None, reading: Reading
) -> tuple[str | Path | ArrayLike | None, InputOptions]:
    """A word that is neither a file nor looks like one is the column of the labels."""
    if isinstance(labels, str) and Path(labels).suffix not in FORMATS and not Path(labels).exists():
        return None, InputOptions(labels=labels, **reading)
    return labels, InputOptions(**reading)


def _folders(methods: str | Path | Iterable[str | Path] | None) -> tuple[Path, ...]:
    return tuple(Path(str(one)) for one in several(methods, "methods"))


def _one_of(kind: type[_Choice], name: str, word: str) -> _Choice:
    try:
        return kind(word)
    except ValueError as error:
        raise RequestError(f"{name}={word!r}: there are {', '.join(kind)}") from error
