"""Puts generated tables between two marks of a hand-written Markdown file, so that they are never copied by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from compatbench.errors import RequestError
from compatbench.files import write_whole
from compatbench.report.leaderboard import COMPACT
from compatbench.report.render_markdown import escape, to_markdown
from compatbench.report.scenario_report import ScenarioReport

BLOCK = re.compile(r"(<!-- begin: compatbench report [^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)


def insert_tables(reports: Sequence[ScenarioReport], path: Path) -> None:
    """Replace what stands between the marks in the file at `path` by the main columns of all reports.

    The marks are the lines `<!-- begin: compatbench report … -->` and `<!-- end -->`. Raises RequestError where the
    file cannot be read or has none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error
    if not BLOCK.search(text):
        raise RequestError(
            f"{path}: has no place for tables; put the lines `<!-- begin: compatbench report SUITE -->` and "
            "`<!-- end -->` where they shall stand"
        )
    tables = "\n".join(
        f"{to_markdown(one.scores.select(*COMPACT), heading='###', legend=False)}\n{escape(one.banner.headline)}.\n"
        for one in reports
    )
    write_whole(path, BLOCK.sub(lambda match: f"{match[1]}\n{tables}\n{match[2]}", text))
