"""What the fixtures of these tests hand out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compatbench.plan.cells import Cell
from compatbench.records.store import Store


@dataclass(frozen=True)
class Published:
    """Two cells of a suite that counts as built in, run just now, and the folders of runs and leaderboard."""

    runs: Store
    leaderboard: Store
    cells: list[Cell]
    data: Path
