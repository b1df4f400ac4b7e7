"""Retrieval by judgements: against a slow loop, retrieval by class, and the landmark authors' average precision."""

from dataclasses import replace

import numpy as np
import pytest
import pytrec_eval
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.data.judgements import Judgements, across_groups
from compatbench.data.lists import Lists
from compatbench.evaluation.backfill import backfill
from compatbench.evaluation.chance import sample
from compatbench.evaluation.retrieval import Vectors, evaluate

FIELDS = ("first_rank", "average_precision", "ap_at_r", "relevant")


def vectors(values, ids, judgements: Judgements | None = None, labels=None) -> Vectors:
    ids = torch.as_tensor(np.asarray(ids)).long()
    labels = torch.zeros_like(ids) if labels is None else torch.as_tensor(np.asarray(labels)).long()
    return Vectors(torch.as_tensor(np.asarray(values, dtype=np.float32)), labels, ids, judgements)


def random_judgements(rng: np.random.Generator, queries: np.ndarray, gallery: np.ndarray) -> Judgements:
    """Each image relevant with 15%, ignored with 20%; some queries have nothing relevant at all."""
    relevant, ignored = [], []
    for _ in queries:
        draw = rng.random(len(gallery)) * rng.choice([1.0, 1.0, 1.0, 4.0])
        relevant.append(rng.permutation(gallery[draw < 0.15]))
        ignored.append(rng.permutation(gallery[(draw >= 0.15) & (draw < 0.35)]))
    return Judgements(queries, Lists.of(relevant), Lists.of(ignored))


