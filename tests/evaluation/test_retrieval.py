"""Retrieval scoring against a slow loop, other libraries, and what must hold whatever the data."""

import numpy as np
import pytest
import pytrec_eval
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.metrics import average_precision_score
from torchmetrics.functional.retrieval import retrieval_average_precision

from compatbench.errors import InvalidResultError
from compatbench.evaluation.retrieval import Vectors, evaluate

FIELDS = ("first_rank", "average_precision", "ap_at_r", "relevant")


def vectors(values, labels, ids=None) -> Vectors:
    values = torch.as_tensor(np.asarray(values, dtype=np.float32))
    ids = np.arange(len(values)) if ids is None else ids
    return Vectors(values, torch.as_tensor(np.asarray(labels)).long(), torch.as_tensor(np.asarray(ids)).long())


def slow_loop(query: Vectors, gallery: Vectors, distance: str) -> dict[str, list[float]]:
    """Protocol §2 word by word: rank, skip oneself, irrelevant first among equals, average the precisions."""
    found: dict[str, list[float]] = {name: [] for name in FIELDS}
    q_values, g_values = query.values.double().numpy(), gallery.values.double().numpy()
    for q, label, own in zip(q_values, query.labels.tolist(), query.ids.tolist(), strict=True):
        ranking = []
        for g, other, document in zip(g_values, gallery.labels.tolist(), gallery.ids.tolist(), strict=True):
            if document == own:
                continue
            if distance == "cosine":
                closeness = np.dot(q, g) / (np.sqrt(np.dot(q, q)) * np.sqrt(np.dot(g, g)))
            else:
                closeness = -np.dot(q - g, q - g)
            ranking.append((-closeness, other == label))
        ranking.sort()
        ranks = [rank for rank, (_, relevant) in enumerate(ranking, start=1) if relevant]
        total = len(ranks)
        precisions = [(i / rank, rank) for i, rank in enumerate(ranks, start=1)]
        found["relevant"].append(total)
        found["first_rank"].append(ranks[0] if ranks else 0)
        found["average_precision"].append(sum(p for p, _ in precisions) / total if ranks else np.nan)
        found["ap_at_r"].append(sum(p for p, r in precisions if r <= total) / total if ranks else np.nan)
    return found


def assert_as_slow(query: Vectors, gallery: Vectors, distance: str, **blocks: int) -> None:
    results = evaluate(query, gallery, distance, **blocks)
    expected = slow_loop(query, gallery, distance)
    assert results.ids.tolist() == query.ids.tolist()
    for name in FIELDS:
        np.testing.assert_allclose(getattr(results, name), expected[name], rtol=2e-6, err_msg=name)


def clustered(rng, labels, dim: int, noise: float) -> np.ndarray:
    centres = rng.normal(size=(int(max(labels)) + 1, dim))
    return centres[labels] + noise * rng.normal(size=(len(labels), dim))


def labels_of(kind: str, rng, size: int) -> np.ndarray:
    if kind == "unbalanced":
        return np.minimum(rng.geometric(0.4, size), 8) - 1
    if kind == "single class":
        return np.zeros(size, dtype=int)
    if kind == "single relevant":
        return np.arange(size) // 2
    return rng.integers(0, 7, size)


@pytest.mark.parametrize("distance", ["cosine", "l2"])
@pytest.mark.parametrize("kind", ["random", "unbalanced", "single class", "single relevant"])
def test_equals_the_slow_loop(kind: str, distance: str) -> None:
    rng = np.random.default_rng(0)
    labels = labels_of(kind, rng, 90)
    gallery = vectors(clustered(rng, labels, 12, 1.5), labels)
    chosen = rng.permutation(90)[:40]
    other_model = vectors(gallery.values.numpy()[chosen] + rng.normal(size=(40, 12)), labels[chosen], chosen)
    assert_as_slow(gallery, gallery, distance)
    assert_as_slow(other_model, gallery, distance)


