"""Flips and backfill curves in a record, against the matrix and against the vectors that they are made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from scipy.stats import entropy
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.curves import BETAS, STEP, QueryCurves
from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.serving import ServedGeneration, pair, serve, serve_baseline
from compatbench.measurement import upgrade
from compatbench.measurement.upgrade import add_backfill, add_flips, refresh_orders
from compatbench.records.record import BackfillCurve, Metric, Record
from compatbench.records.store import Store

CLASSES, ITEMS = 4, 80
ROUNDING = 0.5001 * STEP
"""A query's mean over the repeats is kept in steps, and in float32."""


@pytest.fixture
def empty(record: Record) -> Record:
    return record.model_copy(deep=True, update={"metrics": [], "arrays": []})


class World:
    """A chain of generations whose vectors are known; each query is a gallery item."""

    def __init__(self, generations: int = 2, seed: int = 0) -> None:
        rng = np.random.default_rng(5)
        labels = torch.from_numpy(rng.integers(0, CLASSES, ITEMS))
        split = SimpleNamespace(labels=labels, ids=torch.from_numpy(rng.permutation(1000)[:ITEMS]))
        self.trainer: Any = SimpleNamespace(
            dataset=SimpleNamespace(query=split, gallery=split, judgements=None),
            device=torch.device("cpu"),
            seed=seed,
            progress=lambda stage, share: None,
        )
        self.served = []
        centres = rng.normal(size=(CLASSES, 8))
        for generation in range(generations):
            noise = rng.normal(size=(ITEMS, 8)) * (1.5 - 0.3 * generation)
            vectors = torch.from_numpy((centres[labels] + noise).astype(np.float32))
            uncertainty = torch.from_numpy(rng.random(ITEMS))
            self.served.append(
                ServedGeneration(str(generation), vectors, vectors, 1.0, SimpleNamespace(), uncertainty)  # type: ignore[arg-type]
            )

    def vectors(self, query: int, gallery: int) -> tuple[Vectors, Vectors]:
        return pair(self.served, self.trainer, query, gallery)

    def results(self) -> dict[tuple[str, str], QueryResults]:
        generations = range(len(self.served))
        return {(str(q), str(g)): evaluate(*self.vectors(q, g)) for q in generations for g in range(q + 1)}

    def backfill(self, record: Record, folder: Path) -> dict[tuple[str, str], BackfillCurve]:
        add_backfill(record, self.trainer, self.served, self.results(), Store(folder))
        return {(curve.order, curve.metric): curve for curve in record.backfill}


def metric(record: Record, name: str, query: str = "1", gallery: str = "0") -> Metric:
    found = record.metric(name, query, gallery)
    assert found is not None, name
    return found


def ranked(*first_ranks: int) -> QueryResults:
    ranks = np.array(first_ranks, dtype=np.int32)
    ap = np.where(ranks > 0, 0.5, np.nan).astype(np.float32)
    return QueryResults(np.arange(len(ranks)), ranks, ap, ap, (ranks > 0).astype(np.int32))


def test_flips_of_both_systems_by_hand(empty: Record) -> None:
    """First ranks of the old system, of new queries on the old gallery, and of the new system; one query has none."""
    results = {("0", "0"): ranked(1, 1, 1, 4, 20, 0), ("1", "0"): ranked(1, 2, 11, 1, 20, 0)}
    results["1", "1"] = ranked(1, 1, 2, 1, 1, 0)
    add_flips(empty, results, 2)
    expected = {
        "NFR@1": (2 / 5, 1 / 5, "lower"),
        "PFR@1": (1 / 5, 2 / 5, "higher"),
        "relative_NFR@1": (2 / 3, 1 / 3, "lower"),
        "NFR@10": (1 / 5, 0.0, "lower"),
        "PFR@10": (0.0, 1 / 5, "higher"),
        "relative_NFR@10": (1 / 4, 0.0, "lower"),
    }
    for name, (cross, full, direction) in expected.items():
        for gallery, value in (("0", cross), ("1", full)):
            found = metric(empty, name, "1", gallery)
            assert found.value == pytest.approx(value)
            assert (found.n, found.direction) == (5, direction)
            assert found.ci_low is not None
            assert found.ci_high is not None
            assert found.ci_low <= value <= found.ci_high
    assert len(empty.metrics) == 2 * len(expected)


