"""Adapters fitted in processes of their own: the same numbers, and a lost process costs one row."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from compatbench.comparison import side_by_side
from compatbench.comparison.effort import Effort
from compatbench.comparison.fitting import Fit, choose_adapters
from compatbench.comparison.side_by_side import FitProgress, fit_all
from compatbench.generations.adapters import PairedVectors

DIES = '''"""Ends its process."""

import os

from torch import nn

from compatbench.method import Adapter, Maps


class Dies(Adapter):
    """Ends its process (made up)."""

    name = "dies"

    def build(self, dim, old_dim):
        return Maps(query=nn.Linear(dim, old_dim))

    def fit(self, new, old, labels):
        print("not an answer", flush=True)
        os._exit(3)
'''


def pairs() -> PairedVectors:
    generator = torch.Generator().manual_seed(0)
    new, old = torch.randn(300, 24, generator=generator), torch.randn(300, 20, generator=generator)
    return PairedVectors(F.normalize(new), F.normalize(old), torch.arange(300) % 4)


def same(one: Fit, other: Fit) -> bool:
    """Whether two fits have the same bits."""
    assert one.adapter is not None
    assert other.adapter is not None
    sides = one.adapter.maps.state_dict(), other.adapter.maps.state_dict()
    return sides[0].keys() == sides[1].keys() and all(
        torch.equal(value, sides[1][key]) for key, value in sides[0].items()
    )


def test_processes_and_their_number_do_not_change_a_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dies.py").write_text(DIES)
    plugins = choose_adapters(("dies", "mlp"), (tmp_path,))
    (here,) = fit_all(plugins[1:], pairs(), Effort.QUICK, 0)
    monkeypatch.setattr(side_by_side, "WORTH_A_PROCESS", 0)
    monkeypatch.setattr(side_by_side, "cores", lambda: 2)
    seen: list[str] = []
    lost, found = fit_all(plugins, pairs(), Effort.QUICK, 0, (tmp_path,), lambda progress: seen.append(str(progress)))
    assert (lost.adapter, lost.reason) == (None, "failed: its process ended with exit code 3")
    assert same(found, here)
    assert (found.plugin.name, found.pairs, found.changes) == ("mlp", 300, here.changes)
    assert seen[-1] == "2 of 2 adapters fitted"


def test_one_thread_fits_whatever_the_caller_has_set() -> None:
    plugins = choose_adapters(("mlp",), ())
    before = torch.get_num_threads()
    once = fit_all(plugins, pairs(), Effort.QUICK, 0)
    try:
        torch.set_num_threads(4)
        again = fit_all(plugins, pairs(), Effort.QUICK, 0)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
    assert same(once[0], again[0])


def test_the_time_left_goes_by_the_work_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(side_by_side.time, "monotonic", lambda: clock[0])
    plans = [side_by_side.plan_fit(plugin, pairs(), Effort.FULL) for plugin in choose_adapters(("mlp", "ridge"), ())]
    progress = FitProgress(plans, begun=0.0)
    assert progress.seconds_left is None
    clock[0], progress.shares["mlp"] = 6.0, 0.5
    total, mlp = sum(plan.work for plan in plans), plans[0].work
    assert progress.seconds_left == pytest.approx(6 * (total / (mlp / 2) - 1))
    assert str(progress).startswith("0 of 2 adapters fitted, about ")
    assert str(progress).endswith("s left: mlp 50%")
