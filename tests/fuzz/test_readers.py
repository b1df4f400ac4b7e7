"""Readers of files against broken and hostile ones: each is read, or refused in one line, and nothing else happens."""

from __future__ import annotations

import json
import os
import random
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml
from mutations import mutate, restructure
from targets import Target, targets

from compatbench.errors import RequestError

NAMES = (
    "jsonl",
    "csv",
    "qrels",
    "faiss",
    "suite",
    "record",
    "npy",
    "npz",
    "safetensors",
    "parquet",
    "arrays",
    "artefact",
    "adapter",
    "pack",
)
SHORT, LONG = {"pack": 10}, {"arrays": 10_000, "artefact": 10_000, "pack": 3_000}
SHORT_DEFAULT, LONG_DEFAULT = 60, 20_000
MEMORY = 3 * 2**30
"""More than the readers ever take for a small file."""

FOUND = Path(__file__).parent / "found"
"""Inputs that something was found with, in a folder for each target."""

FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.remove", "os.rename", "os.mkdir", "os.symlink",
             "subprocess.Popen", "pickle.find_class", "socket.connect", "shutil.rmtree", "ctypes.dlopen")  # fmt: skip


class Guard:
    """Notes what no reader may do; an audit hook cannot be removed, so there is one, switched on and off."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if event in FORBIDDEN or writes:
            self.seen.append(f"{event} {arguments[:2]}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.on, self.seen = True, []
        try:
            yield
        finally:
            self.on = False
        assert self.seen == [], "a reader only reads"


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard()


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return targets(tmp_path_factory.mktemp("fuzz"))


def attempt(target: Target, path: Path, content: bytes, guard: Guard) -> bool:
    """Read `content` as a file, and return whether it was accepted."""
    path.write_bytes(content)
    said = "accepted"
    try:
        with nullcontext() if target.unpacks else guard.watching():
            target.read(path)
    except RequestError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    return said == "accepted"


def made(target: Target, chance: random.Random) -> bytes:
    if target.grammar is not None and chance.random() < 0.5:
        content = target.grammar(chance)
        return content if chance.random() < 0.9 else mutate(content or b" ", chance)
    content = chance.choice(target.corpus)
    if target.structured and chance.random() < 0.5:
        data = yaml.safe_load(content) if target.suffix == ".yaml" else json.loads(content)
        return json.dumps(restructure(data, chance)).encode()
    return mutate(content, chance)


def fuzz(name: str, target: Target, count: int, seed: int, folder: Path, guard: Guard) -> tuple[int, int]:
    """Try `count` inputs; returns how many were accepted, and by how much the memory's peak rose."""
    chance = random.Random(f"{name} {seed}")
    path = folder / f"input{target.suffix}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accepted = 0
    for number in range(count):
        content = made(target, chance)
        try:
            accepted += attempt(target, path, content, guard)
        except BaseException:
            kept = folder / f"{name}-{seed}-{number}{target.suffix}"
            kept.write_bytes(content)
            print(f"kept: {kept}")
            raise
    return accepted, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


@pytest.mark.parametrize("name", NAMES)
def test_sound_files_are_read(name: str, every: dict[str, Target], tmp_path: Path, guard: Guard) -> None:
    for content in every[name].corpus:
        assert attempt(every[name], tmp_path / f"input{every[name].suffix}", content, guard)


@pytest.mark.parametrize("name", NAMES)
def test_broken_files_are_refused_in_one_line(
    name: str, every: dict[str, Target], tmp_path: Path, guard: Guard
) -> None:
    count = SHORT.get(name, SHORT_DEFAULT)
    accepted, rose = fuzz(name, every[name], count, 1, tmp_path, guard)
    assert accepted < count, "nothing was broken"
    assert rose < MEMORY


@pytest.mark.fuzz
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("name", NAMES)
def test_very_many_broken_files(name: str, every: dict[str, Target], tmp_path: Path, guard: Guard) -> None:
    count = int(os.environ.get("INPUTS") or LONG.get(name, LONG_DEFAULT))
    accepted, rose = fuzz(name, every[name], count, 2, tmp_path, guard)
    print(f"{name}: {count} inputs, {accepted} accepted, memory rose by {rose / 2**20:.0f} MiB")
    assert accepted < count
    assert rose < MEMORY


@pytest.mark.parametrize("path", sorted(FOUND.rglob("*.*")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_once_found(path: Path, every: dict[str, Target], tmp_path: Path, guard: Guard) -> None:
    attempt(every[path.parent.name], tmp_path / path.name, path.read_bytes(), guard)
