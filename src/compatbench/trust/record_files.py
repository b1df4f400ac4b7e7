"""Checks a record's file: format, name, hashes, private paths, and its scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from compatbench.errors import RequestError
from compatbench.execution.cell import without_absolute_paths
from compatbench.execution.command import command, runs_its_cell
from compatbench.plan.selection import EVERYTHING, Selection
from compatbench.records.forms import SEARCH_NUMBERS
from compatbench.records.record import Measurements, Record, read_record
from compatbench.records.store import SHORT_HASH, Store
from compatbench.report.rows.runs import file_of
from compatbench.storage.canonical import digest
from compatbench.storage.matrices import content_of
from compatbench.trust.consistency import Consistency
from compatbench.trust.problems import Problem
from compatbench.trust.rescoring import Rescorer
from compatbench.vocabulary import Status

_HOSTILE = RequestError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError
"""What arrays of somebody else's making can raise."""
_OTHER_HASH = "its spec_hash is not the hash of its spec: one of the two was changed"


def suites_in(store: Store) -> list[str]:
    """The suites with records in a folder of results."""
    return sorted(path.parent.name for path in store.root.glob("*/records") if path.is_dir())


def needless_arrays(store: Store, records: Iterable[Record]) -> list[Path]:
    """Per-query arrays that none of `records`, all that there are, needs."""
    needed = {sha256 for record in records for sha256 in record.array_files}
    return [
        path
        for path in sorted(store.arrays.glob("*"))
        if path.stem not in needed or path.suffix not in (".parquet", ".sums")
    ]


def links(root: Path) -> list[Path]:
    """Symbolic links below `root`: files must not be written or read elsewhere."""
    return sorted(path for path in (root, *root.rglob("*")) if path.is_symlink())


def check_record(
    path: Path, store: Store, rescorer: Rescorer, selection: Selection = EVERYTHING
) -> tuple[Record | None, list[Problem]]:
    """The record at `path`, None if it is none, and all its errors; of one that is not selected no others."""
    where = path.relative_to(store.root).as_posix()
    try:
        record = read_record(path)
    except RequestError as error:
        return None, [Problem(where, str(error).removeprefix(f"{path}: "))]
    try:
        file_of(record)
    except ValueError:  # NaN has no canonical form, so the record has no file name
        return None, [Problem(where, f"{_OTHER_HASH} (it has a number that is none)")]
    if not selection.includes(record.spec):
        return record, []
    problems = [Problem(where, message) for message in _file_problems(path, record, store)]
    if record.status is Status.OK:
        try:
            problems += [Problem(where, message) for message in rescorer.differences(record)]
            if unchecked := rescorer.unchecked(record):
                told = f"not in the arrays, so not re-scored: {', '.join(unchecked)}"
                problems.append(Problem(where, told, serious=False))
        except RequestError as error:
            problems.append(Problem(where, str(error)))
        except _HOSTILE as error:
            problems.append(Problem(where, f"its arrays do not fit it ({error!r}); run its cell again"))
    elif measured := [part for part in Measurements.model_fields if part != "split_hash" and getattr(record, part)]:
        problems.append(Problem(where, f"status {record.status.value}, and yet it has scores: {', '.join(measured)}"))
    if record.environment.git_dirty:
        problems.append(Problem(where, "made from a checkout with uncommitted changes", serious=False))
    return record, problems


def contradictions(record: Record, consistency: Consistency) -> list[Problem]:
    """The contradictions between `record` and those that `consistency` has seen before."""
    try:
        return [Problem(file_of(record), told) for told in consistency.conflicts(record)]
    except _HOSTILE as error:
        return [Problem(file_of(record), f"cannot be compared with other records ({error!r}); run its cell again")]


def _file_problems(path: Path, record: Record, store: Store) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if digest(json.loads(text)["spec"]) != record.spec_hash:
        yield _OTHER_HASH
    folder = store.records(record.spec.suite) / record.spec.scenario
    if path.parent != folder or not path.stem.endswith(f"--seed{record.spec.seed}--{record.spec_hash[:SHORT_HASH]}"):
        yield "is not at the path of its suite, scenario, seed and hash"
    if record.spec.protocol != record.protocol_version:
        yield f"protocol {record.protocol_version}, but its spec says {record.spec.protocol}"
    if not runs_its_cell(record):
        yield f"its command is not the one that runs this cell: {command(record.spec, record.environment.processes)}"
    yield from _other_features(record, store.features)
    yield from _impossible(record)
    if record.has_files_of_one_array and not record.is_early:
        yield "an array has no name in its file; only records of protocol 1 have files of one array"
    if without_absolute_paths(text) != text:
        yield "it names an absolute path of the machine that it was made on"


def _impossible(record: Record) -> Iterator[str]:
    """Costs and times that nothing has."""
    try:
        started = datetime.fromisoformat(record.started)
    except ValueError:
        started = None
    if started is None or started.tzinfo is None or started > datetime.now(UTC) + timedelta(days=1):
        yield "when it was started is no date and time of the past with a time zone"
    costs: list[Mapping[str, float | None]] = [record.costs, *record.step_costs.values(), record.timings]
    numbers = [("seconds", record.seconds), *(pair for part in costs for pair in part.items())]
    numbers += [(name, getattr(one, name)) for one in record.search for name in SEARCH_NUMBERS]
    for name, value in numbers:
        if value is not None and (value < 0 or (name == "recall" and value > 1)):
            yield f"its {name} is {value:g}, which cannot be"
            return


def _other_features(record: Record, folder: Path) -> Iterator[str]:
    """Features of frozen trunks that are there, and not those that the models were trained on."""
    mend = "delete this file, or run its cell again in a new folder"
    for name, content in record.features.items():
        for path in folder.glob(f"*--{name}*.npy"):
            try:
                if not content_of(path).startswith(content):
                    yield f"its models were trained on other features than those in features/{path.name}; {mend}"
            except RequestError as error:
                yield f"its features are damaged, features/{error}; {mend}"
