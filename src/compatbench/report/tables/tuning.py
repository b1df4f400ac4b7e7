"""The table of tuned against published values of each method of a suite, over all scenarios."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.evaluation.means import mean_estimate
from compatbench.evaluation.significance import FAMILY, INTERVALS, Values, corrected_p_values, sign
from compatbench.report.render.table import Column, Table, TableCell, Unit
from compatbench.report.rows.controls import ScenarioRows
from compatbench.report.rows.estimates import tuning_gain
from compatbench.report.rows.row import MethodRow
from compatbench.report.tables.cells import points
from compatbench.report.tables.method_rows import METHOD, grouped, method_row, used
from compatbench.vocabulary import MetricName, ParameterSetting

_VALUES = Column(
    "values", "published → tuned", "Parameters that differ, with the published and the tuned value.", Unit.TEXT
)
_WORDS = {
    MetricName.CROSS_GAIN: ("gain", "How much more M(n,o) − M(o,o) the tuned setting has, mAP in points"),
    MetricName.BACKFILL_SHARE: ("mean M(β)", "How much more mAP it has on average while a backfill runs, in points"),
}
_MARKS = {1: ("↑",), -1: ("↓",), 0: ()}
_FOOTNOTES = {"↑": "tuned significantly above published.", "↓": "tuned significantly below published."}


def tuning_table(scenarios: Sequence[ScenarioRows]) -> Table | None:
    """A line for each method with both settings, or whose published values were the best; None without any of these."""
    tuned: dict[str, MethodRow] = {}
    published: dict[str, MethodRow] = {}
    cells: dict[str, dict[str, TableCell]] = {}
    columns = []
    for found in scenarios:
        rows = {row.label: row for row in found.rows}
        tuned |= {row.label: row for row in found.rows if row.setting is ParameterSetting.BOTH}
        pairs = {row.under: (rows[row.under], row) for row in found.rows if row.under in rows}
        tuned |= {label: one for label, (one, _) in pairs.items()}
        published |= {label: other for label, (_, other) in pairs.items()}
        for number, (word, text) in _WORDS.items():
            name = found.runs.scenario
            columns.append(Column(f"{name}-{number}", f"{name}: {word}", f"{text}, in {name}.", interval=True))
            for label, cell in _cells(pairs, number).items():
                cells.setdefault(label, {})[columns[-1].key] = cell
    if not tuned:
        return None
    groups = grouped(
        (one.section, method_row(one, {"values": _values(one, published.get(label)), **cells.get(label, {})}))
        for label, one in tuned.items()
    )
    return Table(
        "tuning",
        "Tuned against published by method",
        f"Tuned less published, paired over seeds and queries. {INTERVALS}; ↑ and ↓ are significant ({FAMILY} over "
        "the methods of a scenario). Values were chosen by A on held-out images, one set for all scenarios.",
        (METHOD, _VALUES, *columns),
        groups,
        used(_FOOTNOTES, groups),
    )


def _cells(pairs: dict[str, tuple[MethodRow, MethodRow]], number: MetricName) -> dict[str, TableCell]:
    """The differences of one scenario in `number`, by the label of the tuned row; one seed has no marks."""
    more: dict[str, Values] = {}
    for label, (one, other) in pairs.items():
        difference = tuning_gain(one.scores, other.scores, number) if one.scores and other.scores else None
        if difference is not None:
            more[label] = difference
    p_values = corrected_p_values({label: values for label, values in more.items() if len(values) > 1})
    found = {}
    for label, values in more.items():
        estimate = mean_estimate(values)
        marks = _MARKS[sign(estimate, p_values[label])] if label in p_values else ()
        found[label] = points(estimate, marks)
    return found


def _values(tuned: MethodRow, published: MethodRow | None) -> TableCell:
    if published is None:
        return TableCell(ParameterSetting.BOTH)
    new, old = tuned.runs.method.params, published.runs.method.params
    changed = [f"{key} {_short(old.get(key))} → {_short(value)}" for key, value in new.items() if value != old.get(key)]
    return TableCell(", ".join(changed))


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
