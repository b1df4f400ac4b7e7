"""Standard streams that are closed, or that cannot take every letter: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAY = """
import os, sys
from compatbench.machine.standard_streams import mend_standard_streams
mend_standard_streams()
print(sys.argv[1])
print(sys.argv[1], file=sys.stderr)
open(sys.argv[2], "w").write(f"{os.open(os.devnull, os.O_RDONLY)} {sys.stdout.fileno()} {sys.stderr.fileno()}")
"""


def said(text: str, place: Path, encoding: str = "", redirection: str = "") -> tuple[bytes, str]:
    """What a process prints, and the numbers of its next file and of its streams."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    shell = ["sh", "-c", f'exec "$0" "$@" {redirection}', sys.executable, "-c", SAY, text, str(place)]
    ended = subprocess.run(shell, env=environment, capture_output=True, check=True, timeout=60)
    return ended.stdout + ended.stderr, place.read_text()


@pytest.mark.parametrize(
    ("text", "encoding", "printed"),
    [
        ("bct · Γ −30.2 ×1.0 é ☃", "ascii", b"bct - G -30.2 x1.0 e ?"),
        ("bct · Γ é", "latin-1", "bct · G é".encode("latin-1")),
        ("bct · Γ ☃", "utf-8", "bct · Γ ☃".encode()),
        (os.fsdecode(b"folder \xff"), "utf-8", b"folder ?"),
    ],
)
def test_letters_that_an_encoding_lacks(text: str, encoding: str, printed: bytes, tmp_path: Path) -> None:
    assert said(text, tmp_path / "numbers", encoding)[0] == 2 * (printed + b"\n")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_number_of_a_closed_stream(redirection: str, tmp_path: Path) -> None:
    output, numbers = said("Γ", tmp_path / "numbers", redirection=redirection)
    following, out, error = map(int, numbers.split())
    assert following > 2
    assert (out, error) == (1, 2)
    assert output == ("Γ\n".encode() if redirection.count("&") == 1 else b"")
