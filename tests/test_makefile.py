"""`make bench` on a machine that has the drawings, and on one that cannot get them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = """#!/bin/sh
echo "compatbench $*"
[ "$1 $2" != "data get" ] || exit {status}
"""


@pytest.mark.parametrize(
    ("status", "arguments", "expected"),
    [
        (0, (), ["data get iconsets --set size=64", "run icons_quick"]),
        (1, ("SEEDS=0,1",), ["data get iconsets --set size=64", "run fashion --seeds 0,1"]),
        (1, ("SUITE=digits",), ["run digits"]),
    ],
)
def test_the_default_suite_gives_way_where_its_data_cannot_be_had(
    tmp_path: Path, status: int, arguments: tuple[str, ...], expected: list[str]
) -> None:
    command = tmp_path / "compatbench"
    command.write_text(SCRIPT.format(status=status), encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / "ready").touch()
    told = subprocess.run(
        ["make", "-s", "bench", f"BIN={tmp_path}", f"READY={tmp_path / 'ready'}", *arguments],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [
        line.removeprefix("compatbench ") for line in told.splitlines() if line.startswith("compatbench")
    ] == expected
    assert ("in place of icons_quick" in told) == (expected[-1].startswith("run fashion"))
