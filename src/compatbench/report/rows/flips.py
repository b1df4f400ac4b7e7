"""Flipped queries, row by row of the tables: rates, all of them, and the worst with the first items of both systems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.flips import CUTOFFS, flip_estimates, negative_flips, positive_flips
from compatbench.records.parts import WorstFlip
from compatbench.records.record import Record
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns, file_of
from compatbench.report.rows.scores import ScoreReader

WORST = 12
"""Queries of each system that are shown."""

CROSS, FULL = "no", "nn"
"""The systems: new queries on the old gallery, and after the full backfill."""


class SampleLookup(Protocol):
    """Labels, names and images of queries and gallery items, by sample id."""

    def label(self, sample: int) -> str:
        """Name of its class."""

    def name(self, sample: int) -> str | None:
        """A readable name, such as a relative path."""

    def pixels(self, sample: int) -> NDArray[np.uint8]:
        """Its image (C, H, W), grey or RGB."""


@dataclass(frozen=True)
class ShownFlip:
    """A query with a hit at rank 1 in the old system, and with none there in the new one."""

    seed: int
    flip: WorstFlip
    old_ap: float
    new_ap: float
    new_rank: int
    """Of the first relevant item."""

    @property
    def loss(self) -> float:
        """How much average precision the upgrade costs this query."""
        return self.old_ap - self.new_ap


@dataclass(frozen=True, eq=False)
class FlipList:
    """The flips of one row, over its finished seeds, between neighbouring generations."""

    row: MethodRow
    flips: pd.DataFrame
    """One line a query, seed and new system, the largest loss of average precision first."""
    worst: tuple[tuple[str, str, tuple[ShownFlip, ...]], ...]
    """Query and gallery generation of a new system, and its worst negative flips, worst first."""


def flip_rates(
    scenario: ScenarioRuns, rows: Sequence[MethodRow], reader: ScoreReader
) -> dict[tuple[str, str], dict[str, Estimate]]:
    """By label and system."""
    entries = {CROSS: (scenario.newest, "0"), FULL: (scenario.newest, scenario.newest)}
    systems = {
        (row.label, system): [
            (reader.entry(record, "0", "0"), reader.entry(record, *entry)) for record in row.runs.finished
        ]
        for row in rows
        for system, entry in entries.items()
    }
    return flip_estimates(systems, CUTOFFS)


def flip_lists(rows: Sequence[MethodRow], reader: ScoreReader) -> list[FlipList]:
    """One list for each row with a finished seed."""
    return [_flip_list(row, reader) for row in rows if row.runs.finished]


def _flip_list(row: MethodRow, reader: ScoreReader) -> FlipList:
    parts = [part for record in row.runs.finished for part in _flips(record, reader)]
    flips = pd.concat(parts, ignore_index=True).sort_values(
        ["queries", "gallery", "ap_change", "seed", "query"], kind="stable", ignore_index=True
    )
    return FlipList(row, flips, tuple(_worst(row, flips)))


def _flips(record: Record, reader: ScoreReader) -> Iterator[pd.DataFrame]:
    for new in range(1, len(record.spec.generations)):
        before = reader.entry(record, str(new - 1), str(new - 1))
        for gallery in (new - 1, new):
            after = reader.entry(record, str(new), str(gallery))
            assert isinstance(before, QueryResults)  # those of a leaderboard, in groups of queries, list no flips
            assert isinstance(after, QueryResults)
            frame = pd.DataFrame({"seed": record.spec.seed, "query": before.ids, "queries": new, "gallery": gallery})
            for k in CUTOFFS:
                flips = [flip(before, after, k) == 1 for flip in (negative_flips, positive_flips)]
                frame[f"flip@{k}"] = np.select(flips, ["negative", "positive"], "")
            frame["old_rank"], frame["new_rank"] = before.first_rank, after.first_rank
            frame["old_ap"], frame["new_ap"] = before.average_precision, after.average_precision
            frame["ap_change"] = frame["new_ap"] - frame["old_ap"]
            yield frame[(frame[[f"flip@{k}" for k in CUTOFFS]] != "").any(axis=1)]


def _worst(row: MethodRow, flips: pd.DataFrame) -> Iterator[tuple[str, str, tuple[ShownFlip, ...]]]:
    negative = flips[flips["flip@1"] == "negative"]
    keys = negative[["seed", "query", "queries", "gallery"]].itertuples(index=False, name=None)
    lines = dict(zip(keys, negative[["old_ap", "new_ap", "new_rank"]].itertuples(index=False, name=None), strict=True))
    found: dict[tuple[str, str], list[ShownFlip]] = {}
    for record in row.runs.finished:
        for flip in record.worst_flips:
            system = flip.query_generation, flip.gallery_generation
            line = lines.get((record.spec.seed, flip.id, *map(int, system)))
            if line is None:
                raise RequestError(f"{file_of(record)}: query {flip.id} does not flip; run its cell again")
            found.setdefault(system, []).append(ShownFlip(record.spec.seed, flip, *line))
    for system, several in sorted(found.items()):
        several.sort(key=lambda one: (-one.new_rank, -one.loss, one.flip.id, one.seed))
        yield *system, tuple(several[:WORST])
