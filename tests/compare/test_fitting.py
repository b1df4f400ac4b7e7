"""Fitting within a stated time: all pairs, fewer pairs, or a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compatbench.compare import fitting
from compatbench.compare.fitting import Pairs, choose_adapters, fit_within
from compatbench.discovery.plugins import Catalogue
from compatbench.errors import RequestError
from compatbench.method import Role


def pairs(size: int = 300, classes: bool = True) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    new, old = torch.randn(size, 6, generator=generator), torch.randn(size, 5, generator=generator)
    labels = torch.arange(size) % 4 if classes else None
    return Pairs(torch.nn.functional.normalize(new), torch.nn.functional.normalize(old), labels)


def test_a_closed_form_gets_all_pairs(catalogue: Catalogue) -> None:
    fit = fit_within(catalogue.get("ridge"), pairs(), 0.001, 0)
    assert fit.adapter is not None
    assert (fit.pairs, fit.wanted_pairs, fit.reason) == (300, 300, "")
    assert fit.adapter.facts["pairs"] == 300


def test_a_trained_adapter_gets_as_many_pairs_as_fit_into_the_time(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "FEWEST_PAIRS", 50)
    monkeypatch.setattr(fitting, "_seconds_per_pair", lambda *_: 0.01)  # 50 epochs of 300 pairs: 150 s
    fit = fit_within(catalogue.get("mlp"), pairs(), 75.0, 0)
    assert fit.adapter is not None
    assert (fit.pairs, fit.wanted_pairs) == (150, 300)
    assert fit.adapter.facts["pairs"] == 150
    assert fit.adapter.params.epochs == 50  # its published number
    assert fit_within(catalogue.get("mlp"), pairs(), 150.0, 0).pairs == 300


def test_where_too_few_pairs_fit_into_the_time_it_is_skipped_and_says_what_it_takes(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "FEWEST_PAIRS", 100)
    monkeypatch.setattr(fitting, "_seconds_per_pair", lambda *_: 0.01)
    fit = fit_within(catalogue.get("mlp"), pairs(), 40.0, 0)
    assert fit.adapter is None
    assert fit.reason.startswith("fitting takes about 2 min at its 50 epochs on 300 pairs here, and 40 s are allowed")
    assert "--fit-seconds 70" in fit.reason  # 100 pairs take 50 s, and a fifth more is a margin
    assert fit_within(catalogue.get("mlp"), pairs(), 70.0, 0).pairs == 140


def test_the_trial_leaves_out_what_is_done_once(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only fitting moves: 5 s once, and a hundredth of a second a pair and epoch."""
    clock = [0.0]

    def fit(plugin: object, params: object, few: Pairs, seed: int) -> None:
        clock[0] += 5 + 0.01 * len(few) * params.epochs  # type: ignore[attr-defined]

    monkeypatch.setattr(fitting, "_fit", fit)
    monkeypatch.setattr(fitting, "_clocks", lambda: (clock[0], 2 * clock[0]))
    plugin = catalogue.get("mlp")
    assert fitting._seconds_per_pair(plugin, plugin.resolve({}), pairs(), 0) == pytest.approx(0.01)


def test_a_sample_numbers_its_classes_without_gaps() -> None:
    rare = Pairs(torch.eye(40), torch.eye(40), torch.arange(40))
    sample = rare.sample(10, 0)
    assert sample.classes is not None
    assert sorted(sample.classes.tolist()) == list(range(10))
    assert sample.task.num_classes == 10
    kept = sample.new.argmax(dim=1)
    assert torch.equal(kept, sample.old.argmax(dim=1))
    assert torch.equal(kept.argsort().argsort(), sample.classes)


def test_adapters_that_need_classes_are_skipped_without_them(catalogue: Catalogue) -> None:
    fit = fit_within(catalogue.get("slerp"), pairs(classes=False), 10, 0)
    assert fit.adapter is None
    assert fit.reason == "needs class labels, and only relevance judgements were given"
    assert fit_within(catalogue.get("procrustes"), pairs(classes=False), 10, 0).adapter is not None


def test_all_methods_among_the_adapters_are_compared(catalogue: Catalogue) -> None:
    expected = {
        name
        for name, plugin in catalogue.plugins.items()
        if plugin.kind == "adapter" and plugin.cls.role is Role.METHOD
    }
    assert {plugin.name for plugin in choose_adapters((), ())} == expected
    assert [plugin.name for plugin in choose_adapters(("ridge", "identity"), ())] == ["ridge", "identity"]


@pytest.mark.parametrize(("name", "complaint"), [("bct", "cannot be fitted on embeddings"), ("rigde", "ridge")])
def test_other_methods_are_refused(name: str, complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        choose_adapters((name,), ())


FAILING = '''"""Fails."""

import torch
from torch import nn

from compatbench.method import Adapter, Maps


class Failing(Adapter):
    """Fails (made up)."""

    name = "failing"

    def build(self, dim, old_dim):
        return Maps(query=nn.Linear(dim, old_dim))

    def fit(self, new, old, labels):
        maps = self.build(new.shape[1], old.shape[1])
        WHAT
        return maps
'''


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("raise ValueError('no luck\\ntoday')", "failed: ValueError: no luck today"),
        ("maps.query.weight.data.fill_(torch.nan)", "it maps vectors to NaN or infinite values"),
    ],
)
def test_an_adapter_that_fails_is_a_row_with_its_reason(tmp_path: Path, what: str, reason: str) -> None:
    (tmp_path / "failing.py").write_text(FAILING.replace("WHAT", what))
    (plugin,) = choose_adapters(("failing",), (tmp_path,))
    fit = fit_within(plugin, pairs(), 10, 0)
    assert fit.adapter is None
    assert fit.reason.endswith(reason)
    assert "\n" not in fit.reason