@pytest.mark.parametrize("distance", ["cosine", "l2"])
@pytest.mark.parametrize("kind", ["random", "unbalanced", "single class", "single relevant"])
def test_ties_equal_the_slow_loop(kind: str, distance: str) -> None:
    """Signs in 16 dimensions have norm 4 and scores that float32 holds exactly: nearly all of them are tied."""
    rng = np.random.default_rng(1)
    labels = labels_of(kind, rng, 80)
    signs = vectors(np.sign(rng.normal(size=(80, 16))), labels)
    assert_as_slow(signs, signs, distance)


@pytest.mark.parametrize("distance", ["cosine", "l2"])
@pytest.mark.parametrize("dim", [7, 33, 64])
def test_repeated_embeddings_equal_the_slow_loop(dim: int, distance: str) -> None:
    """As a vector quantiser makes them: 20 codes for 121 samples of 5 classes."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 5, 121)
    quantised = vectors(rng.normal(size=(20, dim))[rng.integers(0, 20, 121)], labels)
    assert_as_slow(quantised, quantised, distance)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_equals_the_slow_loop_whatever_the_blocks(data: st.DataObject) -> None:
    size, queries = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 20))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    classes = data.draw(st.integers(1, 6))
    gallery = vectors(np.sign(rng.normal(size=(size, 4))), rng.integers(0, classes, size), rng.permutation(size))
    query = vectors(
        np.sign(rng.normal(size=(queries, 4))), rng.integers(-1, classes, queries), rng.permutation(60)[:queries]
    )
    assert_as_slow(
        query,
        gallery,
        data.draw(st.sampled_from(["cosine", "l2"])),
        block_scores=data.draw(st.integers(1, 4000)),
        chunk_items=data.draw(st.integers(1, 200)),
    )


@pytest.fixture(scope="module")
def untied() -> Vectors:
    rng = np.random.default_rng(3)
    labels = labels_of("unbalanced", rng, 300)
    return vectors(clustered(rng, labels, 16, 2.0), labels)


def masked_scores(side: Vectors):
    """Per query of a set that searches itself: cosines with and relevance of all others."""
    unit = torch.nn.functional.normalize(side.values.double())
    for row, scores in enumerate(unit @ unit.T):
        others = torch.arange(len(side)) != row
        yield scores[others], (side.labels == side.labels[row])[others]


def test_equals_scikit_learn_and_torchmetrics(untied: Vectors) -> None:
    results = evaluate(untied, untied)
    for row, (scores, relevant) in enumerate(masked_scores(untied)):
        if results.relevant[row]:
            ap = results.average_precision[row]
            assert ap == pytest.approx(average_precision_score(relevant, scores), rel=1e-5)
            positive = scores.argsort().argsort() + 1.0  # torchmetrics calls items of negative score irrelevant
            assert ap == pytest.approx(float(retrieval_average_precision(positive, relevant)), rel=1e-5)


def test_equals_trec_eval(untied: Vectors) -> None:
    judged = {}
    run = {}
    for row, (scores, relevant) in enumerate(masked_scores(untied)):
        judged[str(row)] = {str(i): int(r) for i, r in enumerate(relevant.tolist())}
        run[str(row)] = {str(i): s for i, s in enumerate(scores.tolist())}
    evaluator = pytrec_eval.RelevanceEvaluator(judged, {"map", "success.1,5,10", "recip_rank"})
    trec = evaluator.evaluate(run)
    results = evaluate(untied, untied)
    for row in np.flatnonzero(results.answerable):
        theirs = trec[str(row)]
        assert results.average_precision[row] == pytest.approx(theirs["map"], rel=1e-5)
        assert 1 / results.first_rank[row] == pytest.approx(theirs["recip_rank"])
        assert [bool(results.hits(k)[row]) for k in (1, 5, 10)] == [theirs[f"success_{k}"] == 1 for k in (1, 5, 10)]


@pytest.mark.parametrize("same_set", [True, False])
def test_equals_pytorch_metric_learning(same_set: bool) -> None:
    """Where that library can do the case: query and gallery by one model, or disjoint sets."""
    rng = np.random.default_rng(4)
    labels = np.arange(240) % 8
    everything = torch.nn.functional.normalize(torch.as_tensor(clustered(rng, labels, 16, 1.5)).float())
    gallery = vectors(everything if same_set else everything[80:], labels if same_set else labels[80:])
    query = gallery if same_set else vectors(everything[:80], labels[:80], np.arange(1000, 1080))
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r", "mean_average_precision", "precision_at_1"), k=len(gallery) - same_set
    )
    theirs = calculator.get_accuracy(
        query.values, query.labels, gallery.values, gallery.labels, ref_includes_query=same_set
    )
    ours = evaluate(query, gallery).metrics()
    assert ours["mAP@R"] == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-6)
    assert ours["mAP"] == pytest.approx(theirs["mean_average_precision"], abs=1e-6)
    assert ours["CMC@1"] == pytest.approx(theirs["precision_at_1"], abs=1e-6)


@pytest.mark.parametrize("distance", ["cosine", "l2"])
@pytest.mark.parametrize("size", [5, 47, 64, 129, 1001])
@pytest.mark.parametrize("dim", [3, 17, 64, 128])
@pytest.mark.parametrize("chunk_items", [10_000, 300])
def test_equal_embeddings_score_chance(size: int, dim: int, distance: str, chunk_items: int) -> None:
    """Every irrelevant item ranks before every relevant one, in products of any ragged size."""
    rng = np.random.default_rng(size * dim)
    labels = rng.integers(0, 3, size)
    side = vectors(np.tile(rng.normal(size=dim), (size, 1)), labels)
    results = evaluate(side, side, distance, chunk_items=chunk_items)
    relevant = np.array([(labels == label).sum() - 1 for label in labels])
    irrelevant = size - 1 - relevant
    assert results.first_rank.tolist() == np.where(relevant > 0, irrelevant + 1, 0).tolist()
    worst = [
        np.mean(np.arange(1, r + 1) / (np.arange(1, r + 1) + i)) if r else np.nan
        for r, i in zip(relevant, irrelevant, strict=True)
    ]
    np.testing.assert_allclose(results.average_precision, worst, rtol=1e-6)


@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_blocks_and_chunks_change_nothing(distance: str) -> None:
    rng = np.random.default_rng(5)
    labels = labels_of("unbalanced", rng, 700)
    side = vectors(clustered(rng, labels, 32, 2.5), labels)
    whole = evaluate(side, side, distance)
    for block_scores, chunk_items in ((1, 1), (5000, 100), (40_000, 256), (10**6, 700)):
        blocked = evaluate(side, side, distance, block_scores=block_scores, chunk_items=chunk_items)
        for name in FIELDS:
            np.testing.assert_allclose(
                getattr(blocked, name), getattr(whole, name), rtol=1e-6, err_msg=f"{name} {block_scores} {chunk_items}"
            )


def test_the_gallery_s_order_changes_nothing() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 10, 400)
    side = vectors(clustered(rng, labels, 32, 2.5), labels)
    order = rng.permutation(400)
    shuffled = vectors(side.values[order], labels[order], order)
    straight, other = evaluate(side, side), evaluate(side, shuffled)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(other, name), getattr(straight, name), rtol=1e-6, err_msg=name)


def test_a_query_skips_itself_by_id_across_models() -> None:
    """Two models, gallery shuffled: only the id tells the query's own sample, and its label may be anything."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 4, 60)
    ids = rng.permutation(1000)[:60]
    old = rng.normal(size=(60, 8))
    order = rng.permutation(60)
    query = vectors(old @ rng.normal(size=(8, 8)), labels, ids)
    gallery = vectors(old[order], labels[order], ids[order])
    results = evaluate(query, gallery)
    assert results.relevant.tolist() == [(labels == label).sum() - 1 for label in labels]
    assert_as_slow(query, gallery, "cosine")
    relabelled = vectors(old[order], (labels[order] + 1) % 4, ids[order])
    assert evaluate(query, relabelled).relevant.tolist() == [((labels + 1) % 4 == label).sum() for label in labels]
    assert_as_slow(query, relabelled, "cosine")


