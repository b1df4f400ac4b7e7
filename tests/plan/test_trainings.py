"""Which models a plan trains, for whom, and how much arithmetic that is; by hand on a small plan."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue
from compatbench.encoders import Encoder
from compatbench.plan import estimate
from compatbench.plan.cells import Cell, make_plan
from compatbench.plan.estimate import CELL_SECONDS, OPERATIONS_PER_SECOND, TRAINING, forward_operations, gpu_hours
from compatbench.plan.selection import Selection
from compatbench.plan.trainings import model_names, parents, trainings
from compatbench.suite.encoder_spec import EncoderSpec
from compatbench.suite.suite import parse_suite

METHODS = ["independent", "bct", "l2", "etf", "bt2", "procrustes"]
CHAIN = [{"share": 0.5}, {}, {"query_encoder": {"backbone": "test_resnet"}}]


@pytest.fixture
def cells(digits: Dataset, catalogue: Catalogue) -> dict[str, Cell]:
    """The plan of a chain of three, the last with two encoders, by method."""
    suite: dict[str, Any] = {
        "title": "small",
        "dataset": "digits",
        "image_size": 16,
        "recipe": {"epochs": 3},
        "defaults": {"backbone": "test_vit", "dim": 16},
        "scenarios": {"chain": CHAIN},
        "methods": METHODS,
    }
    plan = make_plan("small", parse_suite(suite, "test"), digits, catalogue, Selection())
    return {cell.spec.method.name: cell for cell in plan}


def sizes(digits: Dataset) -> tuple[int, int, int]:
    """Training images, half of them, and held-out images."""
    counts = digits.train.labels.bincount().tolist()
    left = [count - round(count / 5) for count in counts]
    return sum(left), sum(round(count / 2) for count in left), sum(counts) - sum(left)


def test_models_and_parents_by_name(cells: dict[str, Cell]) -> None:
    independent = tuple(f"independent {step}" for step in range(3))
    assert model_names(cells["independent"].spec) == independent
    assert model_names(cells["bct"].spec) == ("independent 0", "bct 1", "bct 2", "independent 1", "independent 2")
    assert model_names(cells["etf"].spec)[:3] == ("etf 0", "etf 1", "etf 2")
    assert parents(cells["independent"]) == ()
    assert parents(cells["bct"]) == independent
    assert parents(cells["etf"]) == independent[1:], "its references alone"
    assert parents(cells["procrustes"]) == model_names(cells["procrustes"].spec) == independent


def test_every_model_is_trained_once_with_the_encoders_it_has(cells: dict[str, Cell], digits: Dataset) -> None:
    done = list(trainings(list(cells.values()), digits))
    whole, half, held_out = sizes(digits)
    by_cell = {name: [one for one in done if one.spec.method.name == name] for name in METHODS}
    assert [one.images for one in by_cell["independent"]] == [half, whole, whole]
    assert {one.held_out for one in done} == {held_out}
    assert [len(one.encoders) for one in by_cell["independent"]] == [1, 1, 2]
    assert {name: len(ones) for name, ones in by_cell.items()} == {
        "independent": 3, "bct": 2, "l2": 2, "etf": 3, "bt2": 2, "procrustes": 0,
    }  # fmt: skip
    assert [one.old is None for one in by_cell["l2"]] == [False, False]
    assert all(one.old is None for name in ("independent", "bct", "etf") for one in by_cell[name])
    backbones = [encoder.backbone for encoder in by_cell["bct"][1].encoders]
    assert backbones == ["test_resnet.r160_in1k", "test_vit.r160_in1k"]


def test_hours_are_the_arithmetic_of_all_trainings(
    cells: dict[str, Cell], digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = {"test_vit.r160_in1k": 1e9, "test_resnet.r160_in1k": 4e9}
    monkeypatch.setattr(estimate, "forward_operations", lambda spec: cost[spec.backbone])
    (whole, half, held_out), test = sizes(digits), len(digits.query)
    step = {"plain": TRAINING * 1e9, "two": TRAINING * 5e9}
    embedding = test * (1e9 + 1e9 + 5e9)
    watched = 3 * held_out * (1e9 + 4e9)  # after every epoch, as queries
    by_hand = {
        "independent": 3 * (half * step["plain"] + whole * step["plain"] + whole * step["two"])
        + embedding
        + watched
        + 3 * held_out * 1e9,
        "l2": 3 * whole * (step["plain"] + 1e9 + step["two"] + 1e9) + test * 6e9 + watched,
        "bt2": 3 * whole * (step["plain"] + 1e9 + 1e9 + step["two"] + 1e9 + 5e9) + test * 6e9 + watched,
    }
    baseline = [cells["independent"]]
    expected = by_hand["independent"] / OPERATIONS_PER_SECOND["float32"] + CELL_SECONDS["gpu"]
    assert gpu_hours(baseline, digits) == pytest.approx(expected / 3600)
    for name in ("l2", "bt2"):
        more = by_hand[name] / OPERATIONS_PER_SECOND["float32"] + CELL_SECONDS["gpu"]
        assert gpu_hours([*baseline, cells[name]], digits) == pytest.approx((expected + more) / 3600), name


def test_operations_are_those_of_the_layers_by_hand() -> None:
    """Two for each multiply-add of the convolutions and linear layers, seen by hooks on a real pass."""
    spec = EncoderSpec(backbone="test_resnet.r160_in1k", dim=8, image_size=32, channels=3)
    encoder = Encoder(spec).eval()
    counted = 0.0

    def add(layer: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal counted
        if isinstance(layer, torch.nn.Conv2d):
            counted += 2 * output.numel() * layer.weight[0].numel()
        elif isinstance(layer, torch.nn.Linear):
            counted += 2 * output.numel() * layer.in_features

    for layer in encoder.modules():
        layer.register_forward_hook(add)
    with torch.no_grad():
        encoder(torch.zeros(1, 3, 32, 32))
    assert forward_operations(spec) == counted


def test_a_resnet_50_takes_the_operations_that_its_published_speed_is_stated_for() -> None:
    spec = EncoderSpec(backbone="resnet50.a1_in1k", dim=128, image_size=224, channels=3, pretrained=True)
    assert forward_operations(spec) == pytest.approx(2 * 4.09e9, rel=0.01)
    images_per_second = OPERATIONS_PER_SECOND["bfloat16"] / (TRAINING * forward_operations(spec))
    assert images_per_second == pytest.approx(2470, rel=0.02)