def test_flips_in_a_chain_are_against_the_generation_before(empty: Record) -> None:
    hit, miss = ranked(1, 1), ranked(2, 2)
    results = {("0", "0"): miss, ("1", "0"): miss, ("1", "1"): hit, ("2", "0"): miss, ("2", "1"): miss, ("2", "2"): hit}
    add_flips(empty, results, 3)
    assert metric(empty, "NFR@1", "2", "1").value == 1.0
    assert metric(empty, "NFR@1", "2", "2").value == 0.0
    assert metric(empty, "PFR@1", "1", "1").value == 1.0
    assert empty.metric("NFR@1", "2", "0") is None


def test_curves_run_from_the_cross_entry_to_the_self_entry(empty: Record, tmp_path: Path) -> None:
    world = World()
    curves = world.backfill(empty, tmp_path)
    assert set(curves) == {
        (order, name) for order in ("random", "class-wise", "uncertainty") for name in ("mAP", "CMC@1")
    }
    results = world.results()
    for (_, name), curve in curves.items():
        assert curve.beta == list(BETAS)
        assert (curve.query_generation, curve.gallery_generation, curve.n) == ("1", "0", ITEMS)
        ends = [results[at].metrics()[name] for at in (("0", "0"), ("1", "0"), ("1", "1"))]
        assert [curve.status_quo, curve.mean[0], curve.mean[-1]] == pytest.approx(ends, abs=ROUNDING)
        for low, mean, high in zip(curve.low, curve.mean, curve.high, strict=True):
            assert low - ROUNDING <= mean <= high + ROUNDING
    assert curves["random", "mAP"].repeats == curves["class-wise", "mAP"].repeats == 3
    assert curves["random", "mAP"].low[10] < curves["random", "mAP"].high[10]
    assert curves["uncertainty", "mAP"].repeats == 1
    assert curves["uncertainty", "mAP"].low == curves["uncertainty", "mAP"].high