def test_without_masking_the_same_search_would_be_perfect() -> None:
    """The trap that masking avoids: with other ids on one side each query finds itself."""
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 10, 200)
    values = rng.normal(size=(200, 16))
    masked = evaluate(vectors(values, labels), vectors(values, labels)).metrics()
    unmasked = evaluate(vectors(values, labels), vectors(values, labels, np.arange(200) + 1000)).metrics()
    assert unmasked["CMC@1"] == 1.0
    assert masked["CMC@1"] < 0.3


def test_recall_precision_and_cmc_agree_at_one() -> None:
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 10, 300)
    side = vectors(clustered(rng, labels, 16, 3.0), labels)
    unit = torch.nn.functional.normalize(side.values.double())
    scores = (unit @ unit.T).fill_diagonal_(-2)
    nearest = scores.argmax(dim=1)
    precision_at_1 = float((side.labels[nearest] == side.labels).double().mean())
    results = evaluate(side, side)
    assert results.metrics()["CMC@1"] == pytest.approx(precision_at_1)
    assert results.hits(1).mean() == pytest.approx(precision_at_1)


def test_l2_depends_on_length_and_cosine_does_not() -> None:
    gallery = vectors([[10.0, 0.5], [1.0, 0.4]], [0, 1])
    query = vectors([[1.0, 0.0]], [0], [7])
    assert evaluate(query, gallery, "cosine").first_rank.tolist() == [1]
    assert evaluate(query, gallery, "l2").first_rank.tolist() == [2]


