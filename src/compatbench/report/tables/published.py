"""Published figures, shown beside a suite's own as marked rows and never ranked.

They lie in benchmarks/published/<suite>.yaml, each with its source. They were measured on other splits, by other code
and mostly without seeds, so they enter no comparison: they are put into a finished table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from compatbench.report.render.table import Group, Row, Table, TableCell
from compatbench.report.rows.controls import ScenarioRows
from compatbench.report.tables.leaderboard import leaderboard
from compatbench.storage.builtin import builtin_folder
from compatbench.storage.strict_yaml import read_mapping
from compatbench.storage.validation import validated
from compatbench.vocabulary import Entry

MARK = "‖"
TITLE = "Published elsewhere, not measured here"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figures(_Model):
    """One entry of the matrix, in points; an unpublished number is absent."""

    mAP: float | None = Field(None, ge=0, le=100)  # noqa: N815 - the metric's name in records
    CMC1: float | None = Field(None, ge=0, le=100)
    CMC5: float | None = Field(None, ge=0, le=100)


class PublishedRow(_Model):
    """The figures of one source for one method."""

    scenario: str
    method: str
    source: str = Field(min_length=1)
    setting: str = Field(min_length=1)
    """What differs from the suite, or has to be known to compare."""
    old: Figures = Figures()
    cross: Figures = Figures()
    new: Figures = Figures()

    @property
    def cells(self) -> dict[str, TableCell]:
        """Those of the leaderboard that have a figure."""
        return {
            "method": TableCell(self.method, marks=(MARK,)),
            "oo": TableCell(self.old.mAP),
            "no": TableCell(self.cross.mAP),
            "nn": TableCell(self.new.mAP),
            "cmc1": TableCell(self.cross.CMC1),
            "verdict": TableCell("published, not measured here"),
        }

    @property
    def note(self) -> str:
        """All published facts of the row, in one line."""
        figures = []
        for entry, figure in {Entry.OLD: self.old, Entry.CROSS: self.cross, Entry.NEW: self.new}.items():
            values = [f"{key.replace('CMC', 'CMC@')} {value:g}" for key, value in figure if value is not None]
            figures += [f"{entry} {', '.join(values)}"] if values else []
        return f"{self.method}: {'; '.join(figures)} ({self.setting}; {self.source})"


class _File(_Model):
    rows: tuple[PublishedRow, ...] = Field(min_length=1)


def published_rows(suite: str) -> tuple[PublishedRow, ...]:
    """The published rows of a built-in suite; none for any other. RequestError names an error in its file."""
    path = builtin_folder("benchmarks") / "published" / f"{suite}.yaml"
    if not path.is_file():
        return ()
    return validated(_File, read_mapping(path), f"{path}: ").rows


def scores_table(scenario: ScenarioRows) -> Table:
    """The leaderboard of a scenario, with the published rows."""
    return with_published(leaderboard(scenario), published_rows(scenario.runs.suite), scenario.runs.scenario)


def with_published(table: Table, rows: Sequence[PublishedRow], scenario: str) -> Table:
    """The leaderboard of `scenario` with its published rows in a group of their own, after all others."""
    shown = [row for row in rows if row.scenario == scenario]
    if not shown:
        return table
    lines = tuple(Row(row.cells) for row in shown)
    notes = ". ".join(row.note for row in shown)
    footnote = f"published by others on other splits and settings; shown for orientation, never ranked. {notes}."
    return replace(table, groups=(*table.groups, Group(TITLE, lines)), footnotes={**table.footnotes, MARK: footnote})
