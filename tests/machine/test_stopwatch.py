from __future__ import annotations

import pytest

from compatbench.machine import stopwatch
from compatbench.machine.stopwatch import Stopwatch


def test_the_seconds_of_a_stage_add_up_also_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0, 20.0, 23.0, 40.0, 41.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(clock))
    begun: list[tuple[str, float]] = []
    watch = Stopwatch(lambda stage, share: begun.append((stage, share)))
    with watch.stage("models"):
        pass
    with pytest.raises(ValueError, match="no"), watch.stage("models"):
        raise ValueError("no")
    with watch.stage("evaluation"):
        pass
    assert watch.seconds == {"models": 5.0, "evaluation": 1.0}
    assert begun == [("models", 0.0), ("models", 0.0), ("evaluation", 0.0)]