def make(seed: int, queries: int = 25, items: int = 70, dim: int = 8, *, ties: bool = False) -> tuple[Vectors, Vectors]:
    """Queries of which half are gallery images themselves."""
    rng = np.random.default_rng(seed)
    gallery_ids = rng.permutation(items) + 5
    query_ids = np.concatenate((gallery_ids[: queries // 2], np.arange(queries - queries // 2) + 1000))
    values = rng.normal(size=(items, dim)), rng.normal(size=(queries, dim))
    if ties:
        values = np.sign(values[0]), np.sign(values[1])
    judgements = random_judgements(rng, rng.permutation(query_ids), gallery_ids)
    return vectors(values[1], query_ids, judgements), vectors(values[0], gallery_ids)


def ranking(query: Vectors, gallery: Vectors, row: int, distance: str) -> list[bool]:
    """Whether each image of the query's ranking is relevant, ignored ones left out, irrelevant first among equals."""
    judged = query.judgements
    place = judged.queries.tolist().index(int(query.ids[row]))
    relevant, ignored = set(judged.relevant[place].tolist()), set(judged.ignored[place].tolist())
    q = query.values[row].double().numpy()
    entries = []
    for g, document in zip(gallery.values.double().numpy(), gallery.ids.tolist(), strict=True):
        if document in ignored or document == int(query.ids[row]):
            continue
        closeness = q @ g / np.sqrt((q @ q) * (g @ g)) if distance == "cosine" else -((q - g) @ (q - g))
        entries.append((-closeness, document in relevant))
    return [hit for _, hit in sorted(entries)]


def slow_loop(query: Vectors, gallery: Vectors, distance: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in FIELDS}
    for row in range(len(query)):
        ranks = [rank for rank, hit in enumerate(ranking(query, gallery, row, distance), start=1) if hit]
        precisions = [(i / rank, rank) for i, rank in enumerate(ranks, start=1)]
        total = len(ranks)
        found["relevant"].append(total)
        found["first_rank"].append(ranks[0] if ranks else 0)
        found["average_precision"].append(sum(p for p, _ in precisions) / total if ranks else np.nan)
        found["ap_at_r"].append(sum(p for p, r in precisions if r <= total) / total if ranks else np.nan)
    return found


FURTHER = ("mAP@100", "nDCG@10", "recall@10", "recall@100", "MRR@10")


def graded(query: Vectors, seed: int, relevant_from: float) -> Vectors:
    """The same with a grade from 1 to 3 for each relevant image."""
    grades = np.random.default_rng(seed).integers(1, 4, len(query.judgements.relevant.values)).astype(np.float32)
    return replace(query, judgements=replace(query.judgements, grades=grades, relevant_from=relevant_from))


def slow_graded(query: Vectors, gallery: Vectors, row: int) -> dict[str, float]:
    """FURTHER of one query, walking down its ranking; of equal scores the lowest grade comes first."""
    judged = query.judgements
    place = judged.queries.tolist().index(int(query.ids[row]))
    start, own = judged.relevant.starts[place], int(query.ids[row])
    grades = dict(zip(judged.relevant[place].tolist(), judged.grades[start:].tolist(), strict=False))
    hidden = {own, *judged.ignored[place].tolist()}
    q = torch.nn.functional.normalize(query.values[row].double(), dim=0)
    documents = torch.nn.functional.normalize(gallery.values.double())
    ranked = sorted(
        (-round(float(q @ d), 9), grades.get(document, 0.0))
        for d, document in zip(documents, gallery.ids.tolist(), strict=True)
        if document not in hidden
    )
    gains = [grade for _, grade in ranked]
    hits = [grade >= judged.relevant_from for grade in gains]
    if not any(hits):
        return dict.fromkeys(FURTHER, np.nan)
    best = sum(gain / np.log2(1 + r) for r, gain in enumerate(sorted(gains, reverse=True)[:10], start=1))
    first = hits.index(True) + 1
    return {
        "mAP@100": sum(sum(hits[:r]) / r for r in range(1, 101) if hits[r - 1 : r] == [True]) / min(sum(hits), 100),
        "nDCG@10": sum(gain / np.log2(1 + r) for r, gain in enumerate(gains[:10], start=1)) / best,
        "recall@10": sum(hits[:10]) / sum(hits),
        "recall@100": sum(hits[:100]) / sum(hits),
        "MRR@10": 1 / first if first <= 10 else 0.0,
    }


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("relevant_from", [1.0, 2.0])
def test_graded_numbers_are_those_of_a_walk_down_each_ranking(ties: bool, relevant_from: float) -> None:
    query, gallery = make(3, queries=30, items=150, dim=4 if ties else 8, ties=ties)
    query = graded(query, 4, relevant_from)
    expected = [slow_graded(query, gallery, row) for row in range(len(query))]
    for blocks in ({}, {"chunk_items": 64, "block_scores": 4096}):
        results = evaluate(query, gallery, **blocks)
        for name in FURTHER:
            found = results.per_query(name)
            np.testing.assert_allclose(found, [one[name] for one in expected], rtol=2e-6, atol=1e-9, err_msg=name)
        assert set(FURTHER) <= results.metrics().keys()


@pytest.mark.parametrize("relevant_from", [1, 2])
def test_graded_numbers_are_those_of_pytrec_eval(relevant_from: int) -> None:
    query, gallery = make(5, queries=30, items=300)
    query = graded(query, 6, relevant_from)
    judged = query.judgements
    qrels, run = {}, {}
    normalize = torch.nn.functional.normalize
    cosines = normalize(query.values) @ normalize(gallery.values).T
    for row, own in enumerate(query.ids.tolist()):
        place = judged.queries.tolist().index(own)
        hidden = {own, *judged.ignored[place].tolist()}
        start = judged.relevant.starts[place]
        pairs = zip(judged.relevant[place].tolist(), judged.grades[start:].tolist(), strict=False)
        qrels[str(own)] = {str(item): int(grade) for item, grade in pairs if item != own}
        scores = zip(gallery.ids.tolist(), cosines[row].tolist(), strict=True)
        run[str(own)] = {str(item): score for item, score in scores if item not in hidden}
    measures = {"ndcg_cut.10", "recall.10,100", "map_cut.100", "recip_rank"}
    reference = pytrec_eval.RelevanceEvaluator(qrels, measures, relevance_level=relevant_from).evaluate(run)
    results = evaluate(query, gallery)
    asked = np.flatnonzero(results.answerable)
    assert len(asked) > 20
    for name, theirs in (("nDCG@10", "ndcg_cut_10"), ("recall@10", "recall_10"), ("recall@100", "recall_100")):
        expected = [reference[str(results.ids[row])][theirs] for row in asked]
        np.testing.assert_allclose(results.per_query(name)[asked], expected, rtol=2e-6, atol=1e-9, err_msg=name)
    inverse = np.array([reference[str(results.ids[row])]["recip_rank"] for row in asked])
    np.testing.assert_allclose(results.per_query("MRR@10")[asked], np.where(inverse >= 0.1, inverse, 0))
    # map_cut divides by R, the landmarks' formula by min(R, 100): here no query has more than 100 relevant items
    assert results.relevant.max() <= 100
    expected = [reference[str(results.ids[row])]["map_cut_100"] for row in asked]
    np.testing.assert_allclose(results.per_query("mAP@100")[asked], expected, rtol=2e-6)


def assert_as_slow(query: Vectors, gallery: Vectors, distance: str = "cosine", **blocks: int) -> None:
    results = evaluate(query, gallery, distance, **blocks)
    assert results.ids.tolist() == query.ids.tolist()
    for name, expected in slow_loop(query, gallery, distance).items():
        np.testing.assert_allclose(getattr(results, name), expected, rtol=2e-6, err_msg=name)


@pytest.mark.parametrize("distance", ["cosine", "l2"])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_slow_loop(seed: int, distance: str) -> None:
    assert_as_slow(*make(seed), distance)


@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_ties_equal_the_slow_loop(distance: str) -> None:
    assert_as_slow(*make(7, dim=16, ties=True), distance)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_equals_the_slow_loop_whatever_the_blocks(data: st.DataObject) -> None:
    query, gallery = make(
        data.draw(st.integers(0, 1000)), data.draw(st.integers(1, 12)), data.draw(st.integers(12, 40)), 4, ties=True
    )
    blocks = {"block_scores": data.draw(st.integers(1, 3000)), "chunk_items": data.draw(st.integers(1, 100))}
    assert_as_slow(query, gallery, **blocks)


def test_judgements_by_class_are_retrieval_by_class() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 6, 90)
    side = vectors(rng.normal(size=(90, 8)), rng.permutation(90), labels=labels)
    ids = side.ids.numpy()
    lists = Lists.of([ids[labels == label] for label in labels])
    judged = replace(side, judgements=Judgements(ids, lists, Lists.of([[]] * 90)))
    ours, by_class = evaluate(judged, side), evaluate(side, side)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(by_class, name))


def test_what_is_ignored_could_as_well_not_be_there() -> None:
    query, gallery = make(3, queries=1)
    kept = ~np.isin(gallery.ids.numpy(), query.judgements.ignored[0])
    without = vectors(gallery.values[kept], gallery.ids[kept])
    for name in FIELDS:
        assert getattr(evaluate(query, gallery), name) == getattr(evaluate(query, without), name)


def test_the_query_camera_of_a_person_does_not_count() -> None:
    """Cross-camera search by hand: the nearest image is of the query's own camera, the next of somebody else."""
    gallery_values = [[1.0, 0.0], [0.9, 0.1], [0.8, 0.3], [0.0, 1.0]]
    people, cameras, ids = np.array([4, 5, 4, 4]), np.array([1, 1, 2, 3]), np.array([10, 11, 12, 13])
    asked = np.array([7]), np.array([4]), np.array([1])
    query = vectors([[1.0, 0.0]], [7], across_groups(asked, (ids, people, cameras)), [4])
    results = evaluate(query, vectors(gallery_values, ids, labels=people))
    assert results.relevant.tolist() == [2]
    assert results.first_rank.tolist() == [2]
    assert results.average_precision[0] == pytest.approx((1 / 2 + 2 / 3) / 2)


def authors_average_precision(hits: list[bool]) -> float:
    """Area under precision over recall, a trapezoid a relevant image: from the precision just ahead of it (1 where
    nothing is ahead) to that with it, recall one step of 1/R wide."""
    total, found, area = sum(hits), 0, 0.0
    for rank, hit in enumerate(hits):
        if hit:
            before = 1.0 if rank == 0 else found / rank
            found += 1
            area += (before + found / (rank + 1)) / 2 / total
    return area


@pytest.mark.parametrize("seed", range(4))
def test_trapezoid_equals_the_landmark_authors_formula(seed: int) -> None:
    query, gallery = make(seed, queries=30, items=120)
    results = evaluate(query, gallery, trapezoid=True, chunk_items=64)
    plain = evaluate(query, gallery)
    for row in range(len(query)):
        hits = ranking(query, gallery, row, "cosine")
        if any(hits):
            assert results.average_precision[row] == pytest.approx(authors_average_precision(hits), rel=1e-6)
        else:
            assert np.isnan(results.average_precision[row])
    np.testing.assert_array_equal(results.first_rank, plain.first_rank)
    np.testing.assert_array_equal(results.ap_at_r, plain.ap_at_r)


def test_trapezoid_by_hand() -> None:
    """Relevant at ranks 1 and 3: ((1 + 1)/2 + (1/2 + 2/3)/2) / 2."""
    judgements = Judgements(np.array([9]), Lists.of([[1, 3]]), Lists.of([[]]))
    query = vectors([[1.0, 0.0]], [9], judgements)
    gallery = vectors([[1.0, 0.0], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]], [1, 2, 3, 4])
    assert evaluate(query, gallery, trapezoid=True).average_precision[0] == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
    perfect = vectors([[1.0, 0.0], [1.0, 1.0], [1.0, 0.5], [0.0, 1.0]], [1, 2, 3, 4])
    assert evaluate(query, perfect, trapezoid=True).average_precision[0] == 1


