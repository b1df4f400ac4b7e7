"""Writes the report of a suite: tables in every format, a README and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from compatbench.report.plots.backfill_plot import backfill_caption
from compatbench.report.plots.heat_map import heat_map_caption
from compatbench.report.plots.pareto import plot_caption
from compatbench.report.plots.svg import as_file
from compatbench.report.render.table import Column, Place, Table
from compatbench.report.render.to_csv import to_csv
from compatbench.report.render.to_latex import to_latex
from compatbench.report.render.to_markdown import escape, to_legend, to_markdown
from compatbench.report.rows.flip_lists import Samples
from compatbench.report.site.chain_report import ChainReport
from compatbench.report.site.flip_files import FlipFiles, flip_files
from compatbench.report.site.page import render_page
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.tables.overview import explained, overview_table
from compatbench.report.tables.speed import speed_table
from compatbench.storage.files import write_whole

INTRODUCTION = (
    "Can queries embedded by a new model search vectors that an old model stored? Each row is one method for training "
    "or adapting the new model; each table is one upgrade scenario. The columns are explained below each table."
)


def write_report(
    reports: Sequence[ScenarioReport],
    out_folder: Path,
    title: str,
    speed: Path | None = None,
    samples: Samples | None = None,
) -> list[Path]:
    """Write the report of one suite and return its files; equal records give equal bytes.

    `<out>/tables/<scenario>.md`, `.csv` (all columns) and `.tex` (the main ones), and beside them those of
    `<scenario>-flips`, `-backfill`, `-thresholds`, `-recall`, `-indexes` and `-costs`, for chains of more than two
    generations also `-chain`, `-matrix` and `-steps`; `<out>/plots/<scenario>-pareto.svg`, `-backfill.svg`, for such
    chains also `-matrix.svg`; `<out>/tables/overview.*` where there are several scenarios; the flips of every row in
    `<out>/flips/<scenario>/`, with pictures where `samples` are given; `<out>/README.md` with all tables;
    `<out>/index.html`. `reports` come from `scenario_reports`; `speed` is the JSON of a pytest-benchmark run, and
    RequestError says where it is none.
    """
    measured = speed_table(speed) if speed else None
    overview = overview_table(reports)
    contents: dict[Path, str] = {}
    flips = {report.scores.name: flip_files(report, samples) for report in reports}
    for files in (one for several in flips.values() for one in several):
        contents |= {out_folder / name: content for name, content in files.contents.items()}
    for report in reports:
        contents |= table_files(report, out_folder) | plot_files(report, out_folder)
    for table in (overview, measured):
        if table:
            contents |= _table_files(table, out_folder / "tables", table)
    contents[out_folder / "README.md"] = _readme(title, reports, overview, measured, flips)
    contents[out_folder / "index.html"] = render_page(title, INTRODUCTION, reports, overview, measured, flips)
    for path, content in contents.items():
        write_whole(path, content)
    return list(contents)


def table_files(report: ScenarioReport, out_folder: Path) -> dict[Path, str]:
    """Content of the files of one scenario's tables, in `<out>/tables`."""
    folder = out_folder / "tables"
    contents = _table_files(report.scores, folder, report.scores.narrow(Place.COMPACT), _banner(report))
    for table in report.details:
        contents |= _table_files(table, folder, table)
    return contents


def plot_files(report: ScenarioReport, out_folder: Path) -> dict[Path, str]:
    """Content of the files of one scenario's plots, in `<out>/plots`."""
    plots = {pareto_file(report): report.pareto_plot, _backfill_file(report): report.backfill_plot}
    if report.chain:
        plots[_heat_map_file(report.chain)] = report.chain.heat_map
    return {out_folder / name: as_file(plot) for name, plot in plots.items() if plot}


def _table_files(table: Table, folder: Path, narrow: Table, banner: str = "") -> dict[Path, str]:
    markdown = to_markdown(table)
    if banner:
        heading, rest = markdown.split("\n\n", 1)
        markdown = f"{heading}\n\n{banner}\n\n{rest}"
    return {
        folder / f"{table.name}.md": markdown,
        folder / f"{table.name}.csv": to_csv(table),
        folder / f"{table.name}.tex": to_latex(narrow),
    }


def _readme(
    title: str,
    reports: Sequence[ScenarioReport],
    overview: Table | None,
    speed: Table | None,
    flips: Mapping[str, Sequence[FlipFiles]],
) -> str:
    parts = [f"# {escape(title)}", INTRODUCTION.replace("below each table", "at the end")]
    columns: dict[str, Column] = {}
    if overview:
        parts.append(to_markdown(overview, heading="##", legend=False))
        columns |= {column.title: column for column in explained(overview)}
    for report in reports:
        parts += [
            f"## {escape(report.title)}",
            _banner(report),
            to_markdown(report.scores, heading="###", legend=False),
            *_pareto(report),
            *(_chain(report.chain, report.title) if report.chain else []),
            to_markdown(report.flips, heading="###", legend=False),
            _flips(flips[report.scores.name]),
            *_backfill(report),
            *(
                to_markdown(one, heading="###", legend=False)
                for one in (report.thresholds, report.recall, report.indexes)
                if one
            ),
            to_markdown(report.costs, heading="###", legend=False),
            *([to_markdown(report.chain.steps, heading="###", legend=False)] if report.chain else []),
        ]
        columns |= {column.title: column for table in (report.scores, *report.details) for column in table.columns}
    if speed:
        parts.append(to_markdown(speed, heading="##"))
    parts += ["## What the columns mean", to_legend(columns.values())]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _flips(files: Sequence[FlipFiles]) -> str:
    links = [
        f"{escape(one.label)} ([list]({one.list}){f', [pictures]({one.sheet})' if one.sheet else ''})" for one in files
    ]
    return f"Every query that flips, and the worst in pictures: {' · '.join(links)}" if links else ""


def _pareto(report: ScenarioReport) -> list[str]:
    if not report.pareto_plot:
        return []
    return [
        f"![Update gain against tax, {escape(report.title)}]({pareto_file(report)})",
        escape(plot_caption(report.points)),
    ]


def _backfill(report: ScenarioReport) -> list[str]:
    if not report.backfill:
        return []
    table = to_markdown(report.backfill, heading="###", legend=False)
    if not report.backfill_plot:
        return [table]
    return [
        table,
        f"![Backfill curves of {escape(report.title)}]({_backfill_file(report)})",
        escape(backfill_caption()),
    ]


def _chain(chain: ChainReport, title: str) -> list[str]:
    return [
        to_markdown(chain.numbers, heading="###", legend=False),
        f"![Compatibility matrices of {escape(title)}]({_heat_map_file(chain)})",
        f"{escape(heat_map_caption())} [As a table](tables/{chain.matrix.name}.md).",
    ]


def pareto_file(report: ScenarioReport) -> str:
    """The plot of Γ against tax, below the folder of its suite."""
    return f"plots/{report.scores.name}-pareto.svg"


def _heat_map_file(chain: ChainReport) -> str:
    return f"plots/{chain.name}-matrix.svg"


def _backfill_file(report: ScenarioReport) -> str:
    return f"plots/{report.scores.name}-backfill.svg"


def _banner(report: ScenarioReport) -> str:
    sign = "✗" if report.banner.problems else "✓"
    lines = [f"> **{sign} {escape(report.banner.headline)}**"]
    return "\n".join(lines + [f"> - {escape(problem)}" for problem in report.banner.problems])
