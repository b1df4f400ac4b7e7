"""The parts of a record's file that differ from those of a record, for reading them and for the JSON Schema."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from compatbench.vocabulary import IndexKind, Order


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MetricGroup(_Model):
    """Numbers of one entry of the matrix over the same queries."""

    query: str
    gallery: str
    n: int
    subset: Literal["all", "seen", "unseen"] = "all"
    distance: Literal["cosine", "l2"] = "cosine"
    numbers: dict[str, list[int | float | None]] = Field(default_factory=dict)
    """By name: the value, and if it has an interval how far its ends lie below and above, in units of BOUND_DECIMALS.

    In the first records of this schema, and where they are not finite, the ends themselves.
    """
    seen: tuple[int, dict[str, float | None]] | None = None
    """Of some of the queries: how many they are, and values by name."""
    unseen: tuple[int, dict[str, float | None]] | None = None
    l2: dict[str, float | None] | None = None
    """Values by L2 distance, over all queries."""


class ThresholdGroup(_Model):
    """Thresholds of one system for several false accept rates."""

    query: str
    gallery: str
    transferred: bool = False
    queries: int
    thresholds: dict[str, float | tuple[float, str]] = Field(default_factory=dict)
    """By rate: the threshold, and the array if it has another name than those of cells.

    Missing where they are those of the first group, the old system's.
    """


class SearchGroup(_Model):
    """Indexes of one kind."""

    index: IndexKind
    k: int
    queries: int
    repeats: int
    systems: list[tuple[str, str, str, float, float, float, float, float, float]]
    """Generations of the queries, of the vectors, and of those it was trained on; then the numbers of SEARCH_NUMBERS.
    """


SEARCH_NUMBERS = "recall", "queries_per_second", "p50_ms", "p99_ms", "build_seconds", "bytes_per_vector"


class ExampleForm(_Model):
    """A query with what three systems find: sample ids, and a 1 for each that is relevant, else 0."""

    query: str
    gallery: str
    id: int
    old: tuple[list[int], str]
    cross: tuple[list[int], str]
    new: tuple[list[int], str]


class FlipGroup(_Model):
    """The worst flips of one system."""

    query: str
    gallery: str
    flips: list[tuple[int, list[int], str, list[int], str]]
    """Sample id, the first items of the old system and of the new one, each with a 1 where it is relevant, else 0."""


class CurveForm(_Model):
    """A backfill curve, in units of CURVE_DECIMALS."""

    repeats: int
    mean: list[int]
    low: list[int] | None = None
    """How far below the mean; missing, like `high`, if all are 0."""
    high: list[int] | None = None
    minimum_beta: float
    array: str | None = None
    """If it has another name than those of cells."""


class CurveGroup(_Model):
    """The backfill curves of one upgrade over the same queries."""

    query: str
    gallery: str
    metric: str
    n: int
    status_quo: float
    beta: Annotated[int, Field(ge=1, le=1000)] | list[float]
    """Into how many equal steps the shares from 0 to 1 are divided; a list if they are not equal."""
    orders: dict[Order, CurveForm]
