"""Records: the result of one cell, as one JSON file. Knows nothing of torch.

docs/records.md explains how to read one; `schema()` is the published JSON Schema.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, ValidationError, model_validator

from compatbench import PROTOCOL_VERSION
from compatbench.errors import RequestError
from compatbench.records.compact import ARRAY_PARTS, compact, compact_schema, expand
from compatbench.records.migrations import migrate
from compatbench.records.parts import (
    ArrayEntry,
    ArrayRef,
    BackfillCurve,
    BackfilledQueries,
    Convergence,
    Environment,
    ExampleRetrieval,
    IndexSearch,
    Metric,
    PairScores,
    ProtocolScores,
    Sha256,
    StrictModel,
    VerifiedPairs,
    WorstFlip,
)
from compatbench.storage.files import FolderName, keep_names, write_whole
from compatbench.suite.encoder_spec import Setting
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec, TestClasses
from compatbench.suite.upgrade import in_words
from compatbench.vocabulary import Expectation, IndexKind, MethodKind, Need, ParameterSetting, Role, Status, TrainPart

SCHEMA_VERSION = 3

BASELINE = "independent"
"""The method without compatibility: its models are the status quo and the full backfill of every table."""


FeatureFile = Annotated[str, StringConstraints(pattern="^[0-9a-f]{12}$")]
FeatureContent = Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]


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
    kind: MethodKind
    pairs: TrainPart | None = None
    """What an adapter was fitted on; null for a training method, and under protocol 1, where it was `train`."""
    setting: ParameterSetting | None = None
    source_hash: Sha256
    """Of the method's file and of the `_*.py` files beside it that it imports."""
    summary: str = ""
    """First line of its docstring: the method and its source."""


class CellSpec(StrictModel):
    """The description of a cell. Its canonical hash names the record and decides whether it is up to date."""

    suite: FolderName
    protocol: int = PROTOCOL_VERSION
    dataset: str
    dataset_options: dict[str, JsonValue] = Field(default_factory=dict)
    dataset_fingerprint: Sha256
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

    @property
    def upgrade(self) -> str:
        """What the newest generation has that the first one has not, in plain words."""
        return in_words(self.generations, self.test_classes, "images" if self.image_size else "items")


class _Head(StrictModel):
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


class Measurements(StrictModel):
    """The measured parts of a record; all empty for an unmeasured cell."""

    model_config = ConfigDict(frozen=True)

    split_hash: Annotated[str, StringConstraints(pattern="^([0-9a-f]{64})?$")] = ""
    parents: dict[str, Sha256] = Field(default_factory=dict)
    """Artefact ids of the models used, by generation label."""
    features: dict[FeatureFile, FeatureContent] = Field(default_factory=dict)
    """Of frozen trunks: the first digits of each file's hash, by those of its name; not in the first records."""
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
    def array_entries(self) -> Iterator[ArrayEntry]:
        """The parts of the record with an array behind them."""
        for part in ARRAY_PARTS:
            yield from getattr(self, part)

    @property
    def array_files(self) -> list[str]:
        """The sha256 of the files behind its numbers."""
        return list(dict.fromkeys(entry.array.partition("#")[0] for entry in self.array_entries))

    def stored(self, files: Mapping[str, str]) -> Self:
        """The same with arrays in these files, by the first part of their references."""

        def moved(entry: ArrayEntry) -> ArrayEntry:
            part, _, name = entry.array.partition("#")
            return entry.model_copy(update={"array": f"{files[part]}#{name}"})

        return self.model_copy(update={part: [moved(one) for one in getattr(self, part)] for part in ARRAY_PARTS})


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

    @model_validator(mode="after")
    def _names_files_by_hash(self) -> Self:
        """Arrays of a cell lie in `own` and `shared` only until they are written."""
        if nameless := [name for name in self.array_files if len(name) != 64]:
            raise ValueError(f"its arrays are in '{nameless[0]}', and a file is named by its sha256")
        return self

    @property
    def has_files_of_one_array(self) -> bool:
        """Whether an array has no name in its file, as in the first two schemas."""
        return any("#" not in entry.array for entry in self.array_entries)

    @property
    def is_early(self) -> bool:
        """Whether its arrays are those of the first two schemas, a file each, which are not re-scored."""
        return self.protocol_version < PROTOCOL_VERSION and self.has_files_of_one_array

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
    """`record` as JSON, see `compact`, with a line for each part of a list, and without empty parts."""
    parts = []
    for name, value in compact(json.loads(record.model_dump_json())).items():
        if value in ("", [], {}):
            continue
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(f"  {_line(entry)}" for entry in value) + "\n ]"
        elif name == "spec":
            text = "{\n" + ",\n".join(f'  "{key}":{_line(entry)}' for key, entry in value.items()) + "\n }"
        else:
            text = _line(value)
        parts.append(f' "{name}": {text}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


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
        whole = expand(data) if version == SCHEMA_VERSION else migrate(data, SCHEMA_VERSION)
        return Record.model_validate(whole)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise RequestError(f"{path}: {where}: {first['msg']}; delete it to run its cell again") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(f"{path}: not a record ({error!r}); delete it to run its cell again") from error


def schema() -> dict[str, Any]:
    """The JSON Schema of a record's file."""
    return compact_schema(Record.model_json_schema())
