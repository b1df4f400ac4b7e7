"""What the leaderboard keeps of one suite beside its records: tables, plots and a README that leads to them.

Unlike the report of one's own runs it has no page, since results/index.html shows all suites, and no lists of flips,
which weigh more than the records and which `compatbench report` reads off the same arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compatbench.report.render.to_markdown import escape
from compatbench.report.site.board import BoardSuite
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.site.write import INTRODUCTION, plot_files, table_files
from compatbench.storage.files import write_whole


def write_suite(suite: BoardSuite, out_folder: Path) -> list[Path]:
    """Write `tables/`, `plots/` and `README.md` below `out_folder` and return the files; equal records, equal bytes."""
    contents: dict[Path, str] = {}
    parts = [
        f"# {escape(suite.title)}",
        f"{INTRODUCTION.partition(' The columns')[0]} [The leaderboard](../../README.md) has the ranked tables of all "
        "scenarios with links to their records; here are all tables and plots, with every column.",
    ]
    for report in suite.reports:
        tables, plots = table_files(report, out_folder), plot_files(report, out_folder)
        contents |= tables | plots
        parts += _section(report, [path.relative_to(out_folder) for path in plots])
    contents[out_folder / "README.md"] = "\n\n".join(parts) + "\n"
    for path, content in contents.items():
        write_whole(path, content)
    return list(contents)


def banner_lines(report: ScenarioReport) -> str:
    """Whether the controls of one scenario are as they must be, as a quotation with a mark that is red or green."""
    mark = "❌" if report.banner.problems else "✅"
    lines = [f"> {mark} {escape(report.banner.headline)}"]
    return "\n".join([*lines, *(f"> - {escape(problem)}" for problem in report.banner.problems)])


def _section(report: ScenarioReport, plots: Sequence[Path]) -> list[str]:
    links = [
        f"- {escape(table.title)}: [table](tables/{table.name}.md) · [CSV](tables/{table.name}.csv) · "
        f"[LaTeX](tables/{table.name}.tex)"
        for table in (report.scores, *report.details)
    ]
    return [
        f"## {escape(report.title)}",
        banner_lines(report),
        "\n".join(links),
        *(f"![{escape(plot.stem)}]({plot.as_posix()})" for plot in plots),
    ]
