"""A record's numbers against scikit-learn and plain loops over the vectors that they were made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.evaluation.arrays import METRICS, QueryResults
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.serving import serve, serve_baseline
from compatbench.measurement import matrix as module
from compatbench.measurement.costs import costs, serving_parameters
from compatbench.measurement.measure import measure
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import Metric
from compatbench.records.record import Measurements, Record
from compatbench.storage.array_files import array_path
from compatbench.suite.scenarios import GenerationSpec
from compatbench.trust.rescoring import Rescorer

Trainer = Callable[..., ChainTrainer]
QUERIES = 60
ONE_SWAP = 1e-3
"""Two items that are closer than float32 can tell may change places in one query's ranking."""


@pytest.fixture
def small_test(digits: Dataset) -> Dataset:
    """Digits with 60 test images, each once query and otherwise gallery."""
    query = Split(digits.query.images[:QUERIES], digits.query.labels[:QUERIES], digits.query.ids[:QUERIES])
    return replace(digits, query=query, gallery=query)


@dataclass
class Run:
    """A cell of one method, measured."""

    tested: ServedChain
    found: Measurements

    def metric(self, name: str, query: str, gallery: str, subset: str = "all", distance: str = "cosine") -> Metric:
        at = name, query, gallery, subset, distance
        [one] = [one for one in self.found.metrics if coordinates(one) == at]
        return one

    def value(self, name: str, query: str, gallery: str, **where: str) -> float:
        value = self.metric(name, query, gallery, **where).value
        assert value is not None
        return value

    def names(self) -> set[str]:
        return {one.name for one in self.found.metrics}


def coordinates(one: Metric) -> tuple[str, ...]:
    return one.name, one.query_generation, one.gallery_generation, one.subset, one.distance


def run(trainer: ChainTrainer, name: str, *, at_chance: bool = False) -> Run:
    plugin = trainer.catalogue.get(name)
    references = {step: serve_baseline(trainer, step) for step in range(1, len(trainer.chain))}
    tested = ServedChain.of(trainer, serve(trainer, plugin, plugin.resolve({})), references)
    return Run(tested, measure(tested, (), at_chance=at_chance))


def ranking_by_hand(queries: Tensor, gallery: Tensor, labels: Tensor, distance: str) -> tuple[list[float], list[int]]:
    """AP (by scikit-learn) and rank of the first relevant item of each query, which skips its own image."""
    queries, gallery = queries.double(), gallery.double()
    if distance == "cosine":
        scores = F.normalize(queries) @ F.normalize(gallery).T
    else:
        scores = -torch.cdist(queries, gallery, compute_mode="donot_use_mm_for_euclid_dist")
    precisions, ranks = [], []
    for query in range(len(queries)):
        others = [item for item in range(len(gallery)) if item != query]
        relevant = [bool(labels[item] == labels[query]) for item in others]
        values = [float(scores[query, item]) for item in others]
        precisions.append(float(average_precision_score(relevant, values)))
        best = max(value for value, hit in zip(values, relevant, strict=True) if hit)
        ranks.append(1 + sum(value > best for value, hit in zip(values, relevant, strict=True) if not hit))
    return precisions, ranks