def test_scale_of_all_vectors_changes_no_l2_ranking() -> None:
    rng = np.random.default_rng(10)
    labels = rng.integers(0, 5, 100)
    values = rng.normal(size=(100, 8))
    reference = evaluate(vectors(values, labels), vectors(values, labels), "l2")
    for scale in (1e-12, 1e12):
        side = vectors(values * scale, labels)
        np.testing.assert_array_equal(evaluate(side, side, "l2").first_rank, reference.first_rank)


def test_half_precision_and_global_precision_do_not_matter() -> None:
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 5, 200)
    side = vectors(rng.normal(size=(200, 64)), labels)
    exact = evaluate(side, side)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lazy = evaluate(side, side)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    np.testing.assert_array_equal(lazy.average_precision, exact.average_precision)


@pytest.mark.parametrize("distance", ["cosine", "l2"])
@pytest.mark.parametrize(
    ("side", "value", "message"),
    [
        ("query", float("nan"), "query: 2 of 6 vectors are NaN or infinite, the first is row 3"),
        ("gallery", float("inf"), "gallery: 2 of 6 vectors are NaN or infinite, the first is row 3"),
        ("gallery", 0.0, "gallery: 2 of 6 vectors are zero, the first is row 3"),
    ],
)
def test_vectors_that_cannot_be_ranked_are_refused(side: str, value: float, message: str, distance: str) -> None:
    good, bad = np.ones((6, 4)), np.ones((6, 4))
    bad[[3, 5]] = value
    query, gallery = (vectors(bad if side == name else good, np.zeros(6)) for name in ("query", "gallery"))
    with pytest.raises(InvalidResultError, match=message):
        evaluate(query, gallery, distance)


def test_sides_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="query vectors have 4 dimensions, gallery vectors 3"):
        evaluate(vectors(np.ones((2, 4)), [0, 1]), vectors(np.ones((2, 3)), [0, 1]))
    with pytest.raises(ValueError, match="5 is there more than once"):
        evaluate(vectors(np.ones((2, 4)), [0, 1]), vectors(np.ones((3, 4)), [0, 1, 1], [5, 4, 5]))
    with pytest.raises(ValueError, match="labels: expected int64"):
        Vectors(torch.ones(2, 3), torch.zeros(3, dtype=torch.int64), torch.arange(2))
    with pytest.raises(ValueError, match="N ≥ 1"):
        Vectors(torch.ones(0, 3), torch.zeros(0, dtype=torch.int64), torch.arange(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_a_gpu_gives_the_same_numbers(distance: str) -> None:
    rng = np.random.default_rng(12)
    labels = labels_of("unbalanced", rng, 3000)
    side = vectors(clustered(rng, labels, 64, 3.0), labels)
    on_gpu = Vectors(side.values.cuda(), side.labels.cuda(), side.ids.cuda())
    ours = evaluate(side, side, distance).metrics()
    theirs = evaluate(on_gpu, on_gpu, distance, block_scores=100_000, chunk_items=1000).metrics()
    assert theirs == pytest.approx(ours, abs=1e-5)
