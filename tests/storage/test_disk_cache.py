"""Answers on disk: asked once, and again where anything that they depend on has changed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from compatbench.storage import disk_cache as module

SOURCE = """
from compatbench.storage.disk_cache import cached_on_disk

asked = []

@cached_on_disk("numpy", machine=lambda: MACHINE)
def double(word, times=2):
    asked.append(word)
    if word == "bad":
        raise ValueError(word)
    return str(word) * times
"""

Process = Callable[..., ModuleType]


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    """The functions as a new process has them, with nothing but the disk in common."""
    monkeypatch.setenv("COMPATBENCH_CACHE", str(tmp_path / "cache"))

    def load(source: str = SOURCE, machine: str = "this") -> ModuleType:
        module._source_hash.cache_clear()
        (tmp_path / "asking.py").write_text(source)
        spec = importlib.util.spec_from_file_location("asking", tmp_path / "asking.py")
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        loaded.MACHINE = machine  # type: ignore[attr-defined]
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        spec.loader.exec_module(loaded)
        sys.dont_write_bytecode = before
        return loaded

    return load


def test_a_question_is_asked_once(process: Process) -> None:
    first = process()
    assert [first.double("ab"), first.double("ab"), first.double("c")] == ["abab", "abab", "cc"]
    assert first.asked == ["ab", "c"]
    second = process()
    assert [second.double("ab"), second.double("c"), second.double("ab", 3)] == ["abab", "cc", "ababab"]
    assert second.asked == ["ab"]


@pytest.mark.parametrize("change", ["source", "machine", "package"])
def test_it_is_asked_again_where_something_changed(
    process: Process, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process().double("ab")
    if change == "package":
        monkeypatch.setattr(module, "version", lambda package: "0.0.1")
    source = SOURCE.replace("* times", "* times + '!'") if change == "source" else SOURCE
    later = process(source, "other" if change == "machine" else "this")
    assert later.double("ab") == ("abab!" if change == "source" else "abab")
    assert later.asked == ["ab"]


def test_models_are_arguments(process: Process) -> None:
    class Point(BaseModel, frozen=True):
        x: int

        def __str__(self) -> str:
            return "p" * self.x

    assert process().double(Point(x=2)) == "pppp"
    later = process()
    assert [later.double(Point(x=2)), later.double(Point(x=1))] == ["pppp", "pp"]
    assert len(later.asked) == 1


def test_failures_are_not_kept(process: Process) -> None:
    for _ in range(2):
        loaded = process()
        with pytest.raises(ValueError, match="bad"):
            loaded.double("bad")
        assert loaded.asked == ["bad"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\udcff"])
def test_a_damaged_answer_is_asked_again(process: Process, tmp_path: Path, content: str) -> None:
    process().double("ab")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(content.encode(errors="surrogateescape"))
    later = process()
    assert later.double("ab") == "abab"
    assert later.asked == ["ab"]


def test_a_folder_that_cannot_be_written_stops_nothing(process: Process, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    assert process().double("ab") == "abab"


def test_the_cache_lies_where_caches_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPATBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert module.cache_folder() == Path("/caches/compatbench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/one")
    assert module.cache_folder() == Path("/home/one/.cache/compatbench")
