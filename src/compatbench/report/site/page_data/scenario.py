"""One scenario of one suite: its tables, its rows in full, its curves and matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from compatbench import PROTOCOL_VERSION
from compatbench.evaluation.compatibility import compatibility
from compatbench.records.parts import Convergence
from compatbench.records.record import Record
from compatbench.report.render.arxiv import ARXIV, abstract
from compatbench.report.render.table import Table
from compatbench.report.rows.closing import convergences
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import file_of, packed_file_of
from compatbench.report.site.board import BoardSuite
from compatbench.report.site.flip_files import FlipFiles
from compatbench.report.site.page_data.numbers import Json, rounded, sortable
from compatbench.report.site.page_data.pictures import ChosenExamples
from compatbench.report.site.page_data.tables import PageColumns, table_json
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.suite.scenarios import GenerationSpec
from compatbench.vocabulary import RANKED_BY, Entry, MetricName

_LOSS_DIGITS = 4

_BUTTONS = {
    "Compatibility": "scores",
    "Flips": "flips",
    "Models": "models",
    "Costs": "costs",
    "Backfill": "backfill",
    "Chain": "chain",
    "Matrix": "matrix",
    "Cost of every step": "steps",
    "Thresholds": "thresholds",
    "Index recall": "recall",
    "Index speed": "indexes",
}
"""Kinds of table by the words of the page's buttons."""


@dataclass(frozen=True)
class OwnRun:
    """What the page of a run has beside the tables; on the leaderboard there is none of it."""

    flips: Mapping[str, Mapping[str, FlipFiles]]
    """Files below the page's folder, by scenario and by row."""
    speed: Table | None = None


def scenario_json(
    suite: BoardSuite, report: ScenarioReport, columns: PageColumns, own: OwnRun | None = None
) -> dict[str, Json]:
    """The page's data on one scenario, but its examples."""
    spec = report.rows[0].runs.records[0].spec
    banner = report.banner
    return {
        "suite": suite.name,
        "suite title": suite.title,
        "dataset": spec.dataset,
        "scenario": report.runs.scenario,
        "words": spec.upgrade,
        "backbones": _backbones(spec.generations),
        "generations": [[[*setting] for setting in step.model_dump(mode="json").items()] for step in spec.generations],
        "protocol": PROTOCOL_VERSION,
        "seeds": list(report.runs.seeds),
        "headline": banner.headline,
        "problems": list(banner.problems),
        "tables": _tables(report, columns, own),
        "unranked": list(report.limits),
        "rows": [_row(row, report, own) for row in report.rows],
    }


def examples_json(report: ScenarioReport, examples: ChosenExamples) -> Json:
    """The chosen examples of each row of one scenario."""
    return [[*examples.sheets(row.runs.records)] for row in report.rows]


def _tables(report: ScenarioReport, columns: PageColumns, own: OwnRun | None) -> list[Json]:
    labels = [row.label for row in report.rows]
    named = {name: _on_page(report.tables[kind]) for name, kind in _BUTTONS.items() if kind in report.tables}
    if own and own.speed:
        named["Speed"] = own.speed
    return [[name, table_json(table, columns, labels)] for name, table in named.items()]


def _on_page(table: Table) -> Table:
    """In the order of the page, where one column has the rank by the number that the reader chooses."""
    kept = tuple(column for column in table.columns if not column.key.startswith("rank_"))
    return replace(table, columns=kept).in_page_order()


def _backbones(generations: Sequence[GenerationSpec]) -> str:
    """The encoders of a chain, oldest first, each named once in a run of the same."""
    names: list[str] = []
    for step in generations:
        tower = step.query_encoder
        name = f"{step.backbone} (queries: {tower.backbone or step.backbone})" if tower else step.backbone
        if not names or names[-1] != name:
            names.append(name)
    return " → ".join(names)


def _row(row: MethodRow, report: ScenarioReport, own: OwnRun | None) -> Json:
    """The data behind a click on the row."""
    method = row.runs.method
    return {
        "label": row.label,
        "name": method.name,
        "role": method.role,
        "kind": method.kind.heading,
        "league": row.league,
        "ranked": row.ranked,
        "ranks": {number.heading: rounded(place, 1) for number, place in report.ranks.get(row.label, {}).items()},
        "shares": {number.heading: sortable(row.number(number).value) for number in RANKED_BY},
        "summary": method.summary,
        "papers": [[number, abstract(number)] for number in dict.fromkeys(ARXIV.findall(method.summary))],
        "params": [[name, value] for name, value in method.params.items()],
        "needs": list(method.needs),
        "records": [_record(record, file_of if own else packed_file_of) for record in row.runs.records],
        "under": row.under,
        "setting": [row.setting, row.setting.sentence] if row.setting else None,
        "seeds": _seeds(row),
        "models": [_model(*one) for one in convergences(row)],
        "losses": [_losses(record, row.own_first_generation) for record in row.runs.records],
        **({"flips": _flips(own.flips.get(report.runs.scenario, {}).get(row.label))} if own else {}),
    }


def _flips(files: FlipFiles | None) -> Json:
    """Paths of the list of the row's flips, and of the worst in pictures."""
    return [files.list, files.sheet] if files else []


def _record(record: Record, file: Callable[[Record], str]) -> Json:
    """Seed, status, file below the leaderboard's folder, command, and where it comes from."""
    environment = record.environment
    return [
        record.spec.seed,
        record.status.value,
        file(record),
        record.command,
        record.reason,
        record.started[:10],
        (environment.git_sha or "")[:12],
        environment.gpu or environment.cpu,
        rounded(record.seconds, 0),
    ]


def _seeds(row: MethodRow) -> Json:
    """Of every finished seed: M(o,o), M(n,o), M(n,n), M(*,*), in points of mAP, then Γ, then tax in points."""
    if row.scores is None:
        return []
    entries = {entry: row.scores.of(MetricName.MAP, entry).mean(axis=1) for entry in Entry}
    lines: list[Json] = []
    for place, seed in enumerate(row.scores.seeds):
        old, cross, new, reference = (float(entries[entry][place]) for entry in Entry)
        derived = compatibility(old, cross, new, reference)
        gamma, tax = derived[MetricName.UPDATE_GAIN], derived[MetricName.TAX]
        points: list[Json] = [rounded(100 * value, 1) for value in (old, cross, new, reference)]
        lines.append(
            [
                seed,
                *points,
                None if gamma is None else rounded(gamma, 2),
                None if tax is None else rounded(100 * tax, 1),
            ]
        )
    return lines


def _model(seed: int, generation: str, found: Convergence) -> Json:
    """Seed, generation, accuracy on training and on held-out images (percent), and whether it has converged."""
    ends = [curve[-1] if curve else None for curve in (found.accuracy, found.held_out_accuracy)]
    training, held_out = (None if end is None else rounded(100 * end, 1) for end in ends)
    return [seed, generation, training, held_out, found.converged]


def _losses(record: Record, own_first_generation: bool) -> Json:
    """By generation and term; those of models that all rows share are left out."""
    return {
        generation: {term: [float(f"{one:.{_LOSS_DIGITS}g}") for one in values] for term, values in terms.items()}
        for generation, terms in record.losses.items()
        if generation.isdigit() and (generation != "0" or own_first_generation)
    }
