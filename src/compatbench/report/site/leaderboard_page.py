"""One page for the leaderboard and for a run: it opens from a file, loads nothing, and shows the records."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files

from markupsafe import Markup

from compatbench.errors import RequestError
from compatbench.report.plots.svg import stylesheet
from compatbench.report.render.to_html import templates
from compatbench.report.site.board import GENERATED, Board
from compatbench.report.site.page_data.numbers import Json
from compatbench.report.site.page_data.packing import packed
from compatbench.report.site.page_data.pictures import ChosenExamples, Thumbnails
from compatbench.report.site.page_data.scenario import OwnRun, examples_json, scenario_json
from compatbench.report.site.page_data.suite import suite_json
from compatbench.report.site.page_data.tables import PageColumns
from compatbench.report.site.page_data.terms import GENERAL, NEED_FILTERS, SIGNS, Terms
from compatbench.vocabulary import RANKED_BY, League, Role

MOST_BYTES = 4_000_000
"""Of the whole page."""
_ROOM = 20_000
"""Left free beside the pictures, which take what the limit leaves."""
MOST_PICTURE_BYTES = 700_000

SCRIPTS = (
    "dom", "format", "store", "theme", "popover", "filters", "listing", "export", "table", "overview", "picker",
    "plots", "losses", "examples", "details", "main",
)  # fmt: skip
_FIXED: Mapping[str, Json] = {
    "filters": [[name, list(needs)] for name, needs in NEED_FILTERS.items()],
    "signs": {**SIGNS},
    "roles": {role: role.heading for role in (Role.METHOD, Role.REFERENCE, Role.CONTROL)},
    "rank by": [[number.heading, second.heading, number.sentence] for number, second in RANKED_BY.items()],
    "leagues": [[league, league.heading, league.sentence] for league in League],
}
"""Data that every page has."""
STYLES = ("base", "controls", "tables", "charts", "details")


def leaderboard_page(
    board: Board,
    thumbnails: Mapping[str, Thumbnails],
    folder: str = "leaderboard",
    title: str = "CompatBench leaderboard",
    own: OwnRun | None = None,
) -> str:
    """The page of a whole leaderboard; `thumbnails` are the pictures by dataset. Equal input gives equal bytes.

    `folder` holds the records, seen from the page. With `own` it is the page of a run, a board of one suite.

    Raises RequestError where records do not fit each other or where the page would be larger than `MOST_BYTES`.
    """
    try:
        plots = packed(templates().get_template("leaderboard/plots.html.j2").render(board=board))
        terms = Terms()
        columns = PageColumns(terms)
        reports = [(suite, report) for suite in board.suites for report in suite.reports]
        scenarios = [scenario_json(suite, report, columns, own) for suite, report in reports]
        suites: list[Json] = [suite_json(suite, columns) for suite in board.suites]

        def render(examples: ChosenExamples) -> str:
            shown: list[Json] = [
                {**one, "examples": examples_json(report, examples)}
                for one, (_, report) in zip(scenarios, reports, strict=True)
            ]
            data: dict[str, Json] = {
                "columns": columns.as_json(),
                "terms": {name: terms.define(name, text) for name, text in GENERAL.items()},
                "scenarios": shown,
                "suites": suites,
                "pictures": examples.pictures,
                "left out": examples.left_out,
                "records": folder,
                "own": own is not None,
            }
            return _render(board, data, terms, plots, folder, title, own)

        budget = min(MOST_PICTURE_BYTES, MOST_BYTES - len(render(ChosenExamples((), {}, 0)).encode()) - _ROOM)
        page = render(ChosenExamples(board.records, thumbnails, budget))
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise RequestError(f"the records do not fit each other ({error}); `compatbench verify` says which") from error
    size = len(page.encode())
    if size > MOST_BYTES:
        raise RequestError(f"the page would have {size:,} bytes, more than {MOST_BYTES:,}; take a suite off")
    return page


def _render(
    board: Board, data: Mapping[str, Json], terms: Terms, plots: str, folder: str, title: str, own: OwnRun | None
) -> str:
    script = f"(async () => {{\n{_joined('leaderboard/{}.js', SCRIPTS)}}})();\n"
    style = _joined("leaderboard/{}.css", STYLES) + stylesheet()
    page = templates().get_template("leaderboard/page.html.j2")
    return page.render(
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=packed(script_json({**data, **_FIXED})),
        plots=plots,
        terms=terms.sorted(),
        generated=Markup(GENERATED),
        folder=folder,
        board=board,
        title=title,
        own=own,
    )


def script_json(value: Json) -> str:
    """JSON for a script element, whatever the texts in it; non-finite numbers become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _finite(value: Json) -> Json:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list) else value


def _joined(pattern: str, names: Sequence[str]) -> str:
    """The texts of several assets, as they are."""
    return "".join(_asset(pattern.format(name)) for name in names)


def _asset(name: str) -> str:
    return files("compatbench.report").joinpath("templates", name).read_text(encoding="utf-8").rstrip("\n") + "\n"


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy that lets the page's own style and script in, and nothing over the network."""
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
