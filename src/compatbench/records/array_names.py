"""Names of a cell's arrays, and in which of its two files they lie: both follow from what they are of."""

from __future__ import annotations

from compatbench.records.parts import ORACLE

BACKFILLED = "backfilled"
"""Each query's mean over a whole backfill."""


def is_shared(query: str, gallery: str) -> bool:
    """Whether the entry is of the old or an independent model alone, which methods of a scenario and seed share."""
    return query == ORACLE or (query == gallery and (query == "0" or query.startswith("*")))


def entry_array(query: str, gallery: str, distance: str = "cosine") -> str:
    """M(1,0), by the names of generations."""
    return f"M({query},{gallery}){' by L2' if distance == 'l2' else ''}"


def curve_array(order: str) -> str:
    """Of a backfill curve."""
    return f"backfill {order}"


def threshold_array(query: str, gallery: str, rate: float, *, transferred: bool) -> str:
    """Of the pairs that a system accepts."""
    return f"{entry_array(query, gallery)} at {rate:g}{', old' if transferred else ''}"