def test_a_query_without_judgements_is_refused() -> None:
    query, gallery = make(0)
    stranger = vectors(query.values, query.ids + 5000, query.judgements)
    with pytest.raises(ValueError, match="some of the queries have no judgements"):
        evaluate(stranger, gallery)


def test_a_sampled_gallery_keeps_the_judgements_of_what_is_left() -> None:
    query, gallery = make(5, queries=20, items=200)
    fewer = sample(query, gallery, max_queries=10, max_gallery=60)
    assert (len(fewer[0]), len(fewer[1])) == (10, 60)
    assert_as_slow(*fewer)


def test_every_point_of_a_backfill_is_the_score_of_its_mixed_gallery() -> None:
    rng = np.random.default_rng(6)
    query, gallery = make(6, queries=20, items=60)
    new = (
        replace(query, values=torch.from_numpy(rng.normal(size=(20, 8)).astype(np.float32))),
        replace(gallery, values=torch.from_numpy(rng.normal(size=(60, 8)).astype(np.float32))),
    )
    order = rng.permutation(60)
    betas = (0.0, 0.25, 0.6, 1.0)
    curve = backfill((query, gallery), new, {"random": [order]}, betas)["random"][0]
    old_scores, new_scores = (
        torch.nn.functional.normalize(q.values) @ torch.nn.functional.normalize(g.values).T
        for q, g in ((query, gallery), new)
    )
    for place, beta in enumerate(betas):
        renewed = np.zeros(60, dtype=bool)
        renewed[order[: round(beta * 60)]] = True
        scores = torch.where(torch.from_numpy(renewed), new_scores, old_scores)
        for row in range(20):
            at = query.judgements.queries.tolist().index(int(query.ids[row]))
            relevant = set(query.judgements.relevant[at].tolist()) - {int(query.ids[row])}
            left_out = set(query.judgements.ignored[at].tolist()) | {int(query.ids[row])}
            ranked = [i for i in gallery.ids[scores[row].argsort(descending=True)].tolist() if i not in left_out]
            ranks = [rank for rank, i in enumerate(ranked, start=1) if i in relevant]
            if not ranks:
                assert np.isnan(curve.values["mAP"][row, place])
                continue
            expected = np.mean([i / rank for i, rank in enumerate(ranks, start=1)])
            assert curve.values["mAP"][row, place] == pytest.approx(expected, rel=1e-5)
            assert curve.values["CMC@1"][row, place] == (ranks[0] == 1)
