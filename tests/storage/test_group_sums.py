"""Sums over groups of queries: what rounding takes is bounded, and packed and unpacked every byte is the same."""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compatbench.errors import RequestError
from compatbench.storage.array_files import read_columns
from compatbench.storage.group_sums import PARTS, Numbers, block_bytes, read_block, sums_path
from compatbench.storage.packed_sums import pack, unpack


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(1, 80), elements=st.floats(0, 1, width=32)), st.integers(1, 9))
def test_the_total_is_right_to_half_a_part_and_every_sum_to_one(values: np.ndarray, groups: int) -> None:
    group = np.arange(len(values)) % min(groups, len(values))
    found = Numbers.summed(values, group).values
    slow = [sum(value for value, place in zip(values, group, strict=True) if place == one) for one in set(group)]
    assert abs(found.sum() - values.sum()) <= 0.5 / PARTS + 1e-9
    assert np.abs(found - slow).max() <= 1 / PARTS + 1e-9
    assert (found >= 0).all()


def test_whole_numbers_are_summed_exactly_and_in_few_bytes() -> None:
    hits = np.random.default_rng(0).integers(0, 2, 1000).astype(np.float64)
    found = Numbers.summed(hits, np.arange(1000) % 50)
    assert (found.parts, found.stored.dtype) == (1, np.dtype("u1"))
    assert np.array_equal(found.values, hits.reshape(20, 50).sum(axis=0))


def block(seed: int) -> bytes:
    draw = np.random.default_rng(seed)
    group = np.arange(3000) % 250
    return block_bytes(
        {
            "all": {
                "ids": Numbers.exact(np.arange(3000) * 7),
                "mAP": Numbers.summed(draw.random(3000), group),
                "CMC@1": Numbers.summed(draw.integers(0, 2, 3000).astype(np.float64), group),
                "impostors": Numbers.summed(draw.integers(0, 70_000, 3000).astype(np.float64), group),
                "score": Numbers.exact(draw.normal(size=10)),
                "signed": Numbers.exact(draw.integers(-3, 3, 10)),
            },
            **({"some": {"area": Numbers.summed(draw.random(3000), group)}} if seed % 2 else {}),
        }
    )


def files(*seeds: int) -> dict[str, bytes]:
    return {hashlib.sha256(one).hexdigest(): one for one in map(block, seeds)}


def test_what_is_packed_comes_back() -> None:
    several = files(0, 1, 2, 3)
    assert unpack(pack(several)) == several
    assert len(pack(files(0, 1))) < len(pack(files(0))) + len(pack(files(1))), "the ids are there once"
    assert unpack(pack({})) == {}


@pytest.mark.parametrize("cut", [-9, 20])
def test_a_cut_stream_is_told(cut: int) -> None:
    with pytest.raises((ValueError, lzma.LZMAError)):
        unpack(pack(files(0))[:cut])


def other_stream(change: bytes, by: bytes) -> bytes:
    content = lzma.decompress(pack(files(0)))
    assert change in content
    return lzma.compress(content.replace(change, by, 1))


def test_a_stream_of_something_else_is_told() -> None:
    name = next(iter(files(0)))
    with pytest.raises(ValueError, match="has another sha256"):
        unpack(other_stream(name.encode(), b"0" * 64))
    with pytest.raises(ValueError, match="longer than it is"):
        unpack(other_stream(b'"|u1",250', b'"|u1",99999999999'))
    with pytest.raises(ValueError, match="longer than it is"):
        unpack(other_stream(b'"|u1",250', b'"|u1",-250'))
    with pytest.raises(ValueError, match="more bytes than its columns take"):
        unpack(lzma.compress(lzma.decompress(pack(files(0))) + b"x"))


def test_a_file_of_sums_is_named_by_its_content_and_holds_nothing_more(tmp_path: Path) -> None:
    content = block(1)
    sha256 = hashlib.sha256(content).hexdigest()
    sums_path(tmp_path, sha256).write_bytes(content)
    assert read_columns(tmp_path, f"{sha256}#some").keys() == {"area"}
    assert np.array_equal(read_columns(tmp_path, f"{sha256}#all")["ids"], np.arange(3000) * 7)
    with pytest.raises(RequestError, match="contains no array 'none'"):
        read_columns(tmp_path, f"{sha256}#none")
    sums_path(tmp_path, "0" * 64).write_bytes(content)
    with pytest.raises(RequestError, match="were changed after they were written"):
        read_columns(tmp_path, f"{'0' * 64}#some")
    with pytest.raises(ValueError, match="more bytes"):
        read_block(content + b"x")
    with pytest.raises(ValueError, match="in parts of 3"):
        read_block(json.dumps({"a": {"b": ["|u1", 1, 3]}}).encode() + b"\n\x00")
