"""The table of the models of a scenario: how well they learned, and whether their training has converged."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from compatbench.records.record import Record
from compatbench.report.render.table import Column, Row, Table, TableCell, Unit
from compatbench.report.rows.closing import shared_model
from compatbench.report.rows.controls import ScenarioRows
from compatbench.report.tables.method_rows import OWN_OLD, grouped, method_row, own_old, scenario_table
from compatbench.vocabulary import League, Role

_MODEL = Column("method", "model", "The shared models; then the new model of every method that trains one.", Unit.TEXT)
_COLUMNS = (
    _MODEL,
    Column(
        "training",
        "training accuracy",
        "Training images classified right in the last epoch, in percent.",
        interval=True,
    ),
    Column("held_out", "held-out accuracy", "The same of held-out images of the model's classes.", interval=True),
    Column("fall", "loss fell by", "Over the last third of the epochs, in percent.", interval=True),
    Column("converged", "converged", "By the rule of the protocol; else the seeds with which it did not.", Unit.TEXT),
)


def models_table(found: ScenarioRows) -> Table | None:
    """The shared models, and the new one of each method that trains; None if no record says how training went."""
    newest = str(len(found.rows[0].runs.records[0].spec.generations) - 1)
    lines: list[tuple[Role | League, Row]] = []
    shared = found.status_quo
    for generation in ("0", f"*{newest}") if shared else ():
        if shared and (cells := _cells(shared.runs.finished, generation)):
            lines.append((Role.REFERENCE, Row({"method": TableCell(shared_model(generation)), **cells})))
    for row in found.rows:
        trained = row.runs.method.kind == "training" and not row.is_baseline
        for generation in (("0", newest) if row.own_first_generation else (newest,)) if trained else ():
            if cells := _cells(row.runs.finished, generation):
                name = f"{row.label}, old model" if generation == "0" else row.label
                lines.append((row.section, method_row(row, {"method": TableCell(name, marks=own_old(row)), **cells})))
    if not lines:
        return None
    return scenario_table(
        found.runs,
        "models",
        "how well the models learned",
        "Mean over seeds, in brackets the lowest and the highest. A scenario with an old or independent model that has "
        "not converged ranks nobody.",
        _COLUMNS,
        grouped(lines),
        {OWN_OLD: "trains its own first generation."},
    )


def _cells(records: Sequence[Record], generation: str) -> dict[str, TableCell]:
    known = {record.spec.seed: one for record in records if (one := record.convergence.get(generation)) is not None}
    if not known:
        return {}
    missed = [str(seed) for seed, one in known.items() if not one.converged]
    return {
        "training": _spread([one.accuracy[-1] for one in known.values() if one.accuracy]),
        "held_out": _spread([one.held_out_accuracy[-1] for one in known.values() if one.held_out_accuracy]),
        "fall": _spread([one.loss_fall for one in known.values() if one.loss_fall is not None]),
        "converged": TableCell(f"not with seed {', '.join(missed)}" if missed else "yes"),
    }


def _spread(shares: Sequence[float]) -> TableCell:
    percent = [100 * share for share in shares]
    if len(percent) < 2:
        return TableCell(percent[0] if percent else None)
    return TableCell(fmean(percent), min(percent), max(percent))
