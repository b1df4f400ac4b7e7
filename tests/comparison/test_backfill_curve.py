"""Retrieval during a backfill of one's own files, against a ranking by hand of one list from two indexes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from typer.testing import CliRunner
from upgrades import Upgrade

from compatbench.cli import app
from compatbench.comparison.backfill_curve import SHARES
from compatbench.comparison.backfill_tables import backfill_table, costs_table, sentences
from compatbench.comparison.comparison import Comparison
from compatbench.comparison.inputs import read_items
from compatbench.comparison.relevance import by_class
from compatbench.comparison.split import make_split
from compatbench.generations import adapters
from compatbench.machine.seeds import stream_seed
from compatbench.vocabulary import Order


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    hits = relevant[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def test_curves_rank_old_and_new_vectors_in_one_list(upgrade: Upgrade) -> None:
    words = ["old.npy", "new.npy", "--labels", "labels.npy", "--adapters", "lambda_orthogonal", "--fit-pairs", "100"]
    costs = ["--items", "200M", "--tokens-per-item", "300", "--price-per-million", "0.02", "--items-per-second", "500"]
    done = CliRunner().invoke(app, ["compare", *words, *costs, "-o", "out"], catch_exceptions=False)
    assert done.exit_code == 0
    found = Comparison.model_validate(json.loads(Path("out/compare.json").read_text()))
    assert [(one.serving, one.order) for one in found.curves] == [
        ("rank merge", Order.RANDOM),
        ("lambda_orthogonal", Order.RANDOM),
        ("lambda_orthogonal", Order.OWN),
    ]
    split = make_split(by_class(read_items(Path("old.npy"), Path("new.npy"), Path("labels.npy")), None), 100, 2000, 0)
    old, new = F.normalize(torch.from_numpy(upgrade.old)), F.normalize(torch.from_numpy(upgrade.new))
    fitted = adapters.fit("lambda_orthogonal", old[split.fit], new[split.fit], upgrade.labels[split.fit])
    items, size = split.gallery, len(split.gallery)
    shuffled = np.random.default_rng(stream_seed(0, "compare", "backfill")).permutation(size)
    own = np.argsort(-fitted.order(old[items]).numpy(), kind="stable")
    mapped = (fitted.query(new), fitted.new(new)), (fitted.gallery(old), fitted.new(new))
    plain = (old, new), (old, new)
    for curve, (asked, stored), order in zip(
        found.curves, (plain, mapped, mapped), (shuffled, shuffled, own), strict=True
    ):
        assert [point.share for point in curve.points] == list(SHARES)
        on_old, on_new = ((q[split.queries] @ g[items].T).numpy() for q, g in zip(asked, stored, strict=True))
        for point in curve.points:
            renewed = np.zeros(size, dtype=bool)
            renewed[order[: round(point.share * size)]] = True
            scores = np.where(renewed, on_new, on_old)
            expected = []
            for row, query in enumerate(split.queries):
                kept = items != query
                same = (upgrade.labels[items] == upgrade.labels[query])[kept]
                expected.append(average_precision(scores[row][kept], same))
            assert abs((point.value.value or 0) - np.mean(expected)) < 2e-4, (curve.serving, point.share)
    assert found.curves[0].points[0].value.value == found.outcome("status quo").metric("mAP").value
    assert found.curves[0].points[-1].value.value == found.outcome("full backfill").metric("mAP").value
    assert found.costs is not None
    assert round(found.costs.money or 0) == 1200
    assert "Re-embedding 200,000,000 items costs 1,200 and takes 111 hours." in sentences(found)
    assert "Re-embedding 200,000,000 items costs 1,200 and takes 111 hours." in done.output
    table, course = costs_table(found), backfill_table(found)
    assert table is not None
    assert course is not None
    quarter = next(row for row in table.groups[1].rows if row.cells["name"].value == "25%, rank merge")
    assert quarter.cells["money"].value == 300
    start, then = (point.value.value or 0 for point in (found.curves[0].points[0], found.curves[0].points[2]))
    assert quarter.cells["gain"].value == 100 * (then - start)
    assert course.groups[0].rows[0].cells["25%"].value == 100 * then
