"""The notebook of the pages, run as they show it."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

from compatbench import Result

ROOT = Path(__file__).parents[2]


def told(text: str) -> str:
    """The words without their numbers, which differ in the last digit between processors."""
    return re.sub(r"[\d.,]+", "#", text)


def test_the_notebook_runs_and_shows_what_it_says() -> None:
    notebook = json.loads((ROOT / "docs/python.ipynb").read_text(encoding="utf-8"))
    written = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = runpy.run_path(str(ROOT / "scripts/run_notebook.py"))["run_cells"](notebook)
    fresh = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert isinstance(shown[1], Result)
    for outputs in (written, fresh):
        page = "".join(outputs[1][0]["data"]["text/html"])
        assert page.count("<svg") == page.count("<table") == 1
    assert told("".join(fresh[3][0]["text"])) == told("".join(written[3][0]["text"]))
    classes, found = shown[5]  # type: ignore[misc]
    assert (classes == found).all()
