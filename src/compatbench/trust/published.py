"""Records in the form of the leaderboard: sums over groups of queries, and the numbers that these give.

A leaderboard holds thousands of cells, and their arrays as they were measured would be most of it by far. So it keeps
sums over groups of queries that were drawn by chance, see `compatbench.storage.query_groups`: of every retrieval
number, of hits that an upgrade loses, of what a backfill does, and of the pairs that a system accepts at the false
accept rate of the tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.data.id_lookup import IdLookup
from compatbench.evaluation.acceptance import Acceptance
from compatbench.evaluation.arrays import RETRIEVAL, QueryResults
from compatbench.evaluation.curves import BackfillMeans, CurvePoints
from compatbench.evaluation.flips import CUTOFFS, FLIP_RATES, negative_flips
from compatbench.measurement.metrics import ArrayScorer
from compatbench.records.array_names import BACKFILLED
from compatbench.records.parts import ArrayRef, Metric
from compatbench.records.record import Record
from compatbench.report.rows.acceptance import PREFERRED
from compatbench.storage.array_files import read_columns
from compatbench.storage.files import write_whole
from compatbench.storage.group_sums import Numbers, block_bytes, sums_path
from compatbench.storage.query_groups import (
    count_of_groups,
    entry_column,
    group_of,
    is_inner,
    lost_column,
    most_groups,
)
from compatbench.vocabulary import DERIVED_FROM, MetricName, Order

Matrix = Mapping[tuple[str, str], tuple[str, QueryResults]]
"""Name of the array and results by query and gallery generation."""
Columns = dict[str, Numbers]


def published(record: Record, arrays: Path, folder: Path) -> Record:
    """`record` with its arrays as sums in `folder`, and with the numbers that are computed from these.

    What takes labels or vectors, such as numbers of seen classes, stays as measured. A record that is in this form
    already stays as it is. Raises RequestError for unreadable arrays.
    """
    record = _at_one_rate(record)
    there = {sha256: sums_path(arrays, sha256) for sha256 in record.array_files}
    if all(path.is_file() for path in there.values()):
        contents = {sha256: path.read_bytes() for sha256, path in there.items()}
    else:
        contents = _contents(record, arrays)
    files = {sha256: hashlib.sha256(content).hexdigest() for sha256, content in contents.items()}
    for sha256, content in contents.items():
        write_whole(sums_path(folder, files[sha256]), content)
    return rescored(record.stored(files), folder)


def _contents(record: Record, arrays: Path) -> dict[str, bytes]:
    """The files of sums in place of each file of arrays, by its sha256."""
    blocks: dict[str, dict[str, Columns]] = {}
    for reference, columns in _summed(record, arrays):
        sha256, _, name = reference.partition("#")
        block = blocks.setdefault(sha256, {})
        block[name] = block.get(name, {}) | columns
    return {sha256: block_bytes(block) for sha256, block in blocks.items()}


def _at_one_rate(record: Record) -> Record:
    """`record` with the pairs accepted at the false accept rate that tables show, and at no other."""
    there = {one.rate for one in record.verification}
    shown = next((rate for rate in PREFERRED if rate in there), None)
    numbers = MetricName.TAR, MetricName.TRANSFER_TAR, MetricName.TRANSFER_FAR
    gone = {name.at_rate(rate) for name in numbers for rate in there - {shown}}
    return record.model_copy(
        update={
            "verification": [one for one in record.verification if one.rate == shown],
            "metrics": [one for one in record.metrics if one.name not in gone],
        }
    )


def _summed(record: Record, arrays: Path) -> Iterator[tuple[str, Columns]]:
    """The columns of each array by its reference."""
    generations = len(record.spec.generations)
    most = most_groups(generations)
    found = {ref.array: QueryResults.read(arrays, ref.array) for ref in record.arrays}
    cosine = [ref for ref in record.arrays if ref.distance == "cosine"]
    matrix = {ref.at: (ref.array.partition("#")[2], found[ref.array]) for ref in cosine}
    for ref in sorted(record.arrays, key=lambda ref: ref.distance == "cosine"):
        yield ref.array, _of_entry(ref, found[ref.array], matrix, generations)
    wholes = [(whole, BackfillMeans.read(arrays, whole.array)) for whole in record.backfilled]
    for curve in record.backfill:
        points = CurvePoints.read(arrays, curve.array)
        new, old = curve.at
        others = _of_others(points, ((old, old), (new, old), (new, new)), matrix, [curve.metric])
        for whole, means in wholes if curve.order is Order.RANDOM else ():
            rows = IdLookup(means.ids).rows(points.ids)
            if whole.at == curve.at and (rows >= 0).all():
                others[entry_column(BACKFILLED, curve.metric)] = means.values[curve.metric][rows]
        yield curve.array, _in_groups(points.ids, {"area": points.area, "minimum": points.minimum, **others}, most)
    for whole, means in wholes:
        new, old = whole.at
        ends = _of_others(means, ((old, old), (new, old), (new, new), (f"*{new}", f"*{new}")), matrix, DERIVED_FROM)
        own = {metric: means.values[metric][means.answerable] for metric in DERIVED_FROM}
        yield whole.array, _in_groups(means.ids[means.answerable], own | ends, most)
    for verified in record.verification:
        columns = Acceptance.read(arrays, verified.array).columns
        yield verified.array, _in_groups(columns.pop("ids"), columns, most)
    for scores in record.protocols:
        results = QueryResults.read(arrays, scores.array)
        yield scores.array, _of_queries(results, {name: results.per_query(name) for name in results.names}, most)
    for pairs in record.pairs:
        yield pairs.array, {name: Numbers.exact(one) for name, one in read_columns(arrays, pairs.array).items()}


def _of_entry(ref: ArrayRef, results: QueryResults, matrix: Matrix, generations: int) -> Columns:
    if ref.distance == "l2":  # of which no table says more than the mean
        return _of_queries(results, {name: results.per_query(name) for name in DERIVED_FROM}, most=1)
    inner = is_inner(*ref.at, generations)
    names = DERIVED_FROM if inner else results.names
    values = {name: results.per_query(name) for name in names} | {"relevant": results.relevant}
    newest = generations - 1
    if ref.query_generation == str(newest) and not inner:
        for place in sorted({0, newest - 1}):
            old = str(place), str(place)
            if old in matrix:
                name, before = matrix[old]
                values |= {lost_column(name, k): negative_flips(before, results, k) for k in CUTOFFS}
    return _of_queries(results, values, most_groups(generations))


def _of_others(
    followed: CurvePoints | BackfillMeans, entries: Iterable[tuple[str, str]], matrix: Matrix, metrics: Iterable[str]
) -> dict[str, NDArray[Any]]:
    """Numbers of entries of the matrix over the same queries, as far as there are such entries."""
    metrics = list(metrics)
    return {
        entry_column(matrix[at][0], metric): followed.of_entry(matrix[at][1], metric)
        for at in entries
        if at in matrix
        for metric in metrics
    }


def _of_queries(results: QueryResults, values: Mapping[str, NDArray[Any]], most: int) -> Columns:
    asked = results.answerable
    return _in_groups(results.ids[asked], {name: one[asked] for name, one in values.items()}, most)


def _in_groups(ids: NDArray[np.int64], values: Mapping[str, NDArray[Any]], most: int) -> Columns:
    groups = group_of(ids, count_of_groups(len(ids), most))
    sums = {str(name): Numbers.summed(one.astype(np.float64), groups) for name, one in values.items()}
    return {"ids": Numbers.exact(ids)} | sums


def rescored(record: Record, folder: Path) -> Record:
    """`record` with the numbers that its arrays in `folder` give, and without those that took more of an array."""
    scorer = ArrayScorer(folder)
    entries = scorer.by_cosine(record.arrays)
    curves = []
    for curve in record.backfill:
        unchanged = entries[curve.gallery_generation, curve.gallery_generation]
        before = CurvePoints.read(folder, curve.array).of_entry(unchanged, curve.metric)
        curves.append(curve.model_copy(update={"status_quo": float(before.mean())}))
    record = record.model_copy(update={"backfill": curves})
    found = {metric.coordinates: metric for metric in scorer.metrics(record)}
    there = [one for one in record.metrics if one.coordinates in found or not _is_of_arrays(one)]
    return record.model_copy(update={"metrics": [found.get(one.coordinates, one) for one in there]})


def _is_of_arrays(metric: Metric) -> bool:
    """Whether a number of all queries takes an array of the matrix alone: a retrieval number, or a rate of flips."""
    return metric.subset == "all" and metric.name in {*RETRIEVAL, *FLIP_RATES}
