"""Artefacts: made once, by one process, and never read damaged."""

from __future__ import annotations

import hashlib
import multiprocessing
import struct
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors import safe_open

from compatbench.storage import artefacts
from compatbench.storage.artefacts import Artefact, get_or_make, made_once, tensors_hash

CONTENT = {"weight": torch.tensor([[1.0, -2.0], [0.5, 3.0]]), "steps": torch.tensor(7)}
FACTS = {"losses": {"classification": [2.25, 1.5]}, "seconds": 3.0}


class Maker:
    """Makes the same artefact each time, and counts."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Artefact:
        self.times += 1
        return Artefact(CONTENT, FACTS)


def assert_sound(artefact: Artefact) -> None:
    assert artefact.tensors.keys() == CONTENT.keys()
    for name, value in CONTENT.items():
        assert artefact.tensors[name].dtype == value.dtype
        assert torch.equal(artefact.tensors[name], value)
    assert artefact.facts == FACTS


def test_made_once_then_read_back_whole(tmp_path: Path) -> None:
    maker, notices = Maker(), []
    for _ in range(3):
        assert_sound(get_or_make(tmp_path, "one", maker, notices.append))
    assert maker.times == 1
    assert notices == []
    assert_sound(get_or_make(tmp_path, "two", maker, notices.append))
    assert maker.times == 2


def test_the_hash_is_that_of_names_shapes_types_and_bytes() -> None:
    by_hand = b"a:(2,):torch.float32;" + struct.pack("<2f", 1.0, 2.0) + b"b:():torch.int64;" + struct.pack("<q", 3)
    tensors = {"b": torch.tensor(3), "a": torch.tensor([1.0, 2.0])}
    assert tensors_hash(tensors) == hashlib.sha256(by_hand).hexdigest()
    assert tensors_hash({"m": torch.arange(6).reshape(2, 3)}) != tensors_hash({"m": torch.arange(6).reshape(3, 2)})
    assert tensors_hash({"m": torch.zeros(1)}) != tensors_hash({"m": torch.zeros(1, dtype=torch.int32)})
    assert tensors_hash({"m": torch.zeros(1)}) != tensors_hash({"n": torch.zeros(1)})


def test_strided_tensors_and_views_are_stored_as_what_they_show(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(1, 2, 3, 4)
    tensors = {"channels_last": base.contiguous(memory_format=torch.channels_last), "transposed": base[0, 0].T}
    get_or_make(tmp_path, "strided", lambda: Artefact(tensors))
    again = get_or_make(tmp_path, "strided", Maker())
    assert torch.equal(again.tensors["channels_last"], base)
    assert torch.equal(again.tensors["transposed"], base[0, 0].T)


def test_a_truncated_file_is_made_again_with_one_notice(tmp_path: Path) -> None:
    maker, notices = Maker(), []
    get_or_make(tmp_path, "one", maker)
    file = tmp_path / "one.safetensors"
    whole = file.read_bytes()
    for kept in (0, 4, 8, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:kept])
        notices.clear()
        assert_sound(get_or_make(tmp_path, "one", maker, notices.append))
        assert len(notices) == 1
        assert notices[0].startswith("one.safetensors is damaged (")
        assert notices[0].endswith("); making it again")
        assert_sound(get_or_make(tmp_path, "one", maker, notices.append))
        assert len(notices) == 1
    assert maker.times == 6


@pytest.mark.parametrize("mask", [0x01, 0xFF])
def test_a_flipped_byte_is_found_wherever_it_is(tmp_path: Path, mask: int) -> None:
    maker, notices = Maker(), []
    get_or_make(tmp_path, "one", maker)
    file = tmp_path / "one.safetensors"
    whole = file.read_bytes()
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ mask]) + whole[position + 1 :])
        assert_sound(get_or_make(tmp_path, "one", maker, notices.append))
    assert maker.times == 1 + len(whole)
    assert len(notices) == len(whole)


def test_sound_content_under_a_wrong_hash_is_made_again(tmp_path: Path) -> None:
    get_or_make(tmp_path, "one", lambda: Artefact(CONTENT, FACTS))
    get_or_make(tmp_path, "two", lambda: Artefact({"weight": torch.zeros(2, 2), "steps": torch.tensor(7)}, FACTS))
    one, two = ((tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    with safe_open(one, "pt") as a, safe_open(two, "pt") as b:
        old, new = a.metadata()["sha256"], b.metadata()["sha256"]
    two.write_bytes(two.read_bytes().replace(new.encode(), old.encode()))
    maker, notices = Maker(), []
    assert_sound(get_or_make(tmp_path, "two", maker, notices.append))
    assert maker.times == 1
    assert notices == ["two.safetensors is damaged (its content does not match its hash); making it again"]


def test_what_cannot_be_made_leaves_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    def fail() -> Artefact:
        raise ValueError("no apples")

    with pytest.raises(ValueError, match="no apples"):
        get_or_make(tmp_path, "one", fail)
    assert not list(tmp_path.glob("*.safetensors"))
    maker = Maker()
    assert_sound(get_or_make(tmp_path, "one", maker))
    assert maker.times == 1


def _make_slowly(folder: Path, started: Path, tracks: Path, number: int) -> None:
    def make() -> Artefact:
        (tracks / str(number)).touch()
        time.sleep(0.5)  # the others must meet the lock, not the finished file
        return Artefact(CONTENT, FACTS)

    (started / str(number)).touch()
    while len(list(started.iterdir())) < 3:
        time.sleep(0.005)
    assert_sound(get_or_make(folder, "shared", make))


def test_of_several_processes_at_once_one_makes_it(tmp_path: Path) -> None:
    started, tracks = tmp_path / "started", tmp_path / "tracks"
    started.mkdir()
    tracks.mkdir()
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_make_slowly, args=(tmp_path / "models", started, tracks, number)) for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(tracks.iterdir())) == 1


def test_who_waits_is_called_at_once_and_again_and_may_go_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "WAITING_SECONDS", 0.01)
    path, calls = tmp_path / "one", list[float]()

    def waiting(seconds: float) -> None:
        assert not path.exists()
        calls.append(seconds)
        if len(calls) == 3:
            raise LookupError

    def make() -> str:
        path.write_text("made")
        return "made"

    def read(where: Path) -> tuple[str | None, str]:
        return (where.read_text() if where.exists() else None), ""

    with FileLock(tmp_path / ".one.lock"), pytest.raises(LookupError):
        made_once(path, read, make, print, waiting)
    assert 0 < calls[0] < calls[1] < calls[2]
    assert made_once(path, read, make, print, waiting) == "made"
    assert len(calls) == 3
