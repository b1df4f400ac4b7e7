"""Codes: what they lose is bounded and known; packed and unpacked, every byte is the same."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compatbench.errors import RequestError
from compatbench.storage.array_files import read_columns
from compatbench.storage.coded_columns import LEVELS, MOVED, WIDEST, Coded, block_bytes, codes_path
from compatbench.storage.packed_codes import pack, pool_keys, unpack


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, st.integers(1, 80), elements=st.floats(0, 1, width=32)), st.sampled_from(list(LEVELS)))
def test_a_sum_of_shares_is_hardly_moved_and_no_share_by_more_than_two_levels(values: np.ndarray, form: str) -> None:
    found = Coded.of(values, form).values  # type: ignore[arg-type]
    assert found.dtype == values.dtype
    assert abs(found.sum(dtype=np.float64) - values.sum(dtype=np.float64)) <= MOVED[form] + 1e-5
    assert np.abs(found - values).max() <= 2 * WIDEST[form]


def test_most_shares_have_the_nearest_level_others_the_next_and_undefined_ones_stay_so() -> None:
    values = np.random.default_rng(0).beta(0.5, 1, 2000).astype(np.float32)
    values[::50] = np.nan
    coded = Coded.of(values, "share")
    levels = LEVELS["share"]
    nearest = np.array([np.abs(levels - value).argmin() for value in values[~np.isnan(values)]])
    steps = np.abs(coded.codes[~np.isnan(values)] - nearest)
    assert (steps > 0).mean() < 0.25, "those between two levels, which are rounded twice"
    assert steps.max() == 1
    assert np.array_equal(np.isnan(coded.values), np.isnan(values))
    assert np.array_equal(Coded.of(coded.values, "share").codes, coded.codes), "codes of codes are the same"


def test_ranks_keep_their_hits() -> None:
    ranks = np.arange(30, dtype=np.int32)
    for k in (1, 5, 10):
        for form in ("rank", "hit"):
            assert np.array_equal(Coded.of(ranks, form).values <= k, ranks <= k)  # type: ignore[arg-type]
    assert np.array_equal(Coded.of(ranks, "rank").values[:11], ranks[:11])


def block(seed: int, ids: np.ndarray) -> bytes:
    draw = np.random.default_rng(seed)
    first, some = draw.random(len(ids)).astype(np.float32), ids[::3]
    return block_bytes(
        {
            "all": {
                "ids": Coded.of(ids, "exact"),
                "first_rank": Coded.of((1 / np.maximum(first, 0.01)).astype(np.int32), "rank"),
                "mAP": Coded.of(first, "share"),
                "counts": Coded.of(draw.integers(0, 70_000, len(ids)), "exact"),
                "signed": Coded.of(draw.integers(-3, 3, len(ids)), "exact"),
                "score": Coded.of(draw.normal(size=len(ids)), "exact"),
            },
            "some": {"ids": Coded.of(some, "exact"), "area": Coded.of(first[::3], "share")},
        }
    )


def test_what_is_packed_comes_back_and_what_files_share_is_kept_once() -> None:
    ids = np.sort(np.random.default_rng(1).choice(10_000, 3000, replace=False))
    pool: dict[str, bytes] = {}
    one, other = block(0, ids), block(2, ids)
    packed = [pack(one, pool), pack(other, pool), pack(one, pool, [other, one])]
    assert [unpack(packed[0], pool), unpack(packed[1], pool)] == [one, other]
    assert unpack(packed[2], pool, [other, one]) == one
    assert len(packed[2]) < 100, "every column is beside it"
    assert pool.keys() == pool_keys(packed[0], pool) | pool_keys(packed[1], pool) | pool_keys(packed[2], pool)


@pytest.mark.parametrize("at", [0, 6, 14, 60])
def test_damaged_bytes_are_told_in_one_line(at: int) -> None:
    pool: dict[str, bytes] = {}
    content = block(0, np.arange(200))
    damaged = bytearray(pack(content, pool))
    damaged[at] ^= 0xFF
    with pytest.raises(RequestError, match="damaged arrays"):
        unpack(bytes(damaged), pool)
    with pytest.raises(RequestError, match="damaged arrays"):
        unpack(pack(content, pool)[:20], pool)


def test_no_length_makes_up_for_another() -> None:
    pool: dict[str, bytes] = {}
    packed = pack(block(0, np.arange(200)), pool)
    key = packed[4:12].hex()
    layout = json.loads(zlib.decompress(pool[key]))
    layout[1][5], layout[2][5] = 10**12, -(10**12)
    with pytest.raises(RequestError, match=r"damaged arrays \(a negative length"):
        unpack(packed, pool | {key: zlib.compress(json.dumps(layout).encode())})


def test_a_file_of_codes_is_named_by_its_content(tmp_path: Path) -> None:
    content = block(0, np.arange(50))
    sha256 = hashlib.sha256(content).hexdigest()
    codes_path(tmp_path, sha256).write_bytes(content)
    assert np.array_equal(read_columns(tmp_path, f"{sha256}#some")["ids"], np.arange(50)[::3])
    with pytest.raises(RequestError, match="contains no array 'none'"):
        read_columns(tmp_path, f"{sha256}#none")
    codes_path(tmp_path, "0" * 64).write_bytes(content)
    with pytest.raises(RequestError, match="were changed after they were written"):
        read_columns(tmp_path, f"{'0' * 64}#some")
