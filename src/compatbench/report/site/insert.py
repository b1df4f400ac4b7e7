"""Writes generated tables between two marks of a hand-written Markdown file.

The marks are the lines `<!-- begin: compatbench report SUITE … -->` for the main columns of all scenarios of one's own
runs, `<!-- begin: compatbench leaderboard SUITE -->` for the leaderboard's part of the project's README.md: the best
method of each league and the first rows of one suite; and for both `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from compatbench.errors import RequestError, listed
from compatbench.report.render.table import Column, Place, Row, Table, Unit, number
from compatbench.report.render.to_markdown import escape, joined, to_legend, to_markdown
from compatbench.report.rows.overview import leader
from compatbench.report.site.answers import answers, compatible_in, facts, gain_range
from compatbench.report.site.board import Board, BoardSuite
from compatbench.report.site.leaderboard_readme import board_banner
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.report.tables.method_rows import OWN_OLD
from compatbench.report.tables.overview import UNCONVERGED, explained, overview_of_several, overview_table
from compatbench.storage.files import write_whole
from compatbench.vocabulary import League, ParameterSetting, plain_label


def _marked(what: str) -> re.Pattern[str]:
    """What stands between `<!-- begin: compatbench WHAT-->` and the next `<!-- end -->`, with `what` a pattern.

    Groups `begin` and `end` are the marks. Where an end is lost nothing matches, lest the text up to the end of the
    tables after it be taken for old ones.
    """
    return re.compile(
        rf"(?P<begin><!-- begin: compatbench {what}-->\n)(?:(?!<!-- begin:).)*?(?P<end><!-- end -->)", re.DOTALL
    )


_LEADERBOARD = _marked(r"leaderboard (?P<suite>\S+) ")
FRONT_ROWS = 8
"""Of methods, in the project's README.md."""


