"""The check of a GPU: what it says of checks that pass, fail, raise or have no time, and its first one on the CPU."""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def test_each_check_ends_with_a_status(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "scripts/gpu_check.py"))

    def broken(setting: Any) -> dict[str, Any]:
        raise RuntimeError("no such kernel")

    checks = {
        "scoring": (script["scoring"], 1),
        "wrong": (lambda setting: {"ok": False, "difference": 0.5}, 1),
        "broken": (broken, 1),
        "icons": (script["frozen_icons"], 1),
        "long": (script["cells"], 1000),
    }
    setting = script["Setting"]("cpu", tmp_path, tmp_path, time.monotonic() + 100)
    found = script["run_checks"](checks, setting)
    assert {name: one["status"] for name, one in found.items()} == {
        "scoring": "ok",
        "wrong": "failed",
        "broken": "error",
        "icons": "skipped",
        "long": "skipped",
    }
    assert found["scoring"]["largest_difference"] == 0
    assert found["wrong"]["difference"] == 0.5
    assert "no such kernel" in found["broken"]["reason"]
