"""Backfill curves, against the matrix and against the vectors that they are made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from known_vectors import known_chain, served, with_gallery
from scipy.integrate import trapezoid
from scipy.stats import entropy
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.evaluation.arrays import STEP, QueryResults
from compatbench.evaluation.curves import BETAS, BackfillMeans, CurvePoints
from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.serving import serve, serve_baseline
from compatbench.measurement import backfill as module
from compatbench.measurement.backfill import (
    backfill_curves,
    backfilled_queries,
    curve_metrics,
    refresh_orders,
    share_metrics,
)
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import BackfillCurve
from compatbench.storage.array_files import ArrayFiles

CLASSES, ITEMS = 4, 80
ROUNDING = 0.5001 * STEP
"""A query's mean over the repeats is kept in steps, and in float32."""


def world(folder: Path, generations: int = 2, seed: int = 0) -> ServedChain:
    """A chain of generations whose vectors are known; each query is a gallery item."""
    rng = np.random.default_rng(5)
    labels = torch.from_numpy(rng.integers(0, CLASSES, ITEMS))
    ids = torch.from_numpy(rng.permutation(1000)[:ITEMS])
    chain = []
    centres = rng.normal(size=(CLASSES, 8))
    for generation in range(generations):
        noise = rng.normal(size=(ITEMS, 8)) * (1.5 - 0.3 * generation)
        vectors = torch.from_numpy((centres[labels] + noise).astype(np.float32))
        chain.append(served(generation, vectors, uncertainty=torch.from_numpy(rng.random(ITEMS))))
    return known_chain(folder, [one.gallery for one in chain], labels, ids, generations=chain, seed=seed)


def results(tested: ServedChain) -> dict[tuple[str, str], QueryResults]:
    return {(one.query, one.gallery): evaluate(one.queries, one.documents) for one in tested.entries()}


def measured(tested: ServedChain) -> dict[tuple[str, str], BackfillCurve]:
    old = str(len(tested.generations) - 2)
    return {(curve.order, curve.metric): curve for curve in backfill_curves(tested, results(tested)[old, old])}


def kept(tested: ServedChain, curve: BackfillCurve) -> CurvePoints:
    return CurvePoints.read(tested.store.arrays, stored(tested, curve.array))


def stored(tested: ServedChain, name: str) -> str:
    """The lasting reference of an array."""
    part, _, name = name.partition("#")
    return f"{tested.arrays.save(tested.store.arrays)[part]}#{name}"


def test_curves_run_from_the_cross_entry_to_the_self_entry(tmp_path: Path) -> None:
    tested = world(tmp_path)
    curves = measured(tested)
    assert set(curves) == {(order, "mAP") for order in ("random", "class-wise", "uncertainty")}
    entries = results(tested)
    for (_, name), curve in curves.items():
        assert curve.beta == list(BETAS)
        assert (curve.query_generation, curve.gallery_generation, curve.n) == ("1", "0", ITEMS)
        ends = [entries[at].metrics()[name] for at in (("0", "0"), ("1", "0"), ("1", "1"))]
        assert [curve.status_quo, curve.mean[0], curve.mean[-1]] == pytest.approx(ends, abs=ROUNDING)
        for low, mean, high in zip(curve.low, curve.mean, curve.high, strict=True):
            assert low - ROUNDING <= mean <= high + ROUNDING
    assert curves["random", "mAP"].repeats == curves["class-wise", "mAP"].repeats == 3
    assert curves["random", "mAP"].low[10] < curves["random", "mAP"].high[10]
    assert curves["uncertainty", "mAP"].repeats == 1
    assert curves["uncertainty", "mAP"].low == curves["uncertainty", "mAP"].high


