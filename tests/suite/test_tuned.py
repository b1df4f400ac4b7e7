"""Tuned values: their file, and the rows that a suite makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from compatbench import PROTOCOL_VERSION
from compatbench.errors import RequestError
from compatbench.suite.suite import load_suite
from compatbench.suite.tuned import Trial, TunedMethod, read_tuned, tuned_file, write_tuned
from compatbench.vocabulary import ParameterSetting

SUITE = """
title: small
dataset: digits
image_size: 16
recipe: {epochs: 1}
scenarios: {one: [{backbone: test_vit}, {backbone: test_vit}]}
settings: SETTINGS
methods: [independent, bct, ridge, l2, {name: bct, params: {variant: old_classes}}]
"""


def method(**chosen: float) -> TunedMethod:
    trials = (Trial(params={"weight": 1.0}, score=0.5, scenarios={"one": 0.5}), Trial(params=chosen, score=None))
    return TunedMethod(chosen=chosen, source_hash="a" * 64, trials=trials)


def rows(path: Path, settings: str) -> dict[str, tuple[ParameterSetting | None, dict[str, object]]]:
    path.write_text(SUITE.replace("SETTINGS", settings))
    suite = load_suite(str(path))[1]
    return {row.label: (row.setting, row.values) for row in suite.rows(suite.methods)}


def test_a_tuned_row_has_the_published_one_under_it(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    write_tuned(tuned_file(path), 7, {"bct": method(weight=1e-5), "bct(variant=old_classes)": method(weight=2.0)})
    write_tuned(tuned_file(path), 7, {"ridge": method()})
    both = rows(path, "[tuned, published]")
    assert both == {
        "independent": (None, {}),
        "bct(tuned)": ("tuned", {"weight": 1e-5}),
        "bct(published)": ("published", {}),
        "ridge": ("tuned = published", {}),
        "l2": (None, {}),
        "bct(variant=old_classes, tuned)": ("tuned", {"variant": "old_classes", "weight": 2.0}),
        "bct(variant=old_classes, published)": ("published", {"variant": "old_classes"}),
    }
    assert list(both)[1:3] == ["bct(tuned)", "bct(published)"]
    assert [label for label in rows(path, "[tuned]") if label.startswith("bct")] == [
        "bct(tuned)",
        "bct(variant=old_classes, tuned)",
    ]
    assert list(rows(path, "[published]")) == ["independent", "bct", "ridge", "l2", "bct(variant=old_classes)"]


def test_trials_are_kept_until_they_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "tuned" / "small.yaml"
    assert read_tuned(path).methods == {}
    write_tuned(path, 7, {"bct": method(weight=3.0), "l2": method()})
    write_tuned(path, 7, {"l2": method(weight=0.1)})
    assert read_tuned(path).methods == {"bct": method(weight=3.0), "l2": method(weight=0.1)}
    write_tuned(path, 8, {"l2": method()})
    assert read_tuned(path).methods == {"l2": method()}, "trials of another seed are others"


def test_values_of_another_protocol_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    write_tuned(path, 7, {})
    path.write_text(path.read_text().replace(f"protocol: {PROTOCOL_VERSION}", "protocol: 1"))
    with pytest.raises(RequestError, match="tuned under protocol 1, this is 2; delete it"):
        read_tuned(path)
