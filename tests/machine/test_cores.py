"""The seconds that processes wait for a CPU, against real ones that compete for one."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from compatbench.machine.cores import queued_seconds

ON_ONE_CPU = "import os, sys, time; os.sched_setaffinity(0, {int(sys.argv[1])}); print(flush=True)\n"


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="the system does not count waiting")
def test_of_processes_on_one_cpu_those_that_compute_wait_and_one_that_sleeps_does_not() -> None:
    cpu = str(min(os.sched_getaffinity(0)))
    codes = [ON_ONE_CPU + "while True: pass", ON_ONE_CPU + "while True: pass", ON_ONE_CPU + "time.sleep(600)"]
    started = [subprocess.Popen([sys.executable, "-c", code, cpu], stdout=subprocess.PIPE) for code in codes]
    try:
        for one in started:
            assert one.stdout is not None
            one.stdout.readline()
        before, begun = [queued_seconds(one.pid) for one in started], time.monotonic()
        time.sleep(1)
        busy, busy_too, asleep = (queued_seconds(one.pid) - old for one, old in zip(started, before, strict=True))
        passed = time.monotonic() - begun
    finally:
        for one in started:
            one.kill()
            one.communicate()
    assert 0.7 < busy + busy_too < 2 * passed + 0.5, "one of the two waits at any time, or both"
    assert asleep < 0.5 * passed, "no more than its way to sleep"
    assert queued_seconds(started[0].pid) == 0.0, "of a process that is gone"
