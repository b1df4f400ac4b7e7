"""Records sorted into scenarios and methods, with checks against mixing unlike ones in one table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from compatbench.errors import RequestError
from compatbench.records.record import BASELINE, MethodInfo, Record
from compatbench.records.store import Store
from compatbench.storage.canonical import digest
from compatbench.suite.times import Times, built_in_times
from compatbench.vocabulary import Status


@dataclass(frozen=True)
class MethodRuns:
    """All seeds of one row: the records of one method label in one scenario."""

    records: tuple[Record, ...]
    """By seed, whatever their status; never empty."""

    @property
    def method(self) -> MethodInfo:
        """The method as it declared itself."""
        return self.records[0].spec.method

    @property
    def label(self) -> str:
        """The row's name."""
        return self.method.label

    @cached_property
    def finished(self) -> tuple[Record, ...]:
        """The records with status ok, by seed."""
        return tuple(record for record in self.records if record.status is Status.OK)

    @cached_property
    def unfinished(self) -> tuple[Record, ...]:
        """The records of every other status, by seed."""
        return tuple(record for record in self.records if record.status is not Status.OK)


@dataclass(frozen=True)
class ScenarioRuns:
    """All rows of one table: one dataset, one scenario."""

    suite: str
    dataset: str
    scenario: str
    rows: tuple[MethodRuns, ...]
    """By label."""
    timed: Times
    """Training times of the suite's rows, by a measurement of their own."""

    @property
    def title(self) -> str:
        """For headings."""
        return f"{self.scenario} on {self.dataset}"

    @property
    def newest(self) -> str:
        """Label of the last generation of the chain; `"0"` is the first."""
        return str(len(self.rows[0].records[0].spec.generations) - 1)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """All seeds of all rows."""
        return tuple(sorted({record.spec.seed for row in self.rows for record in row.records}))

    @cached_property
    def independent(self) -> MethodRuns | None:
        """The row of the new model without any compatibility term."""
        return next((row for row in self.rows if row.method.name == BASELINE), None)


def scenarios(records: Iterable[Record], timed: Times | None = None) -> list[ScenarioRuns]:
    """Sort the records of one suite into scenarios, in a fixed order.

    `timed` are the suite's training times: those of the built-in suite of this name if None.

    Raises RequestError where records must not share a table: different protocol or schema versions, different
    data, generations, recipe or splits within a scenario, or two records of one cell.
    """
    everything = sorted(records, key=lambda record: (record.spec.scenario, record.spec.method.label, record.spec.seed))
    if not everything:
        raise RequestError("there are no records to report; run the suite first")
    _refuse_mixture(everything, "suites", lambda record: record.spec.suite, "report one suite at a time")
    versions = "report them apart, or run the older ones again"
    _refuse_mixture(everything, "protocol versions", lambda record: str(record.protocol_version), versions)
    _refuse_mixture(everything, "schema versions", lambda record: str(record.schema_version), versions)
    tables: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in everything:
        tables[record.spec.dataset, record.spec.scenario].append(record)
    timed = built_in_times(everything[0].spec.suite) if timed is None else timed
    return [_scenario(members, timed) for _, members in sorted(tables.items())]


def _scenario(records: Sequence[Record], timed: Times) -> ScenarioRuns:
    remedy = "run the scenario again so that all of its cells are alike"
    _refuse_mixture(
        records,
        "settings (data, generations or recipe)",
        lambda record: digest(record.spec.model_dump(mode="json", exclude={"method", "seed"})),
        remedy,
    )
    split = [record for record in records if record.split_hash]  # a cell that died early has none
    _refuse_mixture(split, "splits", lambda record: record.split_hash, remedy)
    rows: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        rows[record.spec.method.label].append(record)
    for members in rows.values():
        for one, other in pairwise(members):  # they are sorted by seed
            if one.spec.seed == other.spec.seed:
                files = f"{file_of(one)} and {file_of(other)}"
                raise RequestError(f"two records of one cell: {files}; remove the outdated one")
        _refuse_mixture(
            members,
            "versions of one method",
            lambda record: digest([record.spec.method.source_hash, record.spec.method.params]),
            "run its cells again",
        )
    first = records[0].spec
    return ScenarioRuns(
        suite=first.suite,
        dataset=first.dataset,
        scenario=first.scenario,
        rows=tuple(MethodRuns(tuple(members)) for members in rows.values()),
        timed=timed,
    )


def file_of(record: Record) -> str:
    """Path of the record's file below the folder of runs."""
    return Store(Path()).record(record.spec).as_posix()


def packed_file_of(record: Record) -> str:
    """Path of the file of the record's scenario below the folder of a leaderboard."""
    return Store(Path()).packed(record.spec).as_posix()


def _refuse_mixture(records: Sequence[Record], what: str, key: Callable[[Record], str], remedy: str) -> None:
    examples: dict[str, Record] = {}
    for record in records:
        examples.setdefault(key(record), record)
    if len(examples) > 1:
        files = ", ".join(f"{file_of(record)} ({value[:12]})" for value, record in sorted(examples.items()))
        raise RequestError(f"records of different {what} cannot share a table: {files}; {remedy}")
