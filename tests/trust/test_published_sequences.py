"""A sequence in the form of the board: what its inner entries keep, and that all other numbers are those of the run."""

from __future__ import annotations

import pytest

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import discover
from compatbench.evaluation.flips import FLIP_RATES
from compatbench.execution.cell import RunContext, run_cell
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.storage.array_files import read_columns
from compatbench.suite.suite import load_suite
from compatbench.trust.published import published
from compatbench.trust.rescoring import Rescorer
from compatbench.vocabulary import Status

SUITE = """
title: Four generations
dataset: digits
image_size: 16
train_limit: 200
query_limit: 300
index_search: []
seeds: [0]
recipe: {epochs: 1, batch_size: 32, optimizer: adamw, lr: 0.003}
defaults: {backbone: test_vit.r160_in1k, dim: 16}
scenarios:
  sequence: [{classes: 0.4}, {classes: 0.6}, {classes: 0.8}, {}]
methods: [bct]
"""

FULL = {"0,0", "2,2", "3,0", "3,2", "3,3", "*3,*3", "oracle,0"}
"""The entries of the first generation, the newest and the newest upgrade."""

RATIOS = "update_gain", "final_share", "backfill_share"
"""Over a full backfill's gain, which is small after one epoch, so that rounding shows."""


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> tuple[Record, Record, Store]:
    """A record of four generations as it ran and as it is published, and where its sums are."""
    root = tmp_path_factory.mktemp("sequence")
    (root / "four.yaml").write_text(SUITE)
    plan = make_plan("four", load_suite(str(root / "four.yaml"))[1], digits, discover(), Selection())
    spec = next(cell.spec for cell in plan if cell.spec.method.name == "bct")
    runs, board = Store(root / "runs"), Store(root / "board")
    ran = run_cell(spec, RunContext(runs.root, root / "data"), lambda *told: None, lambda line: None)
    assert ran.status is Status.OK, ran.error
    return ran, published(ran, runs.arrays, board.arrays), board


def test_inner_entries_keep_what_numbers_of_the_matrix_take(sequence: tuple[Record, Record, Store]) -> None:
    _, record, board = sequence
    cosine = [ref for ref in record.arrays if ref.distance == "cosine"]
    kept = {",".join(ref.at): set(read_columns(board.arrays, ref.array)) - {"ids", "relevant"} for ref in cosine}
    assert kept.keys() > FULL
    for at, columns in kept.items():
        retrieval = {"mAP", "mAP@R", "CMC@1", "CMC@5", "CMC@10"} if at in FULL else {"mAP", "CMC@1"}
        old = ("0,0", "2,2") if at in ("3,0", "3,2", "3,3") else ()
        assert columns == retrieval | {f"lost@{k} M({one})" for one in old for k in (1, 10)}, at


def test_all_other_numbers_are_those_of_the_run(sequence: tuple[Record, Record, Store]) -> None:
    ran, record, board = sequence
    assert list(Rescorer(board.arrays).differences(record)) == []
    before, after = ({one.coordinates: one.value for one in each.metrics} for each in (ran, record))
    gone = before.keys() - after.keys()
    assert after.keys() <= before.keys()
    assert {(name, query) for name, query, *_ in gone if name in FLIP_RATES} == {
        (rate, query) for rate in FLIP_RATES for query in "12"
    }
    rest = {at for at in gone if at[0] not in FLIP_RATES and "FAR=" not in at[0]}
    assert {name for name, *_ in rest} == {"mAP@R", "CMC@5", "CMC@10"}
    assert FULL.isdisjoint({f"{query},{gallery}" for _, query, gallery, *_ in rest})
    assert {"AC:mAP", "AM:CMC@1", "BC:mAP"} <= {name for name, *_ in after}
    for at, value in after.items():
        close = 0.05 if at[0].startswith(RATIOS) else 0.0
        assert value == (None if before[at] is None else pytest.approx(before[at], rel=close, abs=2e-4)), at