def test_the_curve_in_between_is_that_of_the_mixed_gallery(tmp_path: Path) -> None:
    """Both spaces have 8 dimensions and no map between them, so the mixed gallery can be searched as one."""
    tested = world(tmp_path)
    curve = measured(tested)["uncertainty", "mAP"]
    old, new = tested.generations
    first = np.argsort(-old.uncertainty.numpy())[: ITEMS // 4]
    mixed = old.gallery.clone()
    mixed[first] = new.gallery[first]
    queries, documents = tested.pair(1, 1)
    expected = evaluate(queries, Vectors(mixed, documents.labels, documents.ids)).metrics()["mAP"]
    assert curve.mean[curve.beta.index(0.25)] == pytest.approx(expected, abs=ROUNDING)


def test_derived_numbers_are_those_of_the_curve(tmp_path: Path) -> None:
    tested = world(tmp_path)
    for (order, name), curve in measured(tested).items():
        found = {one.name: one for one in curve_metrics(curve, kept(tested, curve))}
        total, lowest, crossing = (found[f"backfill_{what}:{name}:{order}"] for what in ("area", "min", "crossing"))
        assert total.value == pytest.approx(trapezoid(curve.mean, curve.beta), abs=STEP)
        assert lowest.value == pytest.approx(min(curve.mean), abs=STEP)
        assert min(curve.mean) == curve.mean[curve.beta.index(curve.minimum_beta)]
        for one in (total, lowest):
            assert (one.n, one.direction) == (ITEMS, "higher")
            assert one.value is not None
            assert one.ci_low is not None
            assert one.ci_high is not None
            assert one.ci_low < one.value < one.ci_high
        above = [beta for beta, mean in zip(curve.beta, curve.mean, strict=True) if mean > curve.status_quo]
        if crossing.value is None:
            assert curve.beta[-1] not in above
        else:
            assert set(above) >= {beta for beta in curve.beta if beta >= crossing.value}


def test_a_sample_of_the_queries_is_followed_through_the_whole_gallery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKFILL_QUERIES", (1, 20))
    tested = world(tmp_path)
    curve = measured(tested)["random", "mAP"]
    ids = kept(tested, curve).ids
    assert curve.n == len(set(ids.tolist())) == 20
    entries = results(tested)
    rows = np.isin(entries["0", "0"].ids, ids)
    for value, at in ((curve.status_quo, ("0", "0")), (curve.mean[0], ("1", "0")), (curve.mean[-1], ("1", "1"))):
        assert value == pytest.approx(entries[at].metrics(rows)["mAP"], abs=ROUNDING)
    again = measured(world(tmp_path, seed=1))["random", "mAP"]
    assert kept(tested, again).ids.tolist() == ids.tolist(), "the same for all seeds"


def test_a_chain_is_backfilled_from_its_second_newest_generation(tmp_path: Path) -> None:
    tested = world(tmp_path, 3)
    curve = measured(tested)["random", "mAP"]
    assert (curve.query_generation, curve.gallery_generation) == ("2", "1")
    entries = results(tested)
    ends = [entries[at].metrics()["mAP"] for at in (("1", "1"), ("2", "1"), ("2", "2"))]
    assert [curve.status_quo, curve.mean[0], curve.mean[-1]] == pytest.approx(ends, abs=ROUNDING)


def test_the_backfill_share_is_that_of_a_slow_loop_over_mixed_galleries(tmp_path: Path) -> None:
    """A = (mean over β and orders of M(β) − M(o,o)) / (M(*,*) − M(o,o)), from the first generation of a chain on."""
    best = served(3, world(tmp_path, 5).generations[4].gallery)
    tested = replace(world(tmp_path, 3), references={2: best})
    old, new = tested.generations[0], tested.generations[2]
    queries, documents = tested.pair(2, 2)
    curves = []
    for order in refresh_orders(tested)["random"]:
        curve = []
        for beta in BETAS:
            mixed = old.gallery.clone()
            renewed = order[: round(beta * ITEMS)]
            mixed[renewed] = new.gallery[renewed]
            curve.append(evaluate(queries, Vectors(mixed, documents.labels, documents.ids)).metrics()["mAP"])
        curves.append(sum((left + right) / 2 for left, right in pairwise(curve)) / 20)
    entries = results(tested)
    status_quo, full = (entries[at].metrics()["mAP"] for at in (("0", "0"), ("*2", "*2")))
    assert full > status_quo
    (entry,) = backfilled_queries(tested)
    assert (entry.at, entry.repeats) == (("2", "0"), 3)
    means = BackfillMeans.read(tested.store.arrays, stored(tested, entry.array))
    found = {one.name: one for one in share_metrics(entry, means, entries)}["backfill_share:mAP"]
    assert (found.at, found.n, found.direction) == (("2", "0"), ITEMS, "higher")
    assert found.value == pytest.approx((np.mean(curves) - status_quo) / (full - status_quo), abs=1e-6)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < found.value < found.ci_high
    worst = {at: entries["1", "1"] if at == ("0", "0") else entries["0", "0"] for at in entries}
    assert {one.value for one in share_metrics(entry, means, worst)} == {None}, "nothing to gain"


def test_the_backfill_share_is_over_the_queries_that_were_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = replace(world(tmp_path), references={1: world(tmp_path, 4).generations[3]})
    entries = results(tested)
    monkeypatch.setattr(module, "SHARE_QUERIES", 20)
    (entry,) = backfilled_queries(tested)
    means = BackfillMeans.read(tested.store.arrays, stored(tested, entry.array))
    rows = np.isin(entries["0", "0"].ids, means.ids)
    assert rows.sum() == len(means.ids) == 20
    status_quo, full = (entries[at].metrics(rows)["CMC@1"] for at in (("0", "0"), ("*1", "*1")))
    found = {one.name: one for one in share_metrics(entry, means, entries)}["backfill_share:CMC@1"]
    expected = (means.values["CMC@1"].mean(dtype=np.float64) - status_quo) / (full - status_quo)
    assert (found.n, found.value) == (20, pytest.approx(expected))


def test_a_rewritten_gallery_is_what_is_backfilled(tmp_path: Path) -> None:
    tested = world(tmp_path)
    old, new = tested.generations
    plain = measured(tested)["random", "mAP"]
    changed = replace(new, from_previous=lambda vectors: vectors.roll(1, dims=1))
    rewriting = replace(tested, generations=[old, changed], arrays=ArrayFiles())
    curve = measured(rewriting)["random", "mAP"]
    queries, documents = rewriting.pair(1, 0)
    assert torch.equal(documents.values, old.gallery.roll(1, dims=1))
    assert curve.mean[0] == pytest.approx(evaluate(queries, documents).metrics()["mAP"], abs=ROUNDING)
    assert curve.mean[0] != pytest.approx(plain.mean[0], abs=1e-3)
    assert curve.mean[-1] == pytest.approx(plain.mean[-1], abs=1e-6)


def test_orders_are_seeded_and_those_of_scores_begin_at_the_highest(tmp_path: Path) -> None:
    tested = world(tmp_path)
    orders = refresh_orders(tested)
    old = tested.generations[0]
    assert list(orders) == ["random", "class-wise", "uncertainty"]
    uncertainty = old.uncertainty.numpy()
    assert (np.diff(uncertainty[orders["uncertainty"][0]]) <= 0).all()
    labels = tested.dataset.gallery.labels.numpy()
    for order in orders["class-wise"]:
        assert (np.diff(labels[order]) != 0).sum() == CLASSES - 1
    flat = [tuple(order) for name in ("random", "class-wise") for order in orders[name]]
    again, other = (refresh_orders(world(tmp_path, seed=seed)) for seed in (0, 1))
    assert [tuple(order) for name in ("random", "class-wise") for order in again[name]] == flat
    different = [tuple(order) for name in ("random", "class-wise") for order in other[name]]
    assert len({*flat, *different}) == 12


def test_a_methods_own_order_joins_the_others(tmp_path: Path) -> None:
    tested = world(tmp_path)
    old, new = tested.generations
    ordering = [replace(old, uncertainty=None), replace(new, order=lambda stored: -stored[:, 0])]
    tested = replace(tested, generations=ordering)
    orders = refresh_orders(tested)
    assert list(orders) == ["random", "class-wise", "own"]
    assert orders["own"][0].tolist() == np.argsort(old.gallery[:, 0].numpy(), kind="stable").tolist()
    assert ("own", "mAP") in measured(tested)


def test_queries_without_any_answer_leave_no_curve(tmp_path: Path) -> None:
    tested = world(tmp_path)
    gallery = tested.dataset.gallery
    assert measured(with_gallery(tested, gallery.labels + CLASSES, gallery.ids)) == {}


Trainer = Callable[..., ChainTrainer]


@pytest.fixture
def small_test(digits: Dataset) -> Dataset:
    query = Split(digits.query.images[:30], digits.query.labels[:30], digits.query.ids[:30])
    return replace(digits, query=query, gallery=query)


def served_by(trainer: ChainTrainer, name: str, **params: int) -> ServedChain:
    plugin = trainer.catalogue.get(name)
    return ServedChain.of(trainer, serve(trainer, plugin, plugin.resolve(params)), {})


def test_uncertainty_is_the_old_classifiers_whatever_the_method_makes_of_the_vectors(
    trainer: Trainer, small_test: Dataset
) -> None:
    chain = trainer(dataset=small_test)
    old = serve_baseline(chain, 0)
    logits: Tensor = old.trained.model.head(old.gallery)
    assert old.uncertainty is not None
    expected = entropy(logits.double().softmax(1).numpy(), axis=1)
    assert old.uncertainty.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    adapted = served_by(chain, "random_rotation").generations[0]
    assert not torch.equal(adapted.gallery, old.gallery)
    assert adapted.uncertainty is not None
    assert torch.equal(adapted.uncertainty, old.uncertainty)


def test_a_model_without_a_trained_classifier_knows_no_uncertainty(trainer: Trainer, small_test: Dataset) -> None:
    assert served_by(trainer(dataset=small_test), "contrastive_ssl").generations[0].uncertainty is None


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


def curve_of(tested: ServedChain, order: str) -> tuple[BackfillCurve, list[set[int]]]:
    """The curve of mAP, and the items that each of its backfills has refreshed half-way."""
    half = len(tested.dataset.gallery) // 2
    refreshed = [set(one[:half].tolist()) for one in refresh_orders(tested)[order]]
    return measured(tested)[order, "mAP"], refreshed


def test_rank_merges_curve_is_its_merge_of_two_searches(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer([{"dim": 8}, {"dim": 12}], dataset=small_test)
    tested = served_by(chain, "rank_merge")
    curve, halves = curve_of(tested, "random")
    old, new = tested.generations
    by_hand = [mixed_map((old.query, new.query), (old.gallery, new.gallery), small_test.query, half) for half in halves]
    assert len(set(by_hand)) == curve.repeats == 3
    assert curve.mean[10] == pytest.approx(np.mean(by_hand), abs=ROUNDING)
    assert [curve.low[10], curve.high[10]] == pytest.approx([min(by_hand), max(by_hand)], abs=1e-6)
    assert curve.mean[0] == pytest.approx(curve.status_quo, abs=ROUNDING)


def test_fastfills_own_curve_begins_where_its_variance_is_highest(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer([{"dim": 8}, {"dim": 12}], dataset=small_test)
    tested = served_by(chain, "fastfill", epochs=2, inner=16)
    curve, halves = curve_of(tested, "own")
    old, new = tested.generations
    assert new.adapter is not None
    rewritten = new.adapter.maps.gallery(old.gallery)
    variance = new.adapter.maps.order(rewritten)
    assert halves == [set(torch.argsort(variance, descending=True)[: len(variance) // 2].tolist())]
    by_hand = mixed_map((new.query, new.query), (rewritten, new.gallery), small_test.query, halves[0])
    assert (curve.repeats, curve.mean[10]) == (1, pytest.approx(by_hand, abs=ROUNDING))


def test_the_crossing_is_that_of_the_curve_in_the_file(tmp_path: Path) -> None:
    tested = world(tmp_path)
    curve = measured(tested)["random", "mAP"]
    points = kept(tested, curve)
    steps = list(np.linspace(0.1, 0.9, len(BETAS)))
    near = curve.model_copy(update={"mean": [*steps[:10], 0.50004, *steps[11:]], "status_quo": 0.5000086})
    written = near.model_copy(update={"mean": [*steps[:10], 0.5, *steps[11:]]})
    crossings = [one.value for each in (near, written) for one in curve_metrics(each, points) if "crossing" in one.name]
    assert crossings == [BETAS[11], BETAS[11]]
