"""The result of a comparison, as one JSON file. Knows nothing of torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from compatbench import PROTOCOL_VERSION
from compatbench.comparison.costs import Backfill
from compatbench.comparison.effort import Effort
from compatbench.data.vectors.notices import Notice
from compatbench.evaluation.estimate import Estimate
from compatbench.records.parts import Environment
from compatbench.vocabulary import FitOn, MethodKind, MetricName, Need, Order, Role, Similarity

SCHEMA_VERSION = 2


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Inputs(_Model):
    """The two compared files of embeddings."""

    old: str
    """File name."""
    new: str
    old_queries: str | None = None
    """Null where the items are their own queries."""
    new_queries: str | None = None
    judged_by: Literal["labels", "qrels"]
    items: int
    vectors: int | None = None
    """Null where each item has one."""
    old_dim: int
    new_dim: int
    classes: int | None
    """Null with relevance judgements."""


class Parts(_Model):
    """The use of items and queries: fitting, scoring, or excluded."""

    fitting_pairs: int
    """Items that adapters are fitted on, which are never scored."""
    fitting_pairs_of_queries: int = 0
    """How many of these are queries; the others are items."""
    searched_items: int
    searched_fitting_items: int = 0
    """Of these, relevant items that adapters were fitted on: without them judgements would be lost."""
    queries: int
    candidate_queries: int
    """Of which the queries are a random sample."""
    unanswerable_queries: int
    """Left out: nothing that is searched is relevant to them."""
    fitting_queries: int
    """Left out: they are among the fitting items."""


class Outcome(_Model):
    """One row: a system and its scores."""

    name: str
    role: Literal[Role.REFERENCE, MethodKind.ADAPTER]
    skipped: str = ""
    """Why there are no numbers."""
    summary: str = ""
    needs: list[Need] = Field(default_factory=list)
    pairs: int | None = None
    """Fitted on."""
    changes: str = ""
    """Parameters of the quick schedule, with the published values in parentheses."""
    fit_seconds: float | None = None
    query_ms: float | None = None
    """Time that mapping one query takes, median of single queries."""
    p_value: float | None = None
    """Of the cross gain on the comparison's metric, on the same queries, Holm-corrected over the adapters."""
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    arrays: str | None = None
    """Sha256 of the parquet file with the per-query results."""

    @property
    def is_adapter(self) -> bool:
        """And no reference."""
        return self.role is MethodKind.ADAPTER

    def metric(self, name: str) -> Estimate:
        """A number by name; undefined if the row has none."""
        return self.metrics.get(name, Estimate())

    @property
    def needs_both_encoders(self) -> bool:
        """Every query is embedded by the old model too."""
        return Need.BOTH_ENCODERS_ONLINE in self.needs

    @property
    def rewrites_index(self) -> bool:
        """Every stored vector is mapped once, from itself and not from its item."""
        return Need.GALLERY_REWRITE in self.needs

    @property
    def serving_needs(self) -> str:
        """Needs of serving beside the new encoder and the unchanged index, in words."""
        needs = {"old encoder": self.needs_both_encoders, "index rewritten once": self.rewrites_index}
        return ", ".join(word for word, needed in needs.items() if needed) or "nothing"


def fitted_adapters(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The adapters that were not skipped."""
    return [one for one in outcomes if one.is_adapter and not one.skipped]


class CurvePoint(_Model):
    """Retrieval at one share of the backfill."""

    share: float
    value: Estimate


class MixedCurve(_Model):
    """Retrieval while items are re-embedded, from one list of old and new vectors."""

    serving: str
    """`rank merge` (both encoders online), or the adapter that maps queries for old vectors."""
    order: Order
    queries: int
    """The first ones of those that are scored."""
    points: list[CurvePoint]


class Gate(_Model):
    """One requirement, and whether an adapter met it."""

    requirement: str
    met: bool


class Comparison(_Model):
    """The whole of it."""

    schema_version: int = SCHEMA_VERSION
    protocol_version: int = PROTOCOL_VERSION
    inputs: Inputs
    parts: Parts
    similarity: Similarity = Similarity.COSINE
    fit_on: FitOn = FitOn.DOCUMENTS
    seed: int
    effort: Effort
    metric: MetricName = MetricName.MAP
    """The number that systems are judged by."""
    rates: list[float]
    """False accept rates that there are enough pairs for."""
    outcomes: list[Outcome]
    verdict: list[str]
    notices: list[Notice] = Field(default_factory=list)
    """What was left out or decided, beside what `parts` counts."""
    curves: list[MixedCurve] = Field(default_factory=list)
    costs: Backfill | None = None
    """Of a full backfill of the user's own index; None where nothing is said of it."""
    gates: list[Gate] = Field(default_factory=list)
    command: str
    environment: Environment
    started: str
    timings: dict[str, float]
    """Seconds by stage."""

    def outcome(self, name: str) -> Outcome:
        """The row of this name. Raises KeyError if there is none."""
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        raise KeyError(name)


STATUS_QUO: str = "status quo"
FULL_BACKFILL: str = "full backfill"
UNADAPTED: str = "no adapter"
ORACLE: str = MetricName.ORACLE_MEAN.heading
"""The reference rows."""


def to_json(comparison: Comparison) -> str:
    """As one JSON file."""
    return json.dumps(comparison.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"
