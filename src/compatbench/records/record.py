"""Records: the result of one cell, as one JSON file. Knows nothing of torch.

docs/records.md explains how to read one; `schema()` is the published JSON Schema.
"""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from compatbench import PROTOCOL_VERSION
from compatbench.errors import RequestError
from compatbench.records.migrations import migrate
from compatbench.storage.files import FolderName, keep_names, write_whole
from compatbench.suite.encoder_spec import Setting
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec, TestClasses
from compatbench.vocabulary import Expectation, IndexKind, Need, Order, ParameterSetting, Role, Status, TrainPart

SCHEMA_VERSION = 2

BASELINE = "independent"
"""The method without compatibility: its models are the status quo and the full backfill of every table."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""In hex; names a file."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class MethodInfo(Setting):
    """The method of a cell, as it declared itself."""

    model_config = ConfigDict(allow_inf_nan=True)

    name: str
    label: str
    """Row name in tables: the method's name, with the params that tell two rows of one suite apart."""
    params: dict[str, JsonValue]
    """All parameters, resolved."""
    role: Role
    needs: list[Need]
    expects: list[Expectation]
    kind: Literal["training", "adapter"]
    pairs: TrainPart | None = None
    """What an adapter was fitted on; null for a training method, and under protocol 1, where it was `train`."""
    setting: ParameterSetting | None = None
    source_hash: str
    """Of the method's file and of the `_*.py` files beside it that it imports."""
    summary: str = ""
    """First line of its docstring: the method and its source."""


class CellSpec(_Model):
    """The description of a cell. Its canonical hash names the record and decides whether it is up to date."""

    suite: FolderName
    protocol: int = PROTOCOL_VERSION
    dataset: str
    dataset_options: dict[str, JsonValue] = Field(default_factory=dict)
    dataset_fingerprint: str
    image_size: int
    train_limit: int | None = None
    query_limit: int | None = None
    index_search: tuple[IndexKind, ...] = tuple(IndexKind)
    """Kinds of index that are measured."""
    scenario: FolderName
    generations: tuple[GenerationSpec, ...]
    """The chain, oldest first, with the full names of its backbones."""
    test_classes: TestClasses = "all"
    """`unseen`: queries and gallery contain only classes that no generation was trained on."""
    recipe: Recipe
    method: MethodInfo
    seed: int


class Entry(_Model):
    """Base of parts of a record for one entry M[query][gallery] of the compatibility matrix."""

    query_generation: str
    """`"0"`, `"1"`, … or `"*1"` for the independent model of that generation."""
    gallery_generation: str

    @property
    def at(self) -> tuple[str, str]:
        """Query and gallery generation."""
        return self.query_generation, self.gallery_generation


class Metric(Entry):
    """One number. `value` is null if it is undefined (say Γ without anything to gain)."""

    name: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    """Queries that entered the number."""
    direction: Literal["higher", "lower"] = "higher"
    subset: Literal["all", "seen", "unseen"] = "all"
    distance: Literal["cosine", "l2"] = "cosine"

    @property
    def coordinates(self) -> tuple[str, str, str, str, str]:
        """Unique among the numbers of a record."""
        return self.name, *self.at, self.subset, self.distance


class ArrayRef(Entry):
    """Per-query results of one entry of the matrix, in a parquet file named by its content."""

    distance: Literal["cosine", "l2"] = "cosine"
    sha256: Sha256


class BackfillCurve(Entry):
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
    beta: list[float]
    """Shares of the gallery that hold new vectors."""
    mean: list[float]
    """M(β), mean over the repeats."""
    low: list[float]
    """The lowest of the repeats at this β."""
    high: list[float]
    minimum_beta: float
    """The smallest β at which the mean is at its minimum."""
    sha256: Sha256
    """Parquet file with the curve of each query, mean over the repeats."""


class BackfilledQueries(Entry):
    """Each query's mean over a whole backfill in random order, from M(n,o) at β = 0 to M(n,n) at β = 1.

    All vectors of `gallery_generation`, the first one of a chain too, are replaced by those of `query_generation`.
    """

    repeats: int
    """Random orders, which are averaged."""
    sha256: Sha256
    """Parquet file with one row a query: `ids`, and the mean over β by retrieval number."""


class IndexSearch(Entry):
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
    p50_ms: float  # of a query that is asked alone
    p99_ms: float
    build_seconds: float
    """Training and filling; filling alone where the index was trained on another generation."""
    bytes_per_vector: float
    """The index as a file, divided by its vectors."""


class VerifiedPairs(Entry):
    """Pairs of a query and a gallery item that a system accepts as the same, at one threshold on their cosine."""

    rate: float  # of false accepts that the threshold was set for
    transferred: bool
    """The threshold is that of the old system: old queries on old vectors. Else it is the system's own."""
    threshold: float
    """Pairs with a cosine above it are accepted."""
    queries: int
    """A sample of all, see docs/records.md. The gallery is whole."""
    sha256: Sha256
    """Parquet file with each query's pairs, and how many of them are accepted."""


class ProtocolScores(Entry):
    """Per-query results of one entry of the matrix under one of the dataset's own protocols, in a parquet file."""

    protocol: str
    """Such as `easy`, `medium` and `hard` of the revisited Oxford and Paris buildings."""
    sha256: str
    """Its average precision is the trapezoidal one of the protocol's authors."""


