"""The generated tables beside a folder of records: written from all of them, and compared with what is there."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from compatbench.errors import RequestError
from compatbench.records import Record
from compatbench.report.scenario_report import scenario_reports
from compatbench.report.write import write_report
from compatbench.store import Store
from compatbench.suite import available_suites, load_suite
from compatbench.verification.problems import Problem

REMEDY = "`compatbench submit` writes them again"


def write_tables(records: Sequence[Record], store: Store, out: Path) -> list[Path]:
    """Write the report of all `records`, of one suite, into the folder `out`.

    Times of `make speed` are left out: they are of one machine. Raises RequestError for records that cannot share
    a table.
    """
    suite = records[0].spec.suite
    title = load_suite(suite)[1].title if suite in available_suites() else suite
    return write_report(scenario_reports(records, store.arrays), out, title)


def table_problems(records: Sequence[Record], store: Store) -> list[Problem]:
    """Where the committed tables of one suite are not, byte for byte, those of its records."""
    suite = records[0].spec.suite
    folder = store.suite(suite)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            written = write_tables(records, store, Path(scratch))
        except RequestError as error:
            return [Problem(suite, f"its records give no tables: {error}")]
        expected = {path.relative_to(scratch): path.read_bytes() for path in written}
    there = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    extra = {path for path in there if path.parts[0] != "records"} - set(expected)
    problems = [Problem(f"{suite}/{path}", "no record leads to this file; remove it") for path in sorted(extra)]
    for path, content in sorted(expected.items()):
        if path not in there:
            problems.append(Problem(f"{suite}/{path}", f"is missing; {REMEDY}"))
        elif (folder / path).read_bytes() != content:
            problems.append(Problem(f"{suite}/{path}", f"is not what the records give; {REMEDY}"))
    return problems
