"""Forgeries of a committed record in the form of the board: of bct, in codes of 48 levels and ranks of a few kinds."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compatbench.records.record import Record, read_record
from compatbench.records.store import Store
from compatbench.storage.coded_columns import LEVELS, UNDEFINED, Coded, block_bytes, codes_path, read_block
from compatbench.trust.packs import unpacked_board
from compatbench.trust.rescoring import Rescorer

FOLDER = Path("icons/records/extended_data")
Block = dict[str, dict[str, Coded]]


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
    block = read_block(codes_path(board.arrays, own).read_bytes())
    change(block)
    content = block_bytes(block)
    name = hashlib.sha256(content).hexdigest()
    codes_path(board.arrays, name).write_bytes(content)
    files = {one: name if one == own else one for one in record.array_files}
    return list(Rescorer(board.arrays, coarse=True).differences(record.stored(files)))


def test_the_committed_record_is_right(board: Store, record: Record) -> None:
    assert forged(board, record, lambda block: None) == []


def not_followed(block: Block, array: str) -> NDArray[np.bool_]:
    return ~np.isin(block[array]["ids"].codes, block["backfill random"]["ids"].codes)


def put(block: Block, array: str, column: str, rows: NDArray[np.bool_], codes: NDArray[np.int64]) -> None:
    old = block[array][column]
    kept = ~rows | (old.codes == UNDEFINED)
    new = np.where(kept, old.codes, np.minimum(codes, len(LEVELS[old.form]) - 1)).astype(np.uint8)
    block[array] = {**block[array], column: replace(old, codes=new)}


def raised(block: Block, array: str, column: str, by: int) -> None:
    put(block, array, column, not_followed(block, array), block[array][column].codes.astype(int) + by)


def test_a_late_first_item_bounds_its_precision(board: Store, record: Record) -> None:
    def change(block: Block) -> None:
        late = not_followed(block, "M(1,0)") & (block["M(1,0)"]["first_rank"].codes == 11)
        assert late.sum() > 500
        put(block, "M(1,0)", "average_precision", late, np.full(len(late), 48))

    assert "M(1,0) by cosine: AP is out of the bounds that the first rank sets" in forged(board, record, change)


OTHERS: dict[str, tuple[dict[tuple[str, str], int], str]] = {
    "the backfill alone": ({("backfilled", "mAP"): 6}, "their means over a backfill"),
    "its hits alone": ({("backfilled", "CMC@1"): 6}, "their means over a backfill"),
    "M(n,o) and the backfill": (
        {("backfilled", "mAP"): 2, ("M(1,0)", "average_precision"): 4},
        "M(1,0) − M(0,0)",
    ),
    "M(n,n)": ({("M(1,1)", "average_precision"): 4}, "M(1,1) − M(0,0)"),
}


@pytest.mark.parametrize(("changes", "message"), OTHERS.values(), ids=OTHERS)
def test_queries_that_no_curve_follows_are_like_those_that_one_does(
    board: Store, record: Record, changes: dict[tuple[str, str], int], message: str
) -> None:
    def change(block: Block) -> None:
        for (array, column), by in changes.items():
            raised(block, array, column, by)

    assert any(one.endswith(f"differ from the followed in {message}") for one in forged(board, record, change))
