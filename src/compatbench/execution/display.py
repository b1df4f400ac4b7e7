"""What a user sees while cells run: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from compatbench.execution.executor import Watcher
from compatbench.plan.cells import Cell
from compatbench.records.record import Record
from compatbench.vocabulary import Status

STYLES = {Status.OK: "green", Status.SKIPPED: "yellow"}


class Display(Watcher):
    """Follows a run: one line for each cell that ends, and on a terminal what runs now below them."""

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self.total = total
        self.ended = 0
        self.begun = time.monotonic()
        self.stages: dict[str, tuple[str, float, float]] = {}
        self.live = Live(console=console, refresh_per_second=4, get_renderable=self._panel, transient=True)

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def started(self, cell: Cell) -> None:
        """A cell's process has started."""
        self.stages[_title(cell)] = ("start", 0.0, time.monotonic())

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        """A cell is at `share` of `stage`."""
        if _title(cell) in self.stages:
            self.stages[_title(cell)] = (stage, share, self.stages[_title(cell)][2])

    def noticed(self, cell: Cell, line: str) -> None:
        """A cell has something to say."""
        self._print(Text(f"        {_title(cell)}: {line}", style="yellow"))

    def finished(self, cell: Cell, record: Record) -> None:
        """A cell has left its record."""
        self.stages.pop(_title(cell), None)
        self.ended += 1
        width = len(str(self.total))
        line = Text(f"[{self.ended:>{width}}/{self.total}] ")
        line.append(f"{record.status.value:<8}", style=STYLES.get(record.status, "bold red"))
        line.append(f"{_title(cell)}")
        if record.status is not Status.SKIPPED:
            line.append(f"  {record.seconds:.0f} s", style="dim")
        if record.reason:
            line.append(f"  {record.reason}", style="dim")
        self._print(line)

    def _print(self, line: Text) -> None:
        self.console.print(line, soft_wrap=not self.console.is_terminal, highlight=False)

    def _panel(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for title, (stage, share, begun) in self.stages.items():
            filled = round(20 * share)
            bar = "━" * filled + "─" * (20 - filled)
            table.add_row(f"  {title}", stage, bar, f"{time.monotonic() - begun:.0f} s")
        return Group(table, Text(f"  {self._remaining()}", style="dim"))

    def _remaining(self) -> str:
        elapsed = time.monotonic() - self.begun
        if not self.ended:
            return f"0 of {self.total} cells, {elapsed:.0f} s"
        left = elapsed / self.ended * (self.total - self.ended)
        return f"{self.ended} of {self.total} cells, {elapsed:.0f} s, about {left:.0f} s left"


def _title(cell: Cell) -> str:
    return f"{cell.spec.scenario} · {cell.spec.method.label} · seed {cell.spec.seed}"
