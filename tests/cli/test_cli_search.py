"""The command `search` on files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.errors import RequestError
from compatbench.generations import adapters


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`old.npy` (100, 4), `new.npy` (100, 6), and adapters between them and between others."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    new = generator.normal(size=(100, 6)).astype(np.float32)
    old = new[:, :4] + 0.1 * generator.normal(size=(100, 4)).astype(np.float32)
    np.save("new.npy", new)
    np.save("old.npy", old)
    np.save("one.npy", old[:1])
    adapter = adapters.fit("procrustes", torch.from_numpy(old), torch.from_numpy(new))
    for path in ("a.safetensors", "folder/a.safetensors"):
        adapter.save(Path(path))
    adapters.fit("procrustes", torch.from_numpy(old), torch.from_numpy(old)).save(Path("other.safetensors"))


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["search", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table_is_printed_and_written() -> None:
    words = ["old.npy", "new.npy", "--adapter", "a.safetensors", "--queries", "50", "--repeats", "1", "--k", "5"]
    output = run(*words, "-o", "table.csv")
    lines = [line for line in output.splitlines() if line.startswith(("old queries", "new queries"))]
    assert len(lines) == 3 * 4
    frame = pd.read_csv("table.csv")
    assert frame["group"].unique().tolist() == ["Flat (exact)", "HNSW", "IVF-PQ"]
    assert frame["searched"].tolist()[:4] == [
        "old queries on old vectors",
        "new queries, no adapter on old vectors",
        "new queries, a on old vectors",
        "new queries on new vectors",
    ]
    assert (frame["recall"][frame["group"] == "Flat (exact)"] == 1).all()
    for line, recall in zip(lines, frame["recall"], strict=True):
        assert f" {recall:.2f} " in line
    run(*words, "-o", "table.md")
    text = Path("table.md").read_text()
    assert "100 vectors, 50 queries that each skip themselves, 1 thread; " in text
    assert "| recall@5 |" in text
    assert "procrustes" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("old.npy new.npy -o table.txt", "table.txt: the table is written to a .csv or .md file"),
        ("one.npy one.npy", "one.npy: a search needs two items or more"),
        ("old.npy one.npy", "rows"),
        ("old.npy new.npy --adapter none.safetensors", "none.safetensors does not exist"),
        ("old.npy new.npy --adapter a.safetensors --adapter folder/a.safetensors", "two files of one name"),
        ("old.npy new.npy --adapter other.safetensors", "other maps 4 → 4 dimensions; the files have 6 new and 4 old"),
    ],
)
def test_a_wrong_request_is_one_line(words: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as refused:
        run(*words.split())
    assert "\n" not in str(refused.value)


def test_items_of_both_files_are_searched_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    vectors = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    vectors[5] = np.nan
    np.savez("old.npz", vectors=vectors, ids=np.arange(60))
    np.savez("new.npz", vectors=vectors[:40], ids=np.arange(40))
    output = run("old.npz", "new.npz", "--common", "--skip-bad-rows", "--repeats", "1", "--queries", "20", "-o", "t.md")
    assert "note: 40 items are in both files; left out: 20 that only old.npz has, and 0 that only new.npz has" in output
    assert "note: 1 of 40 items left out of old.npz and new.npz" in output
    assert "39 vectors, 20 queries" in Path("t.md").read_text()
