"""Steps of several methods timed in turn: every repeat trains all of them, and keeps nothing."""

from __future__ import annotations

import pytest

from compatbench.generations.step_times import step_ratios


def test_every_repeat_trains_all_rows_in_turn_and_keeps_no_model(trainer, catalogue, trainings, monkeypatch):
    """A clock that ticks 1 s a look in trainings of independent, and 3 s in those of bct."""
    from compatbench.generations import loop

    now = [0.0]

    def processor_time() -> float:
        now[0] += 3.0 if trainings[-1].startswith("bct") else 1.0
        return now[0]

    monkeypatch.setattr(loop.time, "process_time", processor_time)
    short = trainer()
    rows = {name: (catalogue.get(name), catalogue.get(name).resolve({})) for name in ("independent", "bct")}
    found = step_ratios(short, rows, 2)
    assert found["independent"] == (1.0, 1.0)
    assert found["bct"] == pytest.approx((3.0, 3.0))
    assert trainings == 2 * ["independent 1", "independent 0", "bct 1"], "the old model once a repeat"
    assert not short.store.models.exists()
