"""The report of a suite: written unless it is up to date, and printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from compatbench.cli.bench import Bench
from compatbench.data.samples import Samples
from compatbench.errors import MachineError, listed
from compatbench.plan.cells import Cell, outcome
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.report.render.table import Table
from compatbench.report.rows.controls import ScenarioRows, suite_rows
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.site.current import inputs, is_current, stamp
from compatbench.report.site.terminal import print_report
from compatbench.report.tables.overview import overview_of_several
from compatbench.report.tables.published import scores_table
from compatbench.storage.builtin import builtin_folder
from compatbench.suite.times import Times, read_times, times_file
from compatbench.vocabulary import MetricName


def write_and_print(
    bench: Bench,
    console: Console,
    into: Path | None = None,
    *,
    again: bool = True,
    rank_by: MetricName = MetricName.BACKFILL_SHARE,
) -> list[Record]:
    """Write the tables of all records of the suite, and print those of the selected scenarios in the suite's order.

    Returns the records of the selected cells. A selection narrows what is run, never what is written: a row
    that was measured earlier stays in the tables. `into` is a Markdown file with marks, see `insert_tables`. Unless
    `again`, files that the same inputs gave stay as they are. Raises MachineError where the tables cannot be written.
    """

    def left_out(line: str) -> None:
        console.print(f"left out: {line}", soft_wrap=True)

    records = _records(bench.cells, bench.store, left_out)
    everything = records + _records(bench.others, bench.store, left_out)
    planned = {bench.store.record(cell.spec) for cell in (*bench.cells, *bench.others)}
    if strange := sorted(set(bench.store.record_files(bench.name)) - planned):
        names = listed(path.name for path in strange)
        left_out(
            f"records of seeds, methods, settings or data that this command does not have ({len(strange)}): {names}"
        )
    if not everything:
        console.print("no records yet: run the suite first")
        return records
    out, selected = bench.store.suite(bench.name), {cell.spec.scenario for cell in bench.cells}
    made_from = inputs(*_inputs(bench, rank_by))
    if not again and is_current(out, made_from):
        done, found = "up to date", _scores(bench, everything, rank_by)
    else:
        done, found = "written", _write(bench, everything, out, made_from, into, rank_by)
    shown = [(scores, one) for scores, one in found if one.runs.scenario in selected]
    print_report(overview_of_several([one for _, one in shown]), shown, console)
    console.print(f"{done}: {out / 'README.md'}, and the page:", highlight=False, soft_wrap=True)
    console.print(f"{out / 'index.html'}", highlight=False, soft_wrap=True)
    return records


def _inputs(bench: Bench, rank_by: MetricName) -> tuple[dict[str, Any], list[Path]]:
    """What the report of a suite is made from, beside the code: facts, and files."""
    dataset = bench.dataset
    facts = {
        "title": bench.suite.title,
        "ranked by": rank_by,
        "classes": dataset.class_names,
        "images": [split.names for split in (dataset.query, dataset.gallery)],
    }
    records = [bench.store.record(cell.spec) for cell in (*bench.cells, *bench.others)]
    published = builtin_folder("benchmarks") / "published" / f"{bench.name}.yaml"
    return facts, [*records, published, times_file(bench.file), bench.store.speed]


def _scores(bench: Bench, records: Sequence[Record], rank_by: MetricName) -> list[tuple[Table, ScenarioRows]]:
    """The scores of every scenario, without the rest of its report."""
    reader = ScoreReader(bench.store.arrays)
    found = suite_rows(scenarios(records, _timed(bench)), reader, rank_by)
    return [(scores_table(one), one) for one in sorted(found, key=_place(bench))]


def _timed(bench: Bench) -> Times:
    return read_times(times_file(bench.file))


def _place(bench: Bench) -> Callable[[ScenarioRows], int]:
    """The order of the suite's scenarios."""
    names = list(bench.suite.scenarios)
    return lambda found: names.index(found.runs.scenario) if found.runs.scenario in names else len(names)


def _write(
    bench: Bench, records: Sequence[Record], out: Path, made_from: str, into: Path | None, rank_by: MetricName
) -> list[tuple[Table, ScenarioRows]]:
    """Write the whole report, and return the scores of every scenario."""
    from compatbench.report.site.insert import insert_tables
    from compatbench.report.site.scenario_report import scenario_reports
    from compatbench.report.site.write import write_report

    reports = sorted(scenario_reports(records, bench.store.arrays, rank_by, timed=_timed(bench)), key=_place(bench))
    speed = bench.store.speed
    try:
        files = write_report(reports, out, bench.suite.title, speed if speed.exists() else None, Samples(bench.dataset))
        stamp(out, made_from, files)
    except OSError as error:
        raise MachineError.of(error) from error
    if into is not None:
        insert_tables(reports, bench.name, into)
    return [(one.scores, one) for one in reports]


def _records(cells: Sequence[Cell], store: Store, notify: Callable[[str], None]) -> list[Record]:
    return [record for cell in cells if (record := outcome(cell, store, notify)) is not None]
