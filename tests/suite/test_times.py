"""The file of training times, and its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from compatbench.errors import RequestError
from compatbench.suite.times import read_times, times_file, write_times


def test_rows_come_back_by_the_names_of_their_settings(tmp_path: Path) -> None:
    path = times_file(tmp_path / "icons.yaml")
    write_times(path, "a processor", 48, {"bct": (1.5, 1.25, 1.75), "ract(variant=bct)": (2.0, 2.0)})
    found = read_times(path)
    assert path.parent.name == "times"
    assert (found.device, found.steps) == ("a processor", 48)
    for label in ("bct", "bct(tuned)", "bct(published)"):
        assert found.of(label) == (1.5, 1.25, 1.75)
    assert found.of("ract(variant=bct, tuned)") == (2.0, 2.0)
    assert found.of("l2") == ()
    path.write_text("rows: {bct: [1.0, slow]}")
    with pytest.raises(RequestError, match=r"icons\.yaml: rows\.bct"):
        read_times(path)


def test_a_suite_that_was_not_timed_has_none(tmp_path: Path) -> None:
    assert read_times(tmp_path / "absent.yaml").rows == {}
