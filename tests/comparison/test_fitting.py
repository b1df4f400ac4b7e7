"""Fitting one adapter: by the published or the quick schedule, or not at all, with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compatbench.comparison.effort import Effort
from compatbench.comparison.fitting import Fit, choose_adapters, counted_steps, fit_planned, plan_fit
from compatbench.discovery.plugins import Catalogue, Plugin
from compatbench.errors import RequestError
from compatbench.generations.adapters import PairedVectors
from compatbench.method import Role


def pairs(size: int = 300, classes: bool = True) -> PairedVectors:
    generator = torch.Generator().manual_seed(0)
    new, old = torch.randn(size, 6, generator=generator), torch.randn(size, 5, generator=generator)
    labels = torch.arange(size) % 4 if classes else None
    return PairedVectors(torch.nn.functional.normalize(new), torch.nn.functional.normalize(old), labels)


def fitted(plugin: Plugin, some: PairedVectors, effort: Effort = Effort.QUICK) -> Fit:
    return fit_planned(plan_fit(plugin, some, effort), some, 0)


def test_the_full_effort_is_the_published_setting(catalogue: Catalogue) -> None:
    for name in ("mlp", "fct", "slerp", "ridge"):
        plan = plan_fit(catalogue.get(name), pairs(), Effort.FULL)
        assert (plan.params, plan.changes) == (catalogue.get(name).resolve({}), "")


def test_a_quick_schedule_bounds_the_steps_and_names_what_it_changes(catalogue: Catalogue) -> None:
    many = pairs(20_000)
    plan = plan_fit(catalogue.get("mlp"), many, Effort.QUICK)
    assert plan.params.epochs == 6  # 79 batches of 256 an epoch: 400 steps are 5.06 epochs
    assert plan.steps == 6 * 79
    assert plan.changes == "epochs 6 (50)"
    assert plan_fit(catalogue.get("mlp"), pairs(), Effort.QUICK).changes == ""  # 50 epochs are 100 steps
    assert plan_fit(catalogue.get("ridge"), many, Effort.QUICK).steps == 0
    assert plan_fit(catalogue.get("fct"), many, Effort.FULL).work > 50 * plan.work


def test_a_shorter_schedule_holds_in_place_of_the_declared_one(catalogue: Catalogue) -> None:
    plan = plan_fit(catalogue.get("fastfill"), pairs(3000), Effort.QUICK)
    assert (plan.params.lr, plan.params.batch_size, plan.params.epochs) == (7e-4, 64, 7)  # 47 batches an epoch


def test_the_steps_that_are_planned_are_taken(catalogue: Catalogue) -> None:
    for name in ("mlp", "lambda_orthogonal"):
        plan, done = plan_fit(catalogue.get(name), pairs(), Effort.FULL), [0]
        with counted_steps(done):
            fit = fit_planned(plan, pairs(), 0)
        assert fit.adapter is not None
        assert fit.pairs == 300
        assert done[0] == plan.steps == 100


def test_adapters_that_need_classes_are_skipped_without_them(catalogue: Catalogue) -> None:
    fit = fitted(catalogue.get("slerp"), pairs(classes=False))
    assert fit.adapter is None
    assert fit.reason == "needs class labels, and only relevance judgements were given"
    assert fitted(catalogue.get("procrustes"), pairs(classes=False)).adapter is not None


def test_all_methods_among_the_adapters_that_take_pairs_are_compared(catalogue: Catalogue) -> None:
    expected = {
        name
        for name, plugin in catalogue.plugins.items()
        if plugin.kind == "adapter" and plugin.cls.role is Role.METHOD
    } - {"unpaired"}
    assert {plugin.name for plugin in choose_adapters((), ())} == expected
    assert [plugin.name for plugin in choose_adapters(("ridge", "identity"), ())] == ["ridge", "identity"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("bct", "cannot be fitted on embeddings"), ("rigde", "did you mean 'ridge'"), ("xyz", "no method 'xyz'; known: ")],
)
def test_other_methods_are_refused_and_only_adapters_are_offered(name: str, complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint) as refusal:
        choose_adapters((name,), ())
    assert not {"bct,", "distillation,"} & set(str(refusal.value).split())


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
    fit = fitted(plugin, pairs())
    assert fit.adapter is None
    assert fit.reason.endswith(reason)
    assert "\n" not in fit.reason
