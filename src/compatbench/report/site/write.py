"""Writes the report of a suite, of one's own runs or on the leaderboard: tables in every format, plots and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from compatbench.report.plots.svg import as_file
from compatbench.report.render.table import Column, Place, Table
from compatbench.report.render.to_csv import to_csv
from compatbench.report.render.to_latex import to_latex
from compatbench.report.render.to_markdown import escape, image, joined, quotation, to_legend, to_markdown
from compatbench.report.rows.flips import SampleLookup
from compatbench.report.site.board import Board, BoardSuite
from compatbench.report.site.flip_files import FlipFiles, flip_files
from compatbench.report.site.leaderboard_page import leaderboard_page
from compatbench.report.site.page_data.scenario import OwnRun
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.tables.overview import explained, overview_of_several
from compatbench.report.tables.speed import speed_table
from compatbench.report.tables.tuning import tuning_table
from compatbench.storage.files import write_files

RUNS = ".."
"""The folder of runs, seen from the page of a run."""
INTRODUCTION = (
    "Can queries embedded by a new model search vectors that an old model stored? Each row is one method for training "
    "or adapting the new model; each table is one upgrade scenario. The columns are explained below each table."
)


def write_report(
    reports: Sequence[ScenarioReport],
    out_folder: Path,
    title: str,
    speed: Path | None = None,
    samples: SampleLookup | None = None,
) -> list[Path]:
    """Write the report of one suite and return its files; equal records give equal bytes.

    Tables go to `tables/` as `.md`, `.csv` (all columns) and `.tex` (the main ones), plots to `plots/`, the flips of
    every row to `flips/<scenario>/`, with pictures where `samples` are given; `README.md` and `index.html` have all of
    it. `reports` come from `scenario_reports`; `speed` is the JSON of a pytest-benchmark run, and RequestError says
    where it is none.
    """
    measured = speed_table(speed) if speed else None
    overview, tuning = overview_of_several(reports), tuning_table(reports)
    flips = {report.scores.name: flip_files(report, samples) for report in reports}
    contents: dict[str, str] = {}
    for files in (one for several in flips.values() for one in several):
        contents |= files.contents
    for report in reports:
        contents |= _scenario_files(report)
        contents |= _latex_files(report.scores.narrow(Place.COMPACT), *_other_tables(report))
    for table in (overview, tuning, measured):
        contents |= _table_files(table) | _latex_files(table) if table else {}
    contents["README.md"] = _readme(title, reports, overview, tuning, measured, flips)
    suite = BoardSuite(reports[0].runs.suite, None, tuple(reports), title)
    own = OwnRun(
        {report.runs.scenario: {one.label: one for one in flips[report.scores.name]} for report in reports}, measured
    )
    contents["index.html"] = leaderboard_page(Board((suite,)), {}, RUNS, title, own)
    return write_files(out_folder, contents)


def write_suite(suite: BoardSuite, out_folder: Path) -> list[Path]:
    """Write `tables/`, `plots/` and `README.md` below `out_folder` and return the files; equal records, equal bytes.

    Unlike the report of one's own runs it has no page, since results/index.html shows all suites and copies any table
    as LaTeX, and no lists of flips: they weigh more than the records, and here ranks end at 10. `compatbench report`
    lists those of a run.
    """
    tuning = tuning_table(suite.reports)
    parts = [
        f"# {escape(suite.title)}",
        f"{INTRODUCTION.partition(' The columns')[0]} [The leaderboard](../../README.md) has the ranked tables of all "
        "scenarios with links to their records; here are all tables and plots, with every column.",
        *([to_markdown(tuning, heading="##")] if tuning else []),
        *(part for report in suite.reports for part in _links(report)),
    ]
    contents = _table_files(tuning) if tuning else {}
    contents |= {name: content for report in suite.reports for name, content in _scenario_files(report).items()}
    return write_files(out_folder, contents | {"README.md": joined(parts)})


def _scenario_files(report: ScenarioReport) -> dict[str, str]:
    """Content of the files of one scenario's tables and plots, by name below the folder of its suite."""
    contents = _table_files(report.scores, banner_lines(report))
    for table in _other_tables(report):
        contents |= _table_files(table)
    return contents | {figure.file: as_file(figure.svgs[0]) for figure in report.figures.values()}


def _other_tables(report: ScenarioReport) -> list[Table]:
    """All but the ranked one."""
    return [table for kind, table in report.tables.items() if kind != "scores"]


def _table_files(table: Table, banner: str = "") -> dict[str, str]:
    heading, rest = to_markdown(table).split("\n\n", 1)
    return {
        f"tables/{table.name}.md": "\n\n".join(part for part in (heading, banner, rest) if part),
        f"tables/{table.name}.csv": to_csv(table),
    }


def _latex_files(*tables: Table) -> dict[str, str]:
    return {f"tables/{table.name}.tex": to_latex(table) for table in tables}


def _readme(
    title: str,
    reports: Sequence[ScenarioReport],
    overview: Table | None,
    tuning: Table | None,
    speed: Table | None,
    flips: Mapping[str, Sequence[FlipFiles]],
) -> str:
    parts = [f"# {escape(title)}", INTRODUCTION.replace("below each table", "at the end")]
    columns: list[Column] = []
    if overview:
        parts.append(to_markdown(overview, heading="##", legend=False))
        columns += explained(overview)
    for report in reports:
        parts += [f"## {escape(report.title)}", banner_lines(report)]
        for kind, table in report.tables.items():
            parts += _section(report, kind, table)
            parts += [_flip_links(flips[report.scores.name])] if kind == "flips" else []
            columns += table.columns
    parts += [to_markdown(table, heading="##") for table in (tuning, speed) if table]
    return joined([*parts, "## What the columns mean", to_legend(columns)])


def _section(report: ScenarioReport, kind: str, table: Table) -> list[str]:
    """A table and its plot; of matrices the plot alone, with a link to the table."""
    folded = kind == "matrix"
    parts = [] if folded else [to_markdown(table, heading="###", legend=False)]
    if figure := report.figures.get(kind):
        link = f" [As a table](tables/{table.name}.md)." if folded else ""
        parts += [image(figure.alt, figure.file), f"{escape(figure.caption)}{link}"]
    return parts


def _flip_links(files: Sequence[FlipFiles]) -> str:
    links = [
        f"{escape(one.label)} ([list]({one.list}){f', [pictures]({one.sheet})' if one.sheet else ''})" for one in files
    ]
    return f"Every query that flips, and the worst in pictures: {' · '.join(links)}" if links else ""


def banner_lines(report: ScenarioReport) -> str:
    """Whether the controls of one scenario are as they must be, as a quotation with a red or green mark."""
    mark = "❌" if report.banner.problems else "✅"
    return quotation(f"{mark} {escape(report.banner.headline)}", (*report.banner.problems, *report.limits))


def _links(report: ScenarioReport) -> list[str]:
    links = [
        f"- {escape(table.title)}: [table](tables/{table.name}.md) · [CSV](tables/{table.name}.csv)"
        for table in report.tables.values()
    ]
    plots = [image(figure.name, figure.file) for figure in report.figures.values()]
    return [f"## {escape(report.title)}", banner_lines(report), "\n".join(links), *plots]
