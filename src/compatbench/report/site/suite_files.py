"""The leaderboard's files on one suite beside its records: tables, plots and a README.

Unlike the report of one's own runs it has no page, since results/index.html shows all suites, and no lists of flips,
which weigh more than the records and which `compatbench report` reads off the same arrays.
"""

from __future__ import annotations

from pathlib import Path

from compatbench.report.render.to_markdown import escape, image, joined, quotation
from compatbench.report.site.board import BoardSuite
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.site.write import INTRODUCTION, scenario_files
from compatbench.storage.files import write_files


def write_suite(suite: BoardSuite, out_folder: Path) -> list[Path]:
    """Write `tables/`, `plots/` and `README.md` below `out_folder` and return the files; equal records, equal bytes."""
    parts = [
        f"# {escape(suite.title)}",
        f"{INTRODUCTION.partition(' The columns')[0]} [The leaderboard](../../README.md) has the ranked tables of all "
        "scenarios with links to their records; here are all tables and plots, with every column.",
        *(part for report in suite.reports for part in _section(report)),
    ]
    contents = {name: content for report in suite.reports for name, content in scenario_files(report).items()}
    return write_files(out_folder, contents | {"README.md": joined(parts)})


def banner_lines(report: ScenarioReport) -> str:
    """Whether the controls of one scenario are as they must be, as a quotation with a red or green mark."""
    mark = "❌" if report.banner.problems else "✅"
    return quotation(f"{mark} {escape(report.banner.headline)}", report.banner.problems)


def _section(report: ScenarioReport) -> list[str]:
    links = [
        f"- {escape(table.title)}: [table](tables/{table.name}.md) · [CSV](tables/{table.name}.csv) · "
        f"[LaTeX](tables/{table.name}.tex)"
        for table in report.tables.values()
    ]
    plots = [image(figure.name, figure.file) for figure in report.figures.values()]
    return [f"## {escape(report.title)}", banner_lines(report), "\n".join(links), *plots]
