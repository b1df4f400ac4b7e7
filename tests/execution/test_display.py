"""What a run prints where there is no terminal, and on one."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from compatbench.execution.display import Display
from compatbench.plan.cells import Cell
from compatbench.records.record import CellSpec, Record
from compatbench.vocabulary import Status


@pytest.fixture
def cell(cell_spec: CellSpec) -> Cell:
    return Cell(cell_spec, None)


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_one_plain_line_for_each_cell_that_ends(cell: Cell, record: Record) -> None:
    console = Console(file=io.StringIO(), width=40)
    skipped = record.model_copy(update={"status": Status.SKIPPED, "reason": "needs [more] dimensions than 7"})
    failed = record.model_copy(update={"status": Status.OOM, "reason": "MemoryError", "seconds": 61.4})
    with Display(console, 12) as display:
        display.started(cell)
        display.progressed(cell, "train", 0.5)
        display.finished(cell, record)
        display.noticed(cell, "x.safetensors is damaged")
        display.finished(cell, skipped)
        display.finished(cell, failed)
    assert lines(console) == [
        "[ 1/12] ok      extended_data · bct(weight=2) · seed 3  12 s",
        "        extended_data · bct(weight=2) · seed 3: x.safetensors is damaged",
        "[ 2/12] skipped extended_data · bct(weight=2) · seed 3  needs [more] dimensions than 7",
        "[ 3/12] oom     extended_data · bct(weight=2) · seed 3  61 s  MemoryError",
    ]


def test_a_terminal_shows_what_runs_and_what_is_left(cell: Cell, record: Record) -> None:
    now = 100.0
    display = Display(Console(file=io.StringIO(), force_terminal=True, width=120, get_time=lambda: now), 3)

    def panel() -> str:
        shown = Console(file=io.StringIO(), width=120)
        shown.print(display.panel.get_renderable())
        return "\n".join(line.rstrip() for line in lines(shown))

    display.started(cell)
    now = 130.0
    display.progressed(cell, "train bct 1", 0.25)
    assert re.search(r"seed 3 +train bct 1 +━━━━━[^━]*━* +0:00:30", panel())
    assert re.search(r"0 of 3 cells .* 0:00:30 -:--:--", panel())
    display.finished(cell, record)
    assert "train bct 1" not in panel()
    display.progressed(cell, "too late", 0.5)
    assert "too late" not in panel()
    now = 160.0
    display.finished(cell, record)
    assert re.search(r"2 of 3 cells .* 0:01:00 0:00:30", panel()), "two of three in a minute"
