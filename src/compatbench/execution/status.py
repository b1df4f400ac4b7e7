"""The state of each cell of a suite so far, also while another process runs it."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Sequence

from compatbench.errors import one_line
from compatbench.execution.claims import CellProgress, running
from compatbench.plan.cells import Cell, outcome
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.vocabulary import Status

DONE = (Status.OK, Status.SKIPPED)


def status_lines(cells: Sequence[Cell], store: Store, now: datetime.datetime) -> Iterator[str]:
    """One line a running or failed cell, with the stage or the reason and the log, then how many there are of each.

    A cell that is being run again counts as running, whatever its last record says.
    """
    counts: Counter[str] = Counter()
    for cell in cells:
        record, progress = outcome(cell, store), running(store, cell.spec)
        if progress is not None:
            counts["running"] += 1
            yield f"running  {cell.title}  {_progress(progress, now)}"
        elif record is None:
            counts["waiting"] += 1
        else:
            counts[record.status.value] += 1
            if record.status not in DONE:
                yield f"{record.status.value:<8} {cell.title}  {_why(record)}  ({store.log(cell.spec)})"
    parts = [f"{counts[name]} {name}" for name in ("running", "waiting", *Status) if counts[name]]
    yield f"{len(cells)} cells: {', '.join(parts)}"


def _progress(progress: CellProgress, now: datetime.datetime) -> str:
    text = f"{progress.stage} {100 * progress.share:.0f}%"
    try:
        seconds = (now - datetime.datetime.fromisoformat(progress.started)).total_seconds()
    except (ValueError, TypeError):
        return text
    return f"{text}, for {max(0.0, seconds):.0f} s"  # the clock may have been set back


def _why(record: Record) -> str:
    return one_line(record.reason) or "no reason given"
