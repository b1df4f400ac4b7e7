"""`compatbench tune` from its words to the file that a run reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.discovery.plugins import discover
from compatbench.errors import RequestError
from compatbench.plan import cells as cells_module
from compatbench.plan.cells import Cell
from compatbench.plan.selection import check_tuning
from compatbench.records.record import Metric, Record
from compatbench.records.store import Store
from compatbench.suite.suite import available_suites, load_suite
from compatbench.suite.tuned import read_tuned, tuned_file, write_tuned
from compatbench.vocabulary import Status

SUITE = """
title: small
dataset: digits
image_size: 16
train_limit: 400
recipe: {epochs: 1}
defaults: {backbone: test_vit, dim: 16}
scenarios: {one: [{classes: 0.5}, {}]}
settings: [tuned, published]
methods: [independent, ridge, identity]
"""


def test_the_best_trial_is_written_and_read_by_the_suite(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.yaml").write_text(SUITE)
    paths: list[Path] = []

    def outcome(cell: Cell, store: Store, *notify: object) -> Record:
        """A is highest near ε = 0.001."""
        paths.append(store.record(cell.spec))
        epsilon = cell.spec.method.params.get("epsilon", 0.0)
        values = {("0", "0"): 0.25, ("*1", "*1"): 0.75}
        metrics = [
            Metric(name="mAP", query_generation=q, gallery_generation=g, value=v, n=9) for (q, g), v in values.items()
        ]
        share = -abs(float(epsilon) - 1e-3)
        metrics.append(
            Metric(name="backfill_share:mAP", query_generation="1", gallery_generation="0", value=share, n=9)
        )
        return record.model_copy(update={"spec": cell.spec, "metrics": metrics, "status": Status.OK})

    monkeypatch.setattr(cells_module, "outcome", outcome)
    words = ["tune", str(tmp_path / "small.yaml"), "--runs", str(tmp_path / "runs"), "--data", str(tmp_path)]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    suite = load_suite(str(tmp_path / "small.yaml"))[1]
    assert list(suite.tuned) == ["ridge"]
    assert 3e-4 < float(str(suite.tuned["ridge"]["epsilon"])) < 5e-3
    assert [row.label for row in suite.rows(suite.methods)] == [
        "independent",
        "ridge(tuned)",
        "ridge(published)",
        "identity",
    ]
    assert "all 9 trials up to date" in done.output
    assert f"epsilon={suite.tuned['ridge']['epsilon']}" in done.output
    assert {path.parent for path in paths} == {tmp_path / "runs" / "small" / "tuning" / "one"}

    def plan(*more: str) -> str:
        return CliRunner().invoke(app, ["plan", *words[1:], *more], catch_exceptions=False).output

    path = tuned_file(tmp_path / "small.yaml")
    found = read_tuned(path)
    one = found.methods["ridge"]
    write_tuned(path, found.seed, {"ridge": one.model_copy(update={"source_hash": "0" * 64}), "bct": one})
    with pytest.raises(
        RequestError, match=r"'ridge' was tuned for other code .*; run compatbench tune .*--methods ridge"
    ):
        plan()
    assert f"tuned values of no row of suite {words[1]}: bct" in plan("--methods", "identity")
    CliRunner().invoke(app, words, catch_exceptions=False)
    assert read_tuned(path).methods["ridge"] == one


def test_the_built_in_tuned_values_are_of_todays_methods() -> None:
    catalogue = discover()
    for name, file in available_suites().items():
        _, suite = load_suite(name)
        if tuned_file(file).exists():
            assert suite.tuned_with
            assert check_tuning(name, suite, catalogue, ()) == []


def test_a_method_without_ranges_cannot_be_tuned(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SUITE)
    words = ["tune", str(tmp_path / "small.yaml"), "--methods", "identity", "--data", str(tmp_path)]
    with pytest.raises(RequestError, match="none of these methods declares a range to tune"):
        CliRunner().invoke(app, words, catch_exceptions=False)
