"""docs/compare.md shows what its commands print: the example on digits, made and compared again."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compatbench.cli import app

ROOT = Path(__file__).parents[2]
CLOSED_FORMS = ("procrustes", "ridge", "low_rank", "slerp", "rank_merge")
"""Adapters that are fitted in a moment. Trained ones differ by more from processor to processor."""

TOLERANCE = 0.1001
"""In points: a number next to where the printed digit changes may fall on either side on another processor."""


def scores(text: str) -> dict[str, list[float]]:
    """mAP and gain with their intervals, in points, by system, from the first table of an output."""
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        name, *cells = [cell.strip() for cell in line.split("  ") if cell.strip()] or [""]
        if len(cells) >= 2 and cells[0].endswith("]") and name not in found:
            numbers = " ".join(cells[:2]).replace("−", "-").translate(str.maketrans("[],", "   ")).split()
            found[name] = [float(number) for number in numbers]
    return found


def test_the_example_on_digits_prints_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["digits_embeddings.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "scripts/examples/digits_embeddings.py"))
    monkeypatch.chdir(tmp_path)
    words = ["compare", "digits_old.npy", "digits_new.npy", "--labels", "digits_labels.npy"]
    result = CliRunner().invoke(app, [*words, "--adapters", ",".join(CLOSED_FORMS)], catch_exceptions=False)
    printed = scores(result.output)
    page = (ROOT / "docs/compare.md").read_text()
    shown = scores(page[page.index("digits_old.npy → digits_new.npy") :])
    assert set(printed) == {"status quo", "full backfill", "no adapter", "oracle mean", *CLOSED_FORMS}
    for name, cells in printed.items():
        assert shown[name] == pytest.approx(cells, rel=0, abs=TOLERANCE), name
