"""The parts of a record, most of them for one entry of the compatibility matrix. Knows nothing of torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from compatbench.vocabulary import IndexKind, Order, lower_is_better

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""In hex; names a file."""

ArrayName = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64}|own|shared)(#[^#]{1,100})?$")]
"""An array, `<sha256 of its parquet file>#<name in it>`; the sha256 alone in records of the first two schemas.

In the JSON file the hash is `own` or `shared`, and `files` says which they are.
"""


ORACLE = "oracle"
"""In place of a generation of the queries: each query is the mean of its relevant items' vectors in the gallery."""


class StrictModel(BaseModel):
    """Base of all parts of a record: nothing more than they name, and NaN stays NaN."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class EntryPart(StrictModel):
    """Base of parts of a record for one entry M[query][gallery] of the compatibility matrix."""

    query_generation: str
    """`"0"`, `"1"`, …, `"*1"` for the independent model of that generation, or ORACLE."""
    gallery_generation: str

    @property
    def at(self) -> tuple[str, str]:
        """Query and gallery generation."""
        return self.query_generation, self.gallery_generation


class ArrayEntry(EntryPart):
    """Base of those with an array."""

    array: ArrayName


class Metric(EntryPart):
    """One number. `value` is null if it is undefined (say Γ without anything to gain)."""

    name: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    """Queries that entered the number."""
    subset: Literal["all", "seen", "unseen"] = "all"
    distance: Literal["cosine", "l2"] = "cosine"

    @property
    def direction(self) -> Literal["higher", "lower"]:
        """What is better."""
        return "lower" if lower_is_better(self.name) else "higher"

    @property
    def coordinates(self) -> tuple[str, str, str, str, str]:
        """Unique among the numbers of a record."""
        return self.name, *self.at, self.subset, self.distance


class ArrayRef(ArrayEntry):
    """Per-query results of one entry of the matrix."""

    distance: Literal["cosine", "l2"] = "cosine"


class BackfillCurve(ArrayEntry):
    """M(β): queries of the newest generation while the gallery is re-embedded, from M(n,o) at β = 0 to M(n,n).

    Vectors of `gallery_generation` are replaced.
    """

    order: Order
    """Of the re-embedding."""
    metric: str
    repeats: int
    """Backfills in seeded orders of this kind."""
    n: int
    """Queries: a sample of all of them, see docs/records.md. The gallery is whole."""
    status_quo: float
    """M(o,o) over the same queries."""
    beta: list[float] = Field(min_length=2)
    """Shares of the gallery that hold new vectors."""
    mean: list[float]
    """M(β), mean over the repeats."""
    low: list[float]
    """The lowest of the repeats at this β."""
    high: list[float]
    minimum_beta: float
    """The smallest β at which the mean is at its minimum."""
    array: ArrayName
    """Of each query: area under its curve, and its value at `minimum_beta`, means over the repeats."""


class BackfilledQueries(ArrayEntry):
    """Each query's mean over a whole backfill in random order, from M(n,o) at β = 0 to M(n,n) at β = 1.

    All vectors of `gallery_generation`, the first one of a chain too, are replaced by those of `query_generation`.
    """

    repeats: int
    """Random orders, which are averaged."""
    array: ArrayName
    """Of each query: the mean over β by retrieval number."""


class IndexSearch(EntryPart):
    """The numbers of one index of old or new vectors with queries mapped to their space, on one thread."""

    index: IndexKind
    trained_generation: str
    """Whose vectors it was trained on: others than it contains, where an index is filled again in place."""
    k: int
    queries: int
    repeats: int
    """The numbers of a search are medians over these."""
    recall: float
    """Share of the first `k` that are as near as exact search's `k`-th, the query's own sample left out."""
    queries_per_second: float  # all in one call
    p50_ms: float
    """Latency of a query that is asked alone."""
    p99_ms: float
    build_seconds: float
    """Training and filling; filling alone where the index was trained on another generation."""
    bytes_per_vector: float
    """The index as a file, divided by its vectors."""


class VerifiedPairs(ArrayEntry):
    """Pairs of a query and a gallery item that a system accepts as the same, at one threshold on their cosine."""

    rate: float  # of false accepts that the threshold was set for
    transferred: bool
    """The threshold is that of the old system: old queries on old vectors. Else it is the system's own."""
    threshold: float
    """Pairs with a cosine above it are accepted."""
    queries: int
    """A sample of all, see docs/records.md. The gallery is whole."""
    array: ArrayName
    """Each query's pairs, and how many of them are accepted."""


class ProtocolScores(ArrayEntry):
    """Per-query results of one entry of the matrix under one of the dataset's own protocols."""

    protocol: str
    """Such as `easy`, `medium` and `hard` of the revisited Oxford and Paris buildings."""
    """Its average precision is the trapezoidal one of the protocol's authors."""


class PairScores(ArrayEntry):
    """Cosines of a dataset's list of pairs; the first image of each is the query."""

    array: ArrayName


class WorstFlip(EntryPart):
    """One of the queries that an upgrade breaks worst, with its first items in the old and in the new system.

    The old system is the generation before that of the new system's queries, on its own gallery.
    """

    id: int
    """The query's sample id."""
    old_top: list[int]
    """Sample ids of the first items, best first, the query's own left out."""
    old_right: list[bool] = Field(default_factory=list)
    """Whether they are relevant. Not in the first records, where that was to be of the query's class."""
    new_top: list[int]
    new_right: list[bool] = Field(default_factory=list)


class FirstFound(StrictModel):
    """The first items of a system for a query, best first, without the query's own sample."""

    ids: list[int]
    right: list[bool]


class ExampleRetrieval(EntryPart):
    """A query with its first items around an upgrade; the same queries in all records of a scenario."""

    id: int
    """The query's sample id."""
    old: FirstFound
    """Old queries on old vectors."""
    cross: FirstFound
    """New queries on old vectors."""
    new: FirstFound
    """New queries on new vectors."""


class Convergence(StrictModel):
    """Whether the training of a generation's model has converged (protocol §5)."""

    converged: bool
    loss_fall: float | None
    """Share by which the loss fell over the last third of the epochs; null for fewer than three."""
    accuracy: list[float]
    """Share of augmented training images that its own head classified right, per epoch; empty without classifier."""
    held_out_accuracy: list[float] = Field(default_factory=list)
    """The same of the held-out images of its classes, without augmentation, after each epoch."""
    held_out_loss: list[float] = Field(default_factory=list)
    """The loss of its own head on the same images, without further terms."""


class Environment(StrictModel):
    """The environment of a cell: versions and hardware, without names of a machine or a person."""

    python: str
    packages: dict[str, str]
    cpu: str
    """Its marketing name, which different processors share."""
    cpu_kind: str | None = None
    """Vendor, family and model; not in the first records."""
    instruction_sets: list[str] = Field(default_factory=list)
    """Those that change how numbers are added, and the level that torch uses; not in the first records."""
    cpu_threads: int
    processes: int = 1
    """World size: processes that trained each model together."""
    gpu: str | None = None
    git_sha: Annotated[str, StringConstraints(pattern="^[0-9a-f]{40,64}$")] | None = None
    git_dirty: bool | None = None
