"""Forgeries of a committed record in the form of the board: of bct, in sums over groups of queries."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from compatbench.records.record import Record, read_record
from compatbench.records.store import Store
from compatbench.storage.group_sums import Numbers, block_bytes, read_block, sums_path
from compatbench.storage.query_groups import MOST_OF_A_SEQUENCE, count_of_groups
from compatbench.trust.packs import unpacked_board
from compatbench.trust.rescoring import Rescorer

FOLDER = Path("icons/records/extended_data")
Block = dict[str, dict[str, Numbers]]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A scenario of the committed board, unpacked."""
    root = tmp_path_factory.mktemp("scenario")
    file = FOLDER.with_suffix(".zip")
    (root / file).parent.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "results" / "leaderboard" / file, root / file)
    with unpacked_board(Store(root)) as unpacked:
        yield unpacked


@pytest.fixture(scope="module")
def record(board: Store) -> Record:
    return read_record(next(board.root.glob(f"{FOLDER}/bct--seed0--*.json")))


def forged(board: Store, record: Record, change: Callable[[Block], None]) -> list[str]:
    """What is told of the record with other arrays of its own."""
    own = next(one.array for one in record.arrays if one.at == ("1", "1")).partition("#")[0]
    block = read_block(sums_path(board.arrays, own).read_bytes())
    change(block)
    content = block_bytes(block)
    name = hashlib.sha256(content).hexdigest()
    sums_path(board.arrays, name).write_bytes(content)
    files = {one: name if one == own else one for one in record.array_files}
    return list(Rescorer(board.arrays).differences(record.stored(files)))


def test_the_committed_record_is_right(board: Store, record: Record) -> None:
    assert forged(board, record, lambda block: None) == []


def raised(block: Block, array: str, column: str, by: float) -> None:
    """More by so much on average, and no more than there are queries."""
    old = block[array][column]
    most = 19 * old.parts
    moved = np.minimum(old.stored.astype(np.int64) + round(by * 19 * old.parts), most).astype(np.uint16)
    block[array] = {**block[array], column: Numbers(old.parts, moved)}


def test_few_hits_bound_the_precision(board: Store, record: Record) -> None:
    def change(block: Block) -> None:
        raised(block, "M(1,0)", "mAP", 1.0)

    assert "M(1,0) by cosine: AP is out of the bounds that the hits set" in forged(board, record, change)


@pytest.mark.parametrize("k", [1, 10])
def test_flips_fit_the_hits(board: Store, record: Record, k: int) -> None:
    def change(block: Block) -> None:
        array = block["M(1,0)"]
        block["M(1,0)"] = {**array, f"lost@{k} M(0,0)": Numbers(1, array[f"CMC@{k}"].stored * 0)}

    assert f"M(1,0): its flips at {k} do not fit the hits before and after" in forged(board, record, change)


def test_groups_are_those_of_the_scenario(board: Store, record: Record) -> None:
    """A row with fewer groups could not be compared with the others, and its seeds not with each other."""

    def change(block: Block) -> None:
        queries = len(block["backfill random"]["ids"].stored)
        there, fewer = count_of_groups(queries), count_of_groups(queries, MOST_OF_A_SEQUENCE)
        half = np.arange(there) % fewer
        for name, one in block["backfill random"].items():
            if name != "ids":
                block["backfill random"][name] = Numbers(one.parts, np.bincount(half, one.stored).astype(np.uint16))

    told = forged(board, record, change)
    assert any(one.startswith("backfill random: it has ") and "groups of queries in place of" in one for one in told)


OTHERS: dict[str, tuple[dict[tuple[str, str], float], str]] = {
    "the backfill alone": ({("backfilled", "mAP"): 0.02}, "their means over a backfill"),
    "M(n,o) and the backfill": (
        {("backfilled", "mAP"): 0.03, ("M(1,0)", "mAP"): 0.06, ("backfilled", "M(1,0) mAP"): 0.06},
        "M(1,0) − M(0,0)",
    ),
    "M(n,n)": ({("M(1,1)", "mAP"): 0.06, ("backfilled", "M(1,1) mAP"): 0.06}, "M(1,1) − M(0,0)"),
}


@pytest.mark.parametrize(("changes", "message"), OTHERS.values(), ids=OTHERS)
def test_queries_that_no_curve_follows_are_like_those_that_one_does(
    board: Store, record: Record, changes: dict[tuple[str, str], float], message: str
) -> None:
    def change(block: Block) -> None:
        for (array, column), by in changes.items():
            raised(block, array, column, by)

    assert any(one.endswith(f"differ from the followed in {message}") for one in forged(board, record, change))


def test_entries_beside_a_backfill_are_those_of_the_matrix(board: Store, record: Record) -> None:
    """The whole backfill follows all queries, so what it says of M(n,o) is what the matrix says."""

    def change(block: Block) -> None:
        raised(block, "backfilled", "M(1,0) mAP", -0.02)

    assert any("M(1,0) beside its backfill" in one for one in forged(board, record, change))