class PairScores(Entry):
    """Cosines of a dataset's list of pairs, in a parquet file; the first image of each is the query."""

    sha256: str


class WorstFlip(Entry):
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


class FirstFound(_Model):
    """The first items of a system for a query, best first, without the query's own sample."""

    ids: list[int]
    right: list[bool]


class ExampleRetrieval(Entry):
    """A query with its first items around an upgrade; the same queries in all records of a scenario."""

    id: int
    """The query's sample id."""
    old: FirstFound
    """Old queries on old vectors."""
    cross: FirstFound
    """New queries on old vectors."""
    new: FirstFound
    """New queries on new vectors."""


class Convergence(_Model):
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


class Environment(_Model):
    """The environment of a cell: versions and hardware, without names of a machine or a person."""

    python: str
    packages: dict[str, str]
    cpu: str
    cpu_threads: int
    processes: int = 1
    """World size: processes that trained each model together."""
    gpu: str | None = None
    git_sha: str | None = None
    git_dirty: bool | None = None


class _Head(_Model):
    """The cell, and how it ended."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    protocol_version: int = PROTOCOL_VERSION
    status: Status
    reason: str = ""
    """One line for a status other than ok."""
    error: str = ""
    """Traceback, without absolute paths."""
    log: str = ""
    """The last lines that the cell printed, without absolute paths."""
    spec_hash: Sha256
    spec: CellSpec


class Measurements(_Model):
    """The measured parts of a record; all empty for an unmeasured cell."""

    model_config = ConfigDict(frozen=True)

    split_hash: str = ""
    parents: dict[str, str] = Field(default_factory=dict)
    """Artefact ids of the models used, by generation label."""
    query_classes: int | None = None
    """Classes of the queries; null in the first records."""
    judged: bool = False
    """What is relevant is judged query by query, and not by class."""
    metrics: list[Metric] = Field(default_factory=list)
    arrays: list[ArrayRef] = Field(default_factory=list)
    backfill: list[BackfillCurve] = Field(default_factory=list)
    backfilled: list[BackfilledQueries] = Field(default_factory=list)
    """What the backfill share A is made of; not in the first records."""
    search: list[IndexSearch] = Field(default_factory=list)
    verification: list[VerifiedPairs] = Field(default_factory=list)
    protocols: list[ProtocolScores] = Field(default_factory=list)
    """Empty where the dataset has no protocols of its own."""
    pairs: list[PairScores] = Field(default_factory=list)
    """Empty where the dataset has no list of pairs."""
    worst_flips: list[WorstFlip] = Field(default_factory=list)
    """Worst first within each system."""
    examples: list[ExampleRetrieval] = Field(default_factory=list)
    """Not in the first records."""
    losses: dict[str, dict[str, list[float]]] = Field(default_factory=dict)
    """Mean of each loss term per epoch, by generation label and term."""
    convergence: dict[str, Convergence] = Field(default_factory=dict)
    """By generation label; not in the first records."""
    costs: dict[str, float | None] = Field(default_factory=dict)
    """Cost numbers by name, see docs/records.md."""
    step_costs: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    """Those of every generation of the chain, by its label."""

    @property
    def array_hashes(self) -> list[str]:
        """The hashes of the per-query files behind its numbers."""
        parts = self.arrays, self.backfill, self.backfilled, self.verification, self.protocols, self.pairs
        return [entry.sha256 for part in parts for entry in part]


class Record(Measurements, _Head):
    """One cell's outcome."""

    timings: dict[str, float] = Field(default_factory=dict)
    """Seconds by stage."""
    environment: Environment
    command: str
    """What reproduces this cell."""
    started: str
    """UTC, ISO 8601."""
    seconds: float

    def metric(
        self, name: str, query: str, gallery: str, subset: str = "all", distance: str = "cosine"
    ) -> Metric | None:
        """The metric of these coordinates, or None if the record has none."""
        wanted = name, query, gallery, subset, distance
        return next((one for one in self.metrics if one.coordinates == wanted), None)


def write_record(record: Record, path: Path) -> None:
    """Write `record` at `path`, whole or not at all, and to stay also if the machine stops at once."""
    write_whole(path, record_text(record))
    keep_names(path.parent)


def record_text(record: Record) -> str:
    """`record` as JSON with a line for each metric, curve, array …: to read, to compare, and in half the room."""
    parts = []
    for name, value in json.loads(record.model_dump_json()).items():
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(f"  {json.dumps(entry)}" for entry in value) + "\n ]"
        else:
            text = json.dumps(value, indent=1).replace("\n", "\n ") if name == "spec" else json.dumps(value)
        parts.append(f' "{name}": {text}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def read_record(path: Path) -> Record:
    """Read and validate a record of this schema version or an earlier one.

    Raises RequestError, in one line, where the file is none.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{path}: not a readable record ({error}); delete it to run its cell again") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise RequestError(
            f"{path}: schema version {reprlib.repr(version)}, where this CompatBench reads 1 to {SCHEMA_VERSION}; "
            "read it with the version that wrote it, or delete it to run its cell again"
        )
    try:
        return Record.model_validate(migrate(data, SCHEMA_VERSION))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise RequestError(f"{path}: {where}: {first['msg']}; delete it to run its cell again") from error


def schema() -> dict[str, Any]:
    """The JSON Schema of a record."""
    return Record.model_json_schema()
