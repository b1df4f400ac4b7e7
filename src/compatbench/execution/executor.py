"""The one protocol of executors: start a cell somewhere, and tell what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from compatbench.execution.command import Origin
from compatbench.plan.cells import Cell
from compatbench.records.record import Record


class Watcher(Protocol):
    """Told what happens; the progress display is one."""

    def started(self, cell: Cell) -> None:
        """A cell has started."""

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        """A cell is at `share` of `stage`."""

    def noticed(self, cell: Cell, line: str) -> None:
        """A cell has something to say to the user."""

    def finished(self, cell: Cell, record: Record) -> None:
        """A cell has left its record."""


class Job(Protocol):
    """One cell under way."""

    cell: Cell

    def poll(self, watcher: Watcher) -> bool:
        """Pass on what the cell has told since the last time, and say whether it has ended."""

    def record(self) -> Record:
        """The record of a cell that has ended, which lies in the folder of runs from now on.

        Raises MachineError where the cell could not be recorded for want of a machine that works.
        """

    def stop(self) -> None:
        """End the cell with all that it started, if it still runs; it leaves no record."""


class Executor(Protocol):
    """A place to run cells in."""

    slots: int
    """Cells at a time."""
    origin: Origin
    """Of the cells, for the command in their records."""

    def start(self, cell: Cell) -> Job:
        """Start a cell."""

    def wait(self, jobs: Sequence[Job]) -> None:
        """Wait a moment, or until one of `jobs` has something to tell."""

    def close(self) -> None:
        """Give back what was taken, such as a connection."""
