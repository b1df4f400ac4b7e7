"""Records in the form of the leaderboard: arrays as codes, and their numbers.

A leaderboard holds thousands of cells, and their arrays as they were measured would be most of it by far. So shares
are kept in 24 levels, chosen so that their sums hardly move (`MOVED` in `coded_columns`); of ranks what is asked of
them. What no table compares query by query is sorted, which takes no room: AP@R and L2 distance. Of the pairs that a
system accepts, those at the false accept rate of the tables are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.measurement.metrics import ArrayScorer
from compatbench.records.record import Record
from compatbench.report.rows.acceptance import PREFERRED
from compatbench.storage.array_files import NAME, read_columns
from compatbench.storage.coded_columns import Coded, Form, block_bytes, codes_path
from compatbench.storage.files import write_whole
from compatbench.vocabulary import MetricName

_FORMS: dict[str, Form] = {
    **dict.fromkeys(("average_precision", "ap_at_r", "ap_at_100", "ndcg_at_10", "minimum", MetricName.MAP), "share"),
    **dict.fromkeys(("area", MetricName.CMC1), "coarse"),
}


def published(record: Record, arrays: Path, folder: Path) -> Record:
    """`record` with its arrays as codes in `folder`, and with the numbers that are computed from these.

    What takes labels or vectors, such as numbers of seen classes, stays as measured. Raises RequestError for unreadable
    arrays.
    """
    record = _at_one_rate(record)
    files: dict[str, str] = {}
    unordered = {one.array for one in record.arrays if one.distance == "l2"}
    for sha256 in record.array_files:
        names = list(dict.fromkeys(one.array for one in record.array_entries if one.array.startswith(sha256)))
        found = {name: read_columns(arrays, name) for name in names}
        largest_first = sorted(found, key=lambda name: (name in unordered, -len(found[name]["ids"])))
        block = {name.partition("#")[2]: _coded(found[name], name in unordered) for name in largest_first}
        content = block_bytes(block)
        files[sha256] = hashlib.sha256(content).hexdigest()
        write_whole(codes_path(folder, files[sha256]), content)
    return rescored(record.stored(files), folder)


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


def _coded(columns: Mapping[str, NDArray[Any]], unordered: bool) -> dict[str, Coded]:
    rank: Form = "rank" if "ndcg_at_10" in columns else "hit"  # with which MRR@10 comes
    forms = _FORMS | {"first_rank": rank}
    coded = {name: Coded.of(one, forms.get(name, "exact")) for name, one in columns.items() if name != NAME}
    if "relevant" in coded:
        answered = np.flatnonzero(coded["relevant"].codes > 0)
        for name in coded.keys() - {"ids"} if unordered else {"ap_at_r"}:
            rows = np.arange(len(coded[name].codes))
            rows[answered] = answered[np.argsort(coded[name].codes[answered], kind="stable")]
            coded[name] = coded[name].at(rows)
    return coded


def rescored(record: Record, folder: Path) -> Record:
    """`record` with the numbers that its arrays in `folder` give."""
    scorer = ArrayScorer(folder)
    entries = scorer.by_cosine(record.arrays)
    curves = []
    for curve in record.backfill:
        ids = read_columns(folder, curve.array)["ids"]
        unchanged = entries[curve.gallery_generation, curve.gallery_generation]
        status_quo = float(unchanged.per_query(curve.metric)[unchanged.rows(ids)].mean())
        curves.append(curve.model_copy(update={"status_quo": status_quo}))
    record = record.model_copy(update={"backfill": curves})
    found = {metric.coordinates: metric for metric in scorer.metrics(record)}
    return record.model_copy(update={"metrics": [found.get(one.coordinates, one) for one in record.metrics]})
