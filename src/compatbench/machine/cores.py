"""The processor's cores."""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def queued_seconds(pid: int | None) -> float:
    """Seconds that the main thread of a process has been ready to run while others had the CPU; 0 if nobody counts."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9  # run, waited, turns; Linux
    except (OSError, ValueError, IndexError):
        return 0.0
