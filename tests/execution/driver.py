"""A run as a process of its own: `python driver.py ROOT JOBS [retry]`, on the cells that ROOT/cells.json lists.

It prints a line for each thing that happens; its exit code is that of the command line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from compatbench.errors import MachineError
from compatbench.execution.cell import RunContext
from compatbench.execution.local import LocalExecutor
from compatbench.plan.cells import Cell, remaining
from compatbench.records.record import CellSpec, Record
from compatbench.records.store import Store


class Told:
    """Prints what a watcher is told."""

    def started(self, cell: Cell) -> None:
        print("started", cell.spec.method.label, cell.spec.seed, flush=True)

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        pass

    def noticed(self, cell: Cell, line: str) -> None:
        print("noticed", line, flush=True)

    def finished(self, cell: Cell, record: Record) -> None:
        print("finished", cell.spec.method.label, cell.spec.seed, record.status.value, flush=True)


def main() -> None:
    root, jobs, retry = Path(sys.argv[1]), int(sys.argv[2]), "retry" in sys.argv
    context = RunContext(root / "runs", root / "data", (root / "methods",) if (root / "methods").is_dir() else ())
    cells = [Cell(CellSpec.model_validate(spec), None) for spec in json.loads((root / "cells.json").read_text())]
    todo = remaining(cells, Store(context.runs), retry, lambda line: print("remaining", line, flush=True))
    print("todo", len(todo), flush=True)
    try:
        LocalExecutor(context, jobs, 500).run(todo, Told())
    except MachineError as error:
        print("error:", error, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