def test_every_entry_of_the_matrix_is_what_its_vectors_give(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer([{"classes": 6, "share": 0.5}, {}], dataset=small_test)
    cell = run(chain, "bct")
    labels = small_test.query.labels
    seen = (labels < 6).numpy()
    assert 0 < seen.sum() < QUERIES
    vectors = {(q, g): cell.tested.pair(int(q), int(g)) for q, g in (("0", "0"), ("1", "0"), ("1", "1"))}
    vectors["*1", "*1"] = cell.tested.reference(1)
    old = vectors["0", "0"]
    vectors["oracle", "0"] = replace(old[0], values=oracle_by_hand(old[1].values, labels)), old[1]
    for (query, gallery), (q, g) in vectors.items():
        for distance in ("cosine", "l2") if query != "oracle" else ("cosine",):
            precisions, ranks = ranking_by_hand(q.values, g.values, labels, distance)
            subsets = distance == "cosine" and query != "oracle"
            masks = {"all": seen | ~seen} | ({"seen": seen, "unseen": ~seen} if subsets else {})
            for subset, mask in masks.items():
                where = {"subset": subset, "distance": distance}
                by_hand = np.array(precisions)[mask].mean()
                assert cell.value("mAP", query, gallery, **where) == pytest.approx(by_hand, abs=ONE_SWAP)
                for k in (1, 5) if where == {"subset": "all", "distance": "cosine"} else (1,):
                    hits = (np.array(ranks) <= k)[mask]
                    assert cell.value(f"CMC@{k}", query, gallery, **where) == pytest.approx(np.mean(hits), abs=1e-9)
                metric = cell.metric("mAP", query, gallery, **where)
                assert metric.n == mask.sum()
                if (subset, distance) == ("all", "cosine"):
                    assert metric.ci_low is not None
                    assert metric.ci_high is not None
                    assert metric.value is not None
                    assert metric.ci_low < metric.value < metric.ci_high
    assert {(entry.query_generation, entry.gallery_generation) for entry in cell.found.arrays} == set(vectors)
    assert cell.value("mAP", "oracle", "0") > cell.value("mAP", "0", "0")


def oracle_by_hand(gallery: Tensor, labels: Tensor) -> Tensor:
    """Mean direction of the other items of each one's class."""
    directions = F.normalize(gallery)
    others = [
        [item for item in range(len(labels)) if item != query and labels[item] == labels[query]]
        for query in range(len(labels))
    ]
    return torch.stack([directions[items].mean(dim=0) for items in others])


def test_derived_numbers_follow_from_the_matrix(trainer: Trainer, small_test: Dataset) -> None:
    cell = run(trainer([{"share": 0.1}, {}], dataset=small_test, limit=600, epochs=3), "bct")
    for name in ("mAP", "CMC@1"):
        oo, no, nn, ref = (cell.value(name, q, g) for q, g in (("0", "0"), ("1", "0"), ("1", "1"), ("*1", "*1")))
        assert ref > oo, "choose a setting in which there is something to gain"
        expected = {
            "cross_gain": no - oo,
            "update_gain": (no - oo) / (ref - oo),
            "tax": nn - ref,
            "criterion": float(no > oo),
            "ordering": float(nn > no > oo),
        }
        for number, by_hand in (expected | {"final_share": (nn - oo) / (ref - oo)}).items():
            assert cell.value(f"{number}:{name}", "1", "0") == pytest.approx(by_hand)


def test_the_baselines_own_rows_agree_with_its_references(trainer: Trainer, small_test: Dataset) -> None:
    cell = run(trainer(dataset=small_test), "independent", at_chance=True)
    for name in METRICS:
        assert cell.value(name, "1", "1") == cell.value(name, "*1", "*1")
    assert cell.value("tax:mAP", "1", "0") == 0.0
    chance = cell.metric("chance:mAP", "1", "0")
    assert chance.value is not None
    assert chance.ci_low is not None
    assert chance.ci_high is not None
    assert 0 < chance.ci_low < chance.value < chance.ci_high < 0.6
    cross = cell.value("mAP", "1", "0")
    assert chance.ci_low - 0.05 < cross < chance.ci_high + 0.05


def test_chance_is_sampled_only_for_rows_that_expect_it(trainer: Trainer, small_test: Dataset) -> None:
    cell = run(trainer(dataset=small_test), "bct")
    assert "chance:mAP" not in cell.names()


def test_a_chain_of_three_fills_the_lower_triangle(trainer: Trainer, small_test: Dataset) -> None:
    cell = run(trainer([{"share": 0.2}, {"share": 0.5}, {}], dataset=small_test), "fixed_head")
    entries = {(e.query_generation, e.gallery_generation) for e in cell.found.metrics if ":" not in e.name}
    others = {("*1", "*1"), ("*2", "*2"), ("oracle", "0")}
    assert entries == {(str(q), str(g)) for q in range(3) for g in range(q + 1)} | others
    derived = {(e.query_generation, e.gallery_generation) for e in cell.found.metrics if e.name == "update_gain:mAP"}
    assert derived == {("1", "0"), ("2", "1")}


def test_a_chain_has_its_numbers_and_the_cost_of_every_step_and_they_are_rescored(
    trainer: Trainer, small_test: Dataset, record: Record
) -> None:
    chain = trainer([{"share": 0.3}, {"share": 0.6}, {}], dataset=small_test)
    cell = run(chain, "procrustes")
    matrix = {(q, g): cell.value("mAP", str(q), str(g)) for q in range(3) for g in range(q + 1)}
    lower = [(q, g) for q in range(3) for g in range(q)]
    by_hand = {
        "AC": 1 - sum(matrix[q, g] < matrix[g, g] for q, g in lower) / 3,
        "AM": sum(matrix.values()) / 6,
        "BC": (matrix[2, 0] - matrix[0, 0] + matrix[2, 1] - matrix[1, 1]) / 2,
        "FC": (matrix[1, 0] - matrix[1, 1] + matrix[2, 1] - matrix[2, 2]) / 2,
    }
    for name, expected in by_hand.items():
        metric = cell.metric(f"{name}:mAP", "2", "0")
        assert metric.value == pytest.approx(expected, abs=1e-6), name
        assert metric.ci_low is not None
        assert metric.ci_high is not None
        assert metric.ci_low <= expected <= metric.ci_high, name
    assert [step["train_images"] for step in cell.found.step_costs.values()] == [len(part) for part in chain.indices]
    assert cell.found.step_costs["0"]["fit_seconds"] is None
    assert all((cell.found.step_costs[step]["fit_seconds"] or 0) > 0 for step in ("1", "2"))
    spec = record.spec.model_copy(update={"generations": (GenerationSpec(backbone="test_vit"),) * 3})
    whole = record.model_copy(update={**vars(cell.found), "spec": spec})
    assert list(Rescorer(chain.store.arrays).differences(whole)) == []
    cell.metric("AC:mAP", "2", "0").value = 0.123
    assert any("AC:mAP" in line for line in Rescorer(chain.store.arrays).differences(whole))


def test_chance_is_sampled_for_every_upgrade_and_for_the_whole_chain(trainer: Trainer, small_test: Dataset) -> None:
    cell = run(trainer([{"share": 0.3}, {"share": 0.6}, {}], dataset=small_test), "independent", at_chance=True)
    sampled = [(e.query_generation, e.gallery_generation) for e in cell.found.metrics if e.name == "chance:mAP"]
    assert sampled == [("1", "0"), ("2", "1"), ("2", "0")]


def test_a_single_upgrade_has_no_numbers_of_a_chain(trainer: Trainer, small_test: Dataset) -> None:
    cell = run(trainer(dataset=small_test), "bct")
    assert "AC:mAP" not in cell.names()
    assert set(cell.found.step_costs) == {"0", "1"}


def test_per_query_arrays_give_the_metrics_again(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer(dataset=small_test)
    cell = run(chain, "l2")
    for array in cell.found.arrays:
        results = QueryResults.read(chain.store.arrays, array.array)
        assert results.ids.tolist() == small_test.query.ids.tolist()
        for name, again in results.metrics().items():
            if array.distance == "l2" and name not in ("mAP", "CMC@1"):
                continue
            assert cell.value(name, array.query_generation, array.gallery_generation, distance=array.distance) == again


def test_vectors_are_scored_once_and_again_where_the_scores_were_damaged(
    trainer: Trainer, small_test: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []
    evaluate = module.evaluate

    def counted(query: Any, gallery: Any, distance: str) -> QueryResults:
        scored.append(distance)
        return evaluate(query, gallery, distance)

    monkeypatch.setattr(module, "evaluate", counted)
    chain = trainer(dataset=small_test)
    first = run(chain, "bct").found
    assert len(scored) == 4 * 2 + 1, "the oracle's queries by cosine alone"
    second = run(chain, "bct").found
    assert len(scored) == 4 * 2 + 1
    assert (second.metrics, second.arrays) == (first.metrics, first.arrays)
    run(chain, "l2")
    assert len(scored) == 4 * 2 + 1 + 2 * 2, "M[0][0], the oracle's queries and the reference are those of bct"

    damaged = array_path(chain.store.arrays, first.arrays[0].array)
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1])
    for kept in list(chain.store.evaluations.glob("*.safetensors")):
        kept.write_bytes(b"{")
    third = run(chain, "bct").found
    assert len(scored) > 4 * 2 + 1 + 2 * 2
    assert (third.metrics, third.arrays) == (first.metrics, first.arrays)
    assert damaged.read_bytes() == content, "damaged scores were not mended"


def test_costs_of_a_method_with_and_without_parameters(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer([{"dim": 8}, {"dim": 12}], dataset=small_test)
    plain, mapped = (
        serve(chain, chain.catalogue.get(name), chain.catalogue.get(name).resolve({})) for name in ("l2", "fixed_head")
    )
    assert serving_parameters(plain[1].trained.model) == 0
    assert serving_parameters(mapped[1].trained.model) == 8 * 12
    found = costs(ServedChain.of(chain, mapped, {}))
    assert found["extra_training_parameters"] == found["extra_serving_parameters"] == 8 * 12
    assert found["bytes_per_vector"] == 12 * 4
    assert found["train_seconds"] == mapped[1].trained.facts["train_seconds"]
    assert not any(parameter.requires_grad for parameter in mapped[1].trained.model.parameters())
