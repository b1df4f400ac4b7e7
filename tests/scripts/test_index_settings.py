"""Recall by setting of an old index, on vectors whose exact neighbours are known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).parents[2] / "scripts" / "examples" / "index_settings.py"


def test_wider_searches_and_re_ranking_find_more(tmp_path: Path) -> None:
    """600 vectors of 10 dimensions, which parts of four do not divide."""
    rng = np.random.default_rng(0)
    old = rng.normal(size=(600, 10)).astype(np.float32)
    new = old @ rng.normal(size=(10, 10)).astype(np.float32)
    np.save(tmp_path / "old.npy", old)
    np.save(tmp_path / "new.npy", new)
    words = [sys.executable, str(SCRIPT), str(tmp_path / "old.npy"), str(tmp_path / "new.npy")]
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in output.splitlines() if line.startswith("|")]
    assert lines[0] == ["recall@10", "o,o", "n,o", "n,n", "n,n refilled"]
    table = {line[0]: line[1:] for line in lines[2:]}
    assert list(table) == [
        "HNSW, efSearch 16", "HNSW, efSearch 64", "HNSW, efSearch 256",
        "IVF-PQ, 1 of 15 lists", "IVF-PQ, 4 of 15 lists", "IVF-PQ, 15 of 15 lists",
        "IVF-PQ, 1 of 15 lists, first 100 re-ranked",
    ]  # fmt: skip
    assert table["HNSW, efSearch 256"] == ["1.00", "1.00", "1.00", "–"]
    one, all_lists, ranked = (np.array(table[name], dtype=float) for name in list(table)[3:] if "4 of" not in name)
    assert (all_lists > one).all()
    assert (ranked >= one).all()