def insert_tables(reports: Sequence[ScenarioReport], suite: str, path: Path) -> None:
    """Replace the text between the marks of `suite` in the file at `path`; those of other suites do not change.

    Raises RequestError where the file cannot be read or has none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error
    block = _marked(rf"report {re.escape(suite)}(?: [^\n]*)?")
    if not block.search(text):
        raise RequestError(
            f"{path}: has no place for tables; put the lines `<!-- begin: compatbench report {suite} -->` and "
            "`<!-- end -->` where they shall stand"
        )
    tables = _tables(reports)
    write_whole(path, block.sub(lambda match: f"{match['begin']}\n{tables}\n{match['end']}", text))


def with_section(text: str, board: Board, folder: PurePosixPath) -> str:
    """`text` with the leaderboard between its marks; unchanged if there are no marks, or they name no known suite.

    `folder` holds the records, seen from the file: results/leaderboard.
    """

    def replaced(match: re.Match[str]) -> str:
        found = _find(board, match)
        return f"{match['begin']}\n{_section(found, board, folder)}\n{match['end']}" if found else match[0]

    return _LEADERBOARD.sub(replaced, text)


def unknown_suite(text: str, board: Board) -> str:
    """The first suite that the marks in `text` name and that is not on the leaderboard, or nothing."""
    return next((match["suite"] for match in _LEADERBOARD.finditer(text) if not _find(board, match)), "")


def _find(board: Board, match: re.Match[str]) -> BoardSuite | None:
    return next((suite for suite in board.suites if suite.name == match["suite"]), None)


def _tables(reports: Sequence[ScenarioReport]) -> str:
    """As Markdown: where they come from, all scenarios side by side, then each, then what the columns mean."""
    overview = overview_of_several(reports)
    parts = [_origin(reports)]
    columns: list[Column] = []
    if overview:
        parts.append(to_markdown(overview, heading="###", legend=False))
        columns += explained(overview)
    for report in reports:
        scores, chain = report.scores.narrow(Place.COMPACT), report.tables.get("chain")
        parts += [to_markdown(scores, heading="###", legend=False), f"{escape(report.banner.headline)}."]
        columns += scores.columns
        if chain:
            parts.append(to_markdown(chain, heading="####", legend=False))
            columns += chain.columns
    return joined([*parts, "### What the columns mean", to_legend(columns)])


def _origin(reports: Sequence[ScenarioReport]) -> str:
    """How many records the tables are made of, and of which code and seeds."""
    records = [record for report in reports for row in report.runs.rows for record in row.records]
    seeds = sorted({record.spec.seed for record in records})
    commits = sorted({record.environment.git_sha[:12] for record in records if record.environment.git_sha})
    code = f", code of commit {', '.join(commits)}" if commits else ""
    return f"{len(records)} records, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}{code}."


def _section(suite: BoardSuite, board: Board, folder: PurePosixPath) -> str:
    """Which method by league, on what data, and the best rows of each."""
    page = folder.parent / "index.html"
    rows = suite.overview
    about = facts(suite.reports)
    lines = [
        f"- **{escape(one.league.heading)}** ({escape(one.league.sentence.rstrip('.'))}): "
        f"{one.lead}**{escape(one.label)}**"
        f"{f', not significantly ahead of {escape(listed(one.tied, 3))}' if one.tied else ''}. "
        f"Gain: {escape(one.gain)}. Cost: {escape(one.cost)}."
        for one in answers(rows, suite.reports)
    ]
    best = _best(overview_table(suite.reports, rows).narrow(Place.FRONT))
    return joined(
        [
            f"On {escape(about.data)} ({escape(about.scale)}):",
            "\n".join(lines),
            _elsewhere(suite, board, folder),
            board_banner(board),
            to_markdown(best, heading="###", legend=False),
            _upgrades(about.upgrades),
            f"All {about.rows} rows: [the page]({page}) (download and open), "
            f"[the same as Markdown]({folder.parent}/README.md).{_tuning(suite, board, folder)}",
        ]
    )


def _elsewhere(suite: BoardSuite, board: Board, folder: PurePosixPath) -> str:
    """What the first row of the first league gains on other data, or the first row there where it was not run."""
    number, here = suite.reports[0].rank_by, suite.reports[0].runs.dataset
    leaders = [row for league in League if (row := leader(suite.overview, league, number))]
    if not leaders:
        return ""
    first = leaders[0]
    told = []
    for other in board.suites:
        rows = [row for row in other.overview if row.known.league is not None and row.signs]
        if other.reports[0].runs.dataset == here or not rows:
            continue
        title = f"[{escape(other.title)}]({folder}/{other.name}/README.md)"
        same = next((one for one in rows if one.label == first.label), None)
        if any(row.gains for row in rows):
            row = same or next((one for one in rows if one.known.league is first.known.league), rows[0])
            told.append(f"{title}: {escape(row.label)} is {compatible_in(row)}")
        else:
            loss = f" ({escape(same.label)}: {gain_range(same)} points)" if same else ""
            told.append(f"{title}: no row gains{loss}")
    return f"**Other data, other answers**. {'; '.join(told)}." if told else ""


def _tuning(suite: BoardSuite, board: Board, folder: PurePosixPath) -> str:
    """Who leads by tuned values, if another suite has them for an upgrade of this one."""
    published = {(one.runs.dataset, one.runs.scenario): one.contests for one in suite.reports}
    for other in board.suites:
        for report in other.reports if other is not suite else ():
            here = published.get((report.runs.dataset, report.runs.scenario), {})
            for league, (first, *rest) in report.contests.items():
                if not rest or league not in here or first.setting is not ParameterSetting.TUNED:
                    continue
                names = [plain_label(one.label) for one in (first, rest[0], here[league][0])]
                shares = [number(one.number(report.rank_by).value or 0.0, Unit.SHARE) for one in (first, rest[0])]
                does = "keeps" if names[0] == names[2] else "changes"
                lead = (
                    f"{escape(names[0])} ({report.rank_by.heading} {shares[0]}) before {escape(names[1])} ({shares[1]})"
                )
                link = f"*{escape(report.runs.scenario)}* of [{other.name}]({folder}/{other.name}/README.md)"
                return f" Constants are as published; tuning {does} who leads: {lead} in {link}."
    return ""


def _best(overview: Table) -> Table:
    """The first rows of each league, some `FRONT_ROWS` in all, below the status quo and the full backfill."""
    references, *others = overview.groups
    leagues = [group for group in others if group.title in {one.heading for one in League}]
    each = max(1, FRONT_ROWS // max(1, len(leagues)))
    kept = (replace(references, rows=references.rows[:2]), *(replace(one, rows=one.rows[:each]) for one in leagues))
    groups = tuple(replace(group, rows=tuple(map(_bare, group.rows))) for group in kept)
    caption = (
        "By mean A. Gain on day one in each upgrade, mAP in points; references: mAP itself. "
        "n.s.: not significantly behind the first of its league."
    )
    cells = (cell for group in kept for row in group.rows for cell in row.cells.values())
    marks = {mark for cell in cells for mark in cell.marks}
    footnotes = {mark: text for mark, text in overview.footnotes.items() if mark in marks & {OWN_OLD, UNCONVERGED}}
    return replace(overview, title="The best rows of each league", caption=caption, groups=groups, footnotes=footnotes)


def _upgrades(upgrades: Sequence[tuple[str, str]]) -> str:
    """What changes in each, without how much; a change that is an upgrade by itself stands by its name."""
    changes = {name: re.sub(r" \([^)]*\)", "", words) for name, words in upgrades}
    names = {words: name for name, words in reversed(changes.items())}
    told = []
    for name, words in changes.items():
        parts = [
            f"*{escape(names[one])}*" if names.get(one, name) != name else escape(one) for one in words.split(", ")
        ]
        told.append(f"*{escape(name)}*: {', '.join(parts)}")
    return f"Upgrades: {'; '.join(told)}."


def _bare(row: Row) -> Row:
    """Without intervals, for want of room."""
    return replace(row, cells={key: replace(cell, low=None, high=None) for key, cell in row.cells.items()})
