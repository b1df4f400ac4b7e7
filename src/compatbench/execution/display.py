"""The view of running cells: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from compatbench.execution.executor import Watcher
from compatbench.plan.cells import Cell
from compatbench.records.record import Record
from compatbench.vocabulary import Status

STYLES = {Status.OK: "green", Status.SKIPPED: "yellow"}


class Display(Watcher):
    """Shows a run: one line for each finished cell, and on a terminal the running ones below."""

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self.total = total
        self.ended = 0
        columns = (
            TextColumn("  {task.description}", markup=False),
            TextColumn("{task.fields[stage]}", markup=False),
            BarColumn(20),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.panel = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal, speed_estimate_period=math.inf
        )
        self.whole = self.panel.add_task(f"0 of {total} cells", total=total, stage="")
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Display:
        self.panel.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.panel.stop()

    def started(self, cell: Cell) -> None:
        """A cell's process has started."""
        self.tasks[cell.title] = self.panel.add_task(cell.title, total=1.0, stage="start")

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        """A cell is at `share` of `stage`."""
        if cell.title in self.tasks:
            self.panel.update(self.tasks[cell.title], completed=share, stage=stage)

    def noticed(self, cell: Cell, line: str) -> None:
        """A cell has a message for the user."""
        self._print(Text(f"        {cell.title}: {line}", style="yellow"))

    def finished(self, cell: Cell, record: Record) -> None:
        """A cell has its record."""
        if cell.title in self.tasks:
            self.panel.remove_task(self.tasks.pop(cell.title))
        self.ended += 1
        self.panel.update(self.whole, completed=self.ended, description=f"{self.ended} of {self.total} cells")
        width = len(str(self.total))
        line = Text(f"[{self.ended:>{width}}/{self.total}] ")
        line.append(f"{record.status.value:<8}", style=STYLES.get(record.status, "bold red"))
        line.append(cell.title)
        if record.status is not Status.SKIPPED:
            line.append(f"  {record.seconds:.0f} s", style="dim")
        if record.reason:
            line.append(f"  {record.reason}", style="dim")
        self._print(line)

    def _print(self, line: Text) -> None:
        self.console.print(line, soft_wrap=not self.console.is_terminal, highlight=False)
