"""Published weights: what is on this machine, by a hub's cache that the test makes; nothing is downloaded."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from compatbench.cli.bench import Bench, prepare
from compatbench.cli.plan_listing import plan_lines
from compatbench.errors import RequestError
from compatbench.plan.pretrained import fetch_weights, missing_weights
from compatbench.plan.selection import Selection
from compatbench.records.store import Store

WEIGHTS = {"test_resnet.r160_in1k": "models--timm--test_resnet.r160_in1k"}
SUITE = """
title: pretrained
dataset: digits
image_size: 32
seeds: [0]
recipe: {epochs: 1}
defaults: {backbone: test_resnet, dim: 8, pretrained: true}
scenarios:
  a: [{share: 0.5}, {}]
methods: [bct]
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def bench(cache: Path, tmp_path: Path) -> Bench:
    (tmp_path / "own.yaml").write_text(SUITE)
    return prepare(str(tmp_path / "own.yaml"), Selection(), Store(tmp_path / "runs"), tmp_path, (), lambda line: None)


def test_a_plan_names_the_weights_that_are_not_here(bench: Bench, cache: Path) -> None:
    assert missing_weights(bench.cells, bench.data) == list(WEIGHTS)
    assert list(plan_lines(bench, jobs=1))[-1].endswith("when the suite is run: test_resnet.r160_in1k")
    for folder in WEIGHTS.values():
        snapshot = cache / folder / "snapshots" / "0123456789012345678901234567890123456789"
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").write_bytes(b"any")
        (cache / folder / "refs").mkdir()
        (cache / folder / "refs" / "main").write_text(snapshot.name)
    assert missing_weights(bench.cells, bench.data) == []
    assert "weights" not in list(plan_lines(bench, jobs=1))[-1]


def test_weights_that_cannot_be_fetched_are_named_before_anything_runs(bench: Bench) -> None:
    with pytest.raises(RequestError, match=r"weights of backbone 'test_resnet.r160_in1k' cannot be fetched") as caught:
        fetch_weights(bench.cells, bench.data, print)
    assert "\n" not in str(caught.value)
