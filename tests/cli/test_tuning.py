"""`compatbench tune` from its words to the file that a run reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.errors import RequestError
from compatbench.plan import cells as cells_module
from compatbench.plan.cells import Cell
from compatbench.records.record import Metric, Record
from compatbench.records.store import Store
from compatbench.suite.suite import load_suite
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


def test_a_method_without_ranges_cannot_be_tuned(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SUITE)
    words = ["tune", str(tmp_path / "small.yaml"), "--methods", "identity", "--data", str(tmp_path)]
    with pytest.raises(RequestError, match="none of these methods declares a range to tune"):
        CliRunner().invoke(app, words, catch_exceptions=False)
