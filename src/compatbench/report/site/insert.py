"""Puts generated tables between two marks of a hand-written Markdown file, so that they are never copied by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from compatbench.errors import RequestError
from compatbench.report.render.marks import marked
from compatbench.report.render.table import Column, Place
from compatbench.report.render.to_markdown import escape, to_legend, to_markdown
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.tables.overview import explained, overview_table
from compatbench.storage.files import write_whole


def insert_tables(reports: Sequence[ScenarioReport], suite: str, path: Path) -> None:
    """Replace what stands between the marks of `suite` in the file at `path` by the main columns of all its reports.

    The marks are the lines `<!-- begin: compatbench report SUITE … -->` and `<!-- end -->`; those of other suites are
    left alone. Raises RequestError where the file cannot be read or has none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error
    block = marked(rf"report {re.escape(suite)}(?: [^\n]*)?")
    if not block.search(text):
        raise RequestError(
            f"{path}: has no place for tables; put the lines `<!-- begin: compatbench report {suite} -->` and "
            "`<!-- end -->` where they shall stand"
        )
    tables = _tables(reports)
    write_whole(path, block.sub(lambda match: f"{match['begin']}\n{tables}\n{match['end']}", text))


def _tables(reports: Sequence[ScenarioReport]) -> str:
    """As Markdown: where they come from, all scenarios side by side, then each, then what the columns mean."""
    overview = overview_table(reports)
    parts = [_origin(reports)]
    columns: dict[str, Column] = {}
    if overview:
        parts.append(to_markdown(overview, heading="###", legend=False))
        columns |= {column.title: column for column in explained(overview)}
    for report in reports:
        scores = report.scores.narrow(Place.COMPACT)
        parts += [to_markdown(scores, heading="###", legend=False), f"{escape(report.banner.headline)}."]
        shown = [scores]
        if report.chain:
            parts.append(to_markdown(report.chain.numbers, heading="####", legend=False))
            shown.append(report.chain.numbers)
        columns |= {column.title: column for table in shown for column in table.columns}
    parts += ["### What the columns mean", to_legend(columns.values())]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _origin(reports: Sequence[ScenarioReport]) -> str:
    """How many records the tables are made of, and of which code and seeds."""
    records = [record for report in reports for row in report.runs.rows for record in row.records]
    seeds = sorted({record.spec.seed for record in records})
    commits = sorted({record.environment.git_sha[:12] for record in records if record.environment.git_sha})
    code = f", code of commit {', '.join(commits)}" if commits else ""
    return f"{len(records)} records, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}{code}."