def test_the_curve_in_between_is_that_of_the_mixed_gallery(empty: Record, tmp_path: Path) -> None:
    """Both spaces have 8 dimensions and no map between them, so the mixed gallery can be searched as one."""
    world = World()
    curve = world.backfill(empty, tmp_path)["uncertainty", "mAP"]
    old, new = world.served
    first = np.argsort(-old.uncertainty.numpy())[: ITEMS // 4]
    mixed = old.gallery.clone()
    mixed[first] = new.gallery[first]
    queries, documents = world.vectors(1, 1)
    expected = evaluate(queries, Vectors(mixed, documents.labels, documents.ids)).metrics()["mAP"]
    assert curve.mean[curve.beta.index(0.25)] == pytest.approx(expected, abs=ROUNDING)


def test_derived_numbers_are_those_of_the_curve(empty: Record, tmp_path: Path) -> None:
    for (order, name), curve in World().backfill(empty, tmp_path).items():
        total = metric(empty, f"backfill_area:{name}:{order}")
        lowest = metric(empty, f"backfill_min:{name}:{order}")
        crossing = metric(empty, f"backfill_crossing:{name}:{order}")
        assert total.value == pytest.approx(trapezoid(curve.mean, curve.beta))
        assert lowest.value == min(curve.mean) == curve.mean[curve.beta.index(curve.minimum_beta)]
        for found in (total, lowest):
            assert (found.n, found.direction) == (ITEMS, "higher")
            assert found.value is not None
            assert found.ci_low is not None
            assert found.ci_high is not None
            assert found.ci_low < found.value < found.ci_high
        above = [beta for beta, mean in zip(curve.beta, curve.mean, strict=True) if mean > curve.status_quo]
        if crossing.value is None:
            assert curve.beta[-1] not in above
        else:
            assert set(above) >= {beta for beta in curve.beta if beta >= crossing.value}


def test_per_query_files_give_the_curves_again(empty: Record, tmp_path: Path) -> None:
    world = World()
    for (_, name), curve in world.backfill(empty, tmp_path).items():
        stored = QueryCurves.read(Store(tmp_path).arrays, curve.sha256)
        assert stored.ids.tolist() == world.trainer.dataset.query.ids.tolist()
        assert stored.curve(name).tolist() == curve.mean


def test_a_sample_of_the_queries_is_followed_through_the_whole_gallery(
    empty: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "BACKFILL_QUERIES", (1, 20))
    world = World()
    curve = world.backfill(empty, tmp_path)["random", "mAP"]
    ids = QueryCurves.read(Store(tmp_path).arrays, curve.sha256).ids
    assert curve.n == len(set(ids.tolist())) == 20
    results = world.results()
    rows = np.isin(results["0", "0"].ids, ids)
    for value, at in ((curve.status_quo, ("0", "0")), (curve.mean[0], ("1", "0")), (curve.mean[-1], ("1", "1"))):
        assert value == pytest.approx(results[at].metrics(rows)["mAP"], abs=ROUNDING)
    again = World(seed=1).backfill(empty.model_copy(update={"backfill": []}), tmp_path)["random", "mAP"]
    assert QueryCurves.read(Store(tmp_path).arrays, again.sha256).ids.tolist() == ids.tolist(), "the same for all seeds"


def test_a_chain_is_backfilled_from_its_second_newest_generation(empty: Record, tmp_path: Path) -> None:
    world = World(3)
    curve = world.backfill(empty, tmp_path)["random", "mAP"]
    assert (curve.query_generation, curve.gallery_generation) == ("2", "1")
    results = world.results()
    ends = [results[at].metrics()["mAP"] for at in (("1", "1"), ("2", "1"), ("2", "2"))]
    assert [curve.status_quo, curve.mean[0], curve.mean[-1]] == pytest.approx(ends, abs=ROUNDING)


def test_a_rewritten_gallery_is_what_is_backfilled(empty: Record, tmp_path: Path) -> None:
    world = World()
    old, new = world.served
    plain = world.backfill(empty.model_copy(deep=True), tmp_path)["random", "mAP"]
    world.served[1] = replace(new, from_previous=lambda stored: stored.roll(1, dims=1))
    curve = world.backfill(empty, tmp_path)["random", "mAP"]
    queries, documents = world.vectors(1, 0)
    assert torch.equal(documents.values, old.gallery.roll(1, dims=1))
    assert curve.mean[0] == pytest.approx(evaluate(queries, documents).metrics()["mAP"], abs=ROUNDING)
    assert curve.mean[0] != pytest.approx(plain.mean[0], abs=1e-3)
    assert curve.mean[-1] == pytest.approx(plain.mean[-1], abs=1e-6)


def test_orders_are_seeded_and_those_of_scores_begin_at_the_highest() -> None:
    world = World()
    orders = refresh_orders(world.trainer, world.served)
    old = world.served[0]
    assert list(orders) == ["random", "class-wise", "uncertainty"]
    uncertainty = old.uncertainty.numpy()
    assert (np.diff(uncertainty[orders["uncertainty"][0]]) <= 0).all()
    labels = world.trainer.dataset.gallery.labels.numpy()
    for order in orders["class-wise"]:
        assert (np.diff(labels[order]) != 0).sum() == CLASSES - 1
    flat = [tuple(order) for name in ("random", "class-wise") for order in orders[name]]
    again, other = (refresh_orders(World(seed=seed).trainer, world.served) for seed in (0, 1))
    assert [tuple(order) for name in ("random", "class-wise") for order in again[name]] == flat
    different = [tuple(order) for name in ("random", "class-wise") for order in other[name]]
    assert len({*flat, *different}) == 12


def test_a_methods_own_order_joins_the_others(empty: Record, tmp_path: Path) -> None:
    world = World()
    old, new = world.served
    world.served = [replace(old, uncertainty=None), replace(new, order=lambda stored: -stored[:, 0])]
    orders = refresh_orders(world.trainer, world.served)
    assert list(orders) == ["random", "class-wise", "own"]
    assert orders["own"][0].tolist() == np.argsort(old.gallery[:, 0].numpy(), kind="stable").tolist()
    assert ("own", "mAP") in world.backfill(empty, tmp_path)


def test_queries_without_any_answer_leave_no_curve(empty: Record, tmp_path: Path) -> None:
    world = World()
    world.trainer.dataset.gallery = SimpleNamespace(
        labels=world.trainer.dataset.gallery.labels + CLASSES, ids=world.trainer.dataset.gallery.ids
    )
    assert world.backfill(empty, tmp_path) == {}
    assert empty.metrics == []


Trainer = Callable[..., ChainTrainer]


@pytest.fixture
def small_test(digits: Dataset) -> Dataset:
    query = Split(digits.query.images[:30], digits.query.labels[:30], digits.query.ids[:30])
    return replace(digits, query=query, gallery=query)


def served_by(trainer: ChainTrainer, name: str) -> Sequence[ServedGeneration]:
    plugin = trainer.catalogue.get(name)
    return serve(trainer, plugin, plugin.resolve({}))


def test_uncertainty_is_the_old_classifiers_whatever_the_method_makes_of_the_vectors(
    trainer: Trainer, small_test: Dataset
) -> None:
    chain = trainer(dataset=small_test)
    old = serve_baseline(chain, 0)
    logits: Tensor = old.trained.model.head(old.gallery)
    assert old.uncertainty is not None
    expected = entropy(logits.double().softmax(1).numpy(), axis=1)
    assert old.uncertainty.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    adapted = served_by(chain, "random_rotation")[0]
    assert not torch.equal(adapted.gallery, old.gallery)
    assert adapted.uncertainty is not None
    assert torch.equal(adapted.uncertainty, old.uncertainty)


def test_a_model_without_a_trained_classifier_knows_no_uncertainty(trainer: Trainer, small_test: Dataset) -> None:
    assert served_by(trainer(dataset=small_test), "contrastive_ssl")[0].uncertainty is None


def mixed_map(queries: Sequence[Tensor], galleries: Sequence[Tensor], split: Split, refreshed: set[int]) -> float:
    """mAP by loops: items of `refreshed` are scored by the new query and vector, the others by the old ones."""
    labels, precisions = split.labels.tolist(), []
    for query in range(len(labels)):
        scores = {}
        for item in range(len(labels)):
            if item != query:
                side = int(item in refreshed)
                scores[item] = float(torch.cosine_similarity(queries[side][query], galleries[side][item], dim=0))
        merged = sorted(scores, key=lambda item: -scores[item])
        hits = [rank for rank, item in enumerate(merged, 1) if labels[item] == labels[query]]
        if hits:
            precisions.append(sum(place / rank for place, rank in enumerate(hits, 1)) / len(hits))
    return float(np.mean(precisions))


def curve_of(
    chain: ChainTrainer, served: Sequence[ServedGeneration], record: Record, order: str
) -> tuple[BackfillCurve, list[set[int]]]:
    """The record's curve of mAP, and the items that each of its backfills has refreshed half-way."""
    results = {at: evaluate(*pair(list(served), chain, *map(int, at))) for at in (("0", "0"), ("1", "0"), ("1", "1"))}
    add_backfill(record, chain, served, results, chain.store)
    curve = next(one for one in record.backfill if (one.order, one.metric) == (order, "mAP"))
    half = len(chain.dataset.gallery) // 2
    return curve, [set(one[:half].tolist()) for one in refresh_orders(chain, served)[order]]


def test_rank_merges_curve_is_its_merge_of_two_searches(trainer: Trainer, small_test: Dataset, empty: Record) -> None:
    chain = trainer([{"dim": 8}, {"dim": 12}], dataset=small_test)
    served = served_by(chain, "rank_merge")
    curve, halves = curve_of(chain, served, empty, "random")
    old, new = served
    by_hand = [mixed_map((old.query, new.query), (old.gallery, new.gallery), small_test.query, half) for half in halves]
    assert len(set(by_hand)) == curve.repeats == 3
    assert curve.mean[10] == pytest.approx(np.mean(by_hand), abs=ROUNDING)
    assert [curve.low[10], curve.high[10]] == pytest.approx([min(by_hand), max(by_hand)], abs=1e-6)
    assert curve.mean[0] == pytest.approx(curve.status_quo, abs=ROUNDING)


def test_fastfills_own_curve_begins_where_its_variance_is_highest(
    trainer: Trainer, small_test: Dataset, empty: Record
) -> None:
    chain = trainer([{"dim": 8}, {"dim": 12}], dataset=small_test)
    plugin = chain.catalogue.get("fastfill")
    served = serve(chain, plugin, plugin.resolve({"epochs": 2, "inner": 16}))
    curve, halves = curve_of(chain, served, empty, "own")
    old, new = served
    assert new.adapter is not None
    rewritten = new.adapter.maps.gallery(old.gallery)
    variance = new.adapter.maps.order(rewritten)
    assert halves == [set(torch.argsort(variance, descending=True)[: len(variance) // 2].tolist())]
    by_hand = mixed_map((new.query, new.query), (rewritten, new.gallery), small_test.query, halves[0])
    assert (curve.repeats, curve.mean[10]) == (1, pytest.approx(by_hand, abs=ROUNDING))
