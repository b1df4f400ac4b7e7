"""The end of a log as a record keeps it."""

from __future__ import annotations

from pathlib import Path

from compatbench.execution.logs import BYTES, LINES, log_tail


def tail(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return log_tail(path)


def test_a_log_keeps_its_last_lines_without_colours_paths_and_overwritten_text(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert log_tail(path) == ""
    assert tail(path, b"") == ""
    assert tail(path, b"one\ntwo\n\n") == "one\ntwo"
    assert tail(path, b"\x1b[31mred\x1b[0m\x07 \x00apples\n") == "red apples"
    assert tail(path, b"10%\r50%\r100%\ndone") == "100%\ndone"
    assert tail(path, b"in /home/me/secret/x.py") == "in x.py"
    assert tail(path, b"\xff\xfe apples") == "\ufffd\ufffd apples"


def test_a_long_log_is_cut_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [f"line {number}" for number in range(5000)]
    assert tail(path, "\n".join(lines).encode()).splitlines() == lines[-LINES:]
    wide = [f"{number} {'x' * 700}" for number in range(100)]
    kept = tail(path, "\n".join(wide).encode()).splitlines()
    assert kept == wide[-len(kept) :]
    assert 5 < len(kept) <= BYTES / 700
    assert tail(path, b"x" * 10 * BYTES) == "", "half a line says nothing"
