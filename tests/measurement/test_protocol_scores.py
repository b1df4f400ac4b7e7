"""Datasets with judgements, protocols and pairs go through a whole cell, and every number can be had again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compatbench.data.dataset import Dataset, Split, check_dataset
from compatbench.data.judgements import Judgements
from compatbench.data.lists import Lists
from compatbench.data.pairs import Pairs
from compatbench.discovery.plugins import Catalogue
from compatbench.evaluation.arrays import STEP, QueryResults
from compatbench.evaluation.pair_scores import ScoredPairs
from compatbench.evaluation.retrieval import evaluate
from compatbench.generations.serving import serve, serve_baseline
from compatbench.measurement.measure import measure
from compatbench.measurement.protocol_scores import pair_metrics
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import PairScores
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.storage.canonical import digest
from compatbench.trust.rescoring import Rescorer

QUERIES, ITEMS, PAIRS = 30, 120, 400


def split(source: Split, rows: slice) -> Split:
    return Split(source.images[rows], source.labels[rows], source.ids[rows])


@pytest.fixture(scope="module")
def judged(digits: Dataset) -> Dataset:
    """Digits with queries of their own, random `easy`, `hard` and junk images of each query's class, and pairs."""
    rng = np.random.default_rng(0)
    query, gallery = split(digits.query, slice(0, QUERIES)), split(digits.query, slice(QUERIES, QUERIES + ITEMS))
    easy, hard, junk = [], [], []
    for label in query.labels.tolist():
        members = rng.permutation(gallery.ids[gallery.labels == label].numpy())
        cuts = len(members) // 3, 2 * len(members) // 3
        for lists, part in zip((easy, hard, junk), np.split(members, cuts), strict=True):
            lists.append(part)

    def protocol(relevant: list, ignored: list) -> Judgements:
        joined = [[np.concatenate(several) for several in zip(*lists, strict=True)] for lists in (relevant, ignored)]
        return Judgements(query.ids.numpy(), *map(Lists.of, joined))

    protocols = {"easy": protocol([easy], [junk, hard]), "medium": protocol([easy, hard], [junk])}
    first, second = rng.integers(0, QUERIES, PAIRS), rng.integers(0, ITEMS, PAIRS)
    same = (query.labels[first] == gallery.labels[second]).numpy()
    pairs = Pairs(query.ids[first].numpy(), gallery.ids[second].numpy(), same, np.arange(PAIRS) * 10 // PAIRS)
    dataset = replace(
        digits, query=query, gallery=gallery, judgements=protocols["medium"], protocols=protocols, pairs=pairs
    )
    check_dataset(dataset)
    return dataset


class Run:
    """One cell of `independent` on the judged digits."""

    def __init__(self, trainer, catalogue: Catalogue, record: Record, folder: Path, dataset: Dataset) -> None:
        self.store = Store(folder)
        chain = trainer([{"share": 0.3}, {}], dataset=dataset, runs=folder)
        plugin = catalogue.get("l2")
        self.tested = ServedChain.of(chain, serve(chain, plugin, plugin.resolve({})), {1: serve_baseline(chain, 1)})
        found = measure(self.tested, (), at_chance=False)
        self.record = record.model_copy(update=vars(found))

    def value(self, name: str, query: str, gallery: str) -> float:
        return self.record.metric(name, query, gallery).value


@pytest.fixture
def run(trainer, catalogue: Catalogue, record: Record, judged: Dataset, tmp_path: Path) -> Run:
    return Run(trainer, catalogue, record, tmp_path / "runs", judged)


def test_a_cell_of_judged_data_is_whole_and_can_be_scored_again(run: Run, judged: Dataset) -> None:
    for query, gallery in ((0, 0), (1, 0), (1, 1)):
        sides = run.tested.pair(query, gallery)
        assert sides[0].judgements is judged.judgements
        assert run.value("mAP", str(query), str(gallery)) == pytest.approx(evaluate(*sides).metrics()["mAP"], abs=STEP)
        for protocol, judgements in judged.protocols.items():
            results = evaluate(replace(sides[0], judgements=judgements), sides[1], trapezoid=True)
            expected = np.nanmean(results.average_precision.astype(np.float64))
            assert run.value(f"mAP:{protocol}", str(query), str(gallery)) == pytest.approx(expected, abs=STEP)
    # the protocol's number beside ours: the same ranking, another rule of integration
    assert run.value("mAP:medium", "1", "1") != run.value("mAP", "1", "1")
    assert run.value("CMC@1:medium", "1", "1") == run.value("CMC@1", "1", "1")
    assert {(one.protocol, one.query_generation, one.gallery_generation) for one in run.record.protocols} == {
        (protocol, *at) for protocol in ("easy", "medium") for at in (("0", "0"), ("1", "0"), ("1", "1"), ("*1", "*1"))
    }
    assert {len(QueryResults.read(run.store.arrays, one.array)) for one in run.record.protocols} == {QUERIES}
    curve = next(one for one in run.record.backfill if one.metric == "mAP")
    assert (curve.mean[0], curve.mean[-1]) == pytest.approx(
        (run.value("mAP", "1", "0"), run.value("mAP", "1", "1")), abs=STEP
    )

    rescorer = Rescorer(run.store.arrays)
    assert list(rescorer.differences(run.record)) == []
    assert not {"mAP", "CMC@1", "pair_accuracy"} & set(rescorer.unchecked(run.record))
    entry = run.record.metric("mAP:easy", "1", "0")
    entry.value += 0.01
    assert any("mAP:easy(1,0): value" in line for line in rescorer.differences(run.record))


def test_pairs_are_judged_by_the_cosines_of_their_two_images(run: Run, judged: Dataset) -> None:
    """New queries against old documents: the first image by the new model, the second by the old one."""
    queries, documents = run.tested.pair(1, 0)
    row_of = [{sample: row for row, sample in enumerate(side.ids.tolist())} for side in (queries, documents)]
    entry = next(one for one in run.record.pairs if (one.query_generation, one.gallery_generation) == ("1", "0"))
    scores = ScoredPairs.read(run.store.arrays, entry.array)
    for place in range(0, PAIRS, 50):
        one = queries.values[row_of[0][int(judged.pairs.first[place])]]
        other = documents.values[row_of[1][int(judged.pairs.second[place])]]
        assert scores.score[place] == pytest.approx(
            float(torch.nn.functional.cosine_similarity(one, other, dim=0)), abs=1e-5
        )
    np.testing.assert_array_equal(scores.same, judged.pairs.same)
    for name in ("pair_accuracy", "transfer_pair_accuracy"):
        assert 0 <= run.value(name, "1", "0") <= 1
    assert run.record.metric("transfer_pair_accuracy", "1", "1") is None


def test_transferred_accuracy_is_at_the_threshold_of_the_gallerys_model() -> None:
    same = np.tile([1, 0], 50)
    fold = np.arange(100) // 10
    old = ScoredPairs(same.astype(np.float32), same, fold)  # best threshold 0.5
    cross = ScoredPairs((same * 0.4).astype(np.float32), same, fold)  # right in order, but all below 0.5
    kept = {digest("old"): old, digest("cross"): cross}
    entries = [
        PairScores(query_generation=query, gallery_generation="0", array=digest(name))
        for query, name in (("0", "old"), ("1", "cross"))
    ]
    found = {(one.name, one.query_generation): one for one in pair_metrics(entries, kept.__getitem__)}
    assert set(found) == {("pair_accuracy", "0"), ("pair_accuracy", "1"), ("transfer_pair_accuracy", "1")}
    assert found["pair_accuracy", "1"].value == 1
    assert found["transfer_pair_accuracy", "1"].value == 0.5
    assert found["transfer_pair_accuracy", "1"].n == 100
