"""Runs in processes of their own, which can all be found again, whatever became of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

DRIVER = Path(__file__).with_name("driver.py")


class Runs:
    """Starts driver.py; all processes that come of it carry a mark in their environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name, self.value = "COMPATBENCH_TEST", uuid.uuid4().hex

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A run of the cells in ROOT/cells.json, as the leader of a process group."""
        return self._start(DRIVER, self.root, *words)

    def command(self, *words: str) -> subprocess.Popen[str]:
        """`compatbench …` in ROOT, in the same way."""
        return self._start("-m", "compatbench", *words)

    def _start(self, *words: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.root,
            env={**os.environ, self.name: self.value},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # a shell starts its background jobs, and so tests that run in one, with SIGINT ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
        )

    def alive(self) -> list[int]:
        """Processes that were started here, and those that these started."""
        mark = f"{self.name}={self.value}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes():  # empty for one that ended already
                    found.append(int(folder.name))
        return found

    def wait_for_none(self, seconds: float = 200.0) -> None:
        """Until all of them have ended; the test fails where one does not."""
        end = time.monotonic() + seconds
        while alive := self.alive():
            assert time.monotonic() < end, f"processes are left: {alive}"
            time.sleep(0.05)

    def kill_all(self) -> None:
        """End all of them."""
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
