"""Thresholds and acceptance against scikit-learn's ROC curve, slow loops and hand-made cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve

from compatbench.data.judgements import Judgements
from compatbench.data.lists import Lists
from compatbench.errors import RequestError
from compatbench.evaluation import scoring
from compatbench.evaluation.acceptance import Acceptance, acceptance_rates, supported_rates
from compatbench.evaluation.retrieval import Vectors, transfer_thresholds
from compatbench.evaluation.thresholds import ImpostorScores


def side(rows: int, seed: int, dim: int = 6, first_id: int = 0) -> Vectors:
    generator = np.random.default_rng(seed)
    values = torch.from_numpy(generator.normal(size=(rows, dim)).astype(np.float32))
    labels = torch.from_numpy(np.random.default_rng(99).integers(0, 4, rows))
    return Vectors(values, labels, torch.arange(rows) + first_id)


def all_pairs(query: Vectors, gallery: Vectors) -> list[tuple[int, bool, float]]:
    """Query, whether genuine, and cosine of every pair: the definition, pair by pair."""
    pairs = []
    for q in range(len(query)):
        for g in range(len(gallery)):
            if query.ids[q] != gallery.ids[g]:
                cosine = torch.nn.functional.cosine_similarity(query.values[q], gallery.values[g], dim=0)
                pairs.append((q, bool(query.labels[q] == gallery.labels[g]), float(cosine)))
    return pairs


@pytest.mark.parametrize("block", [1024, 16])
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.5])
def test_tar_at_far_is_the_roc_curve_of_scikit_learn(monkeypatch: pytest.MonkeyPatch, block: int, rate: float) -> None:
    monkeypatch.setattr(scoring, "BLOCK_QUERIES", block)
    query, gallery = side(40, 0), side(60, 1)
    found = transfer_thresholds({"a": (query, gallery)}, "a", (rate,)).acceptance("a", transferred=False)[rate]
    pairs = all_pairs(query, gallery)
    far, tar, _ = roc_curve(
        [genuine for _, genuine, _ in pairs], [score for *_, score in pairs], drop_intermediate=False
    )
    accepted = found.accepted_genuine.sum() / found.genuine.sum()
    assert accepted == pytest.approx(tar[far <= rate + 1e-12].max())
    assert found.accepted_impostors.sum() <= rate * found.impostors.sum()
    assert int(found.genuine.sum()) == sum(genuine for _, genuine, _ in pairs)
    assert int(found.impostors.sum()) == sum(not genuine for _, genuine, _ in pairs)


def test_judgements_say_which_pairs_are_genuine_and_which_do_not_count() -> None:
    query, gallery = side(3, 0), side(30, 1, first_id=100)
    relevant, ignored = [[101, 105], [], [129]], [[102], [100, 101], []]
    judged = replace(query, judgements=Judgements(query.ids.numpy(), Lists.of(relevant), Lists.of(ignored)))
    transfer = transfer_thresholds({"a": (judged, gallery)}, "a", (0.1,))
    limits, found = transfer.thresholds["a"], transfer.acceptance("a", transferred=False)[0.1]
    assert found.genuine.tolist() == [2, 0, 1]
    assert found.impostors.tolist() == [27, 28, 29]
    scores = {
        (q, 100 + g): score for (q, _, score), g in zip(all_pairs(query, gallery), 3 * list(range(30)), strict=True)
    }
    others = [s for (q, item), s in scores.items() if item not in relevant[q] + ignored[q]]
    assert limits[0] == pytest.approx(sorted(others)[-9])  # of 84 impostor pairs 8 may be accepted
    assert found.accepted_genuine.tolist() == [sum(scores[q, i] > limits[0] for i in relevant[q]) for q in range(3)]
    assert int(found.accepted_impostors.sum()) == 8


def test_a_transferred_threshold_is_applied_pair_by_pair() -> None:
    old, gallery, new = side(30, 0), side(30, 0), side(30, 5)
    transfer = transfer_thresholds({"old": (old, gallery), "new": (new, gallery)}, "old", (0.05,))
    (limit,), found = transfer.thresholds["old"], transfer.acceptance("new", transferred=True)[0.05]
    for query in range(30):
        own = [(genuine, score) for q, genuine, score in all_pairs(new, gallery) if q == query]
        assert found.accepted_genuine[query] == sum(genuine and score > limit for genuine, score in own)
        assert found.accepted_impostors[query] == sum(not genuine and score > limit for genuine, score in own)
        assert (found.genuine[query], found.impostors[query]) == (
            sum(genuine for genuine, _ in own),
            sum(not genuine for genuine, _ in own),
        )


def test_scores_that_come_in_parts_have_the_thresholds_of_all_together() -> None:
    generator = np.random.default_rng(0)
    scores = np.round(generator.uniform(-1, 1, 5000), 2).astype(np.float32)  # with ties
    rates = (0.2, 0.01, 0.0)
    kept = ImpostorScores(5000, rates)
    owners: list[Any] = []
    given: list[Any] = []
    for number, part in enumerate(np.array_split(generator.permutation(scores), 50)):
        kept.add(np.array([number % 2, 2]), part.reshape(2, -1))
        owners.append(np.repeat([number % 2, 2], len(part) // 2))
        given.append(part)
    limits = [np.sort(scores)[::-1][m] for m in (1000, 50, 0)]
    assert kept.thresholds() == limits
    for limit, counts in zip(limits, kept.accepted(3), strict=True):
        above = np.concatenate(given) > limit
        assert counts.tolist() == [int(above[np.concatenate(owners) == query].sum()) for query in range(3)]


def test_equal_scores_are_rejected_together() -> None:
    kept = ImpostorScores(10, (0.3, 1.0))
    kept.add(np.zeros(1, np.int64), np.full((1, 10), 0.5, dtype=np.float32))
    assert kept.thresholds() == [0.5, -np.inf]  # above 0.5 lies nothing, though three pairs were allowed


def test_a_rate_needs_a_hundred_false_accepts() -> None:
    assert supported_rates(9_999) == ()
    assert supported_rates(10_000) == (1e-2,)
    assert supported_rates(1_000_000) == (1e-2, 1e-3, 1e-4)


def column(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_rates_are_shares_of_all_pairs_with_a_paired_interval() -> None:
    generator = np.random.default_rng(3)
    genuine, impostors = generator.integers(1, 9, 400), generator.integers(50, 90, 400)
    one = Acceptance(
        np.arange(400), genuine, impostors, generator.binomial(genuine, 0.7), generator.binomial(impostors, 0.1)
    )
    (tar, far) = acceptance_rates({"a": [one]})["a"]
    assert tar.value == one.accepted_genuine.sum() / genuine.sum()
    assert far.value == one.accepted_impostors.sum() / impostors.sum()
    draws = generator.integers(0, 400, (2000, 400))
    resampled = one.accepted_genuine[draws].sum(1) / genuine[draws].sum(1)
    assert tar.low is not None
    assert tar.high is not None
    assert (tar.low, tar.high) == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.004)


def test_several_seeds_give_the_shares_of_all_their_pairs() -> None:
    seeds = [
        Acceptance(column(0, 1), column(2, 2), column(8, 8), column(1, 2), column(0, 0)),
        Acceptance(column(0, 1), column(2, 2), column(8, 8), column(0, 0), column(4, 4)),
    ]
    tar, far = acceptance_rates({"a": seeds})["a"]
    assert (tar.value, far.value) == (3 / 8, 8 / 32)


def test_without_genuine_pairs_there_is_no_rate() -> None:
    one = Acceptance(column(0), column(0), column(5), column(0), column(1))
    tar, far = acceptance_rates({"a": [one]})["a"]
    assert (tar.value, tar.low, tar.high) == (None, None, None)
    assert far.value == 0.2


def test_acceptance_is_written_and_read(tmp_path: Path) -> None:
    one = Acceptance(column(3, 5), column(1, 2), column(8, 7), column(1, 0), column(4, 0))
    sha256 = one.write(tmp_path)
    again = Acceptance.read(tmp_path, sha256)
    for name in ("ids", "genuine", "impostors", "accepted_genuine", "accepted_impostors"):
        assert np.array_equal(getattr(one, name), getattr(again, name))
    with pytest.raises(RequestError, match="not readable"):
        Acceptance.read(tmp_path, "0" * 64)
