"""The estimate of a plan's time, by hand at a known speed."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue
from compatbench.generations.trunk import TrunkFeatures
from compatbench.plan import estimate
from compatbench.plan.cells import Cell, make_plan
from compatbench.plan.estimate import CELL_SECONDS, minutes_here
from compatbench.plan.selection import Selection
from compatbench.suite.encoder_spec import EncoderSpec
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.splits import held_out_indices, training_indices
from compatbench.suite.suite import parse_suite

RATE = 100.0


@pytest.fixture
def cells(digits: Dataset, catalogue: Catalogue) -> list[Cell]:
    suite = parse_suite(
        {
            "title": "small",
            "dataset": "digits",
            "image_size": 16,
            "recipe": {"epochs": 3},
            "scenarios": {
                "half": [{"backbone": "test_vit", "dim": 16, "share": 0.5}, {"backbone": "test_vit", "dim": 16}],
                "narrow": [{"backbone": "test_vit", "dim": 4}, {"backbone": "test_vit", "dim": 4}],
            },
            "methods": ["independent", "bct", "l2", "etf", "random_rotation"],
        },
        "test",
    )
    return make_plan("small", suite, digits, catalogue, Selection())


@pytest.fixture(autouse=True)
def known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "training_rate", lambda encoder, batch_size: RATE)


def chosen(cells: list[Cell], scenario: str, *names: str) -> list[Cell]:
    return [cell for cell in cells if cell.spec.scenario == scenario and cell.spec.method.name in names]


def test_old_and_independent_models_are_counted_once(cells: list[Cell], digits: Dataset) -> None:
    counts = digits.train.labels.bincount().tolist()
    left = [count - round(count / 5) for count in counts]
    whole, half, held_out = sum(left), sum(round(count / 2) for count in left), sum(counts) - sum(left)

    def trained(images: int, old: float = 0.0) -> float:
        """Three epochs, in which the old model's forward pass is a third of a step, then all test images once.

        The held-out images are embedded after every epoch.
        """
        return (3 * images * (1 + old / 3) + (len(digits.query) + 3 * held_out) / 3) / RATE

    baseline = trained(half) + trained(whole)
    by_hand = {
        ("independent",): baseline,
        ("independent", "random_rotation"): baseline,
        ("independent", "bct"): baseline + trained(whole),
        ("independent", "l2"): baseline + trained(whole, old=1),
        ("independent", "etf"): baseline + trained(half) + trained(whole),
        ("independent", "bct", "l2"): baseline + trained(whole) + trained(whole, old=1),
    }
    for names, training in by_hand.items():
        expected = training + CELL_SECONDS["here"] * len(names)
        assert minutes_here(chosen(cells, "half", *names), digits, jobs=1) == pytest.approx(expected / 60), names


def test_cells_at_a_time_divide_the_time_and_skips_take_none(cells: list[Cell], digits: Dataset) -> None:
    some = chosen(cells, "narrow", "independent", "bct")
    assert minutes_here(some, digits, jobs=4) == pytest.approx(minutes_here(some, digits, jobs=1) / 4)
    with_skip = chosen(cells, "narrow", "independent", "bct", "etf")
    assert [cell.skip is None for cell in with_skip] == [True, True, False]
    assert minutes_here(with_skip, digits, jobs=1) == minutes_here(some, digits, jobs=1)
    assert minutes_here([], digits, jobs=2) == 0


def test_features_of_a_frozen_trunk_are_counted_once_and_stored_ones_not(
    digits: Dataset, catalogue: Catalogue, tmp_path: Path
) -> None:
    frozen = {"backbone": "test_vit", "dim": 16, "frozen": True}
    suite = parse_suite(
        {
            "title": "small",
            "dataset": "digits",
            "image_size": 16,
            "train_limit": 400,
            "query_limit": 100,
            "seeds": [0, 1],
            "recipe": {"epochs": 3, "views": 2, "augmentation": {"crop_padding": 1}},
            "scenarios": {"half": [{**frozen, "share": 0.5}, frozen], "classes": [{**frozen, "classes": 5}, frozen]},
            "methods": ["independent", "l2"],
        },
        "test",
    )
    everything = make_plan("small", suite, digits, catalogue, Selection())
    spec = everything[0].spec.generations[1].encoder(1, 16)
    rates = {spec: 1000.0, EncoderSpec(dim=1, **spec.trunk.model_dump()): 10.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimate, "training_rate", lambda encoder, batch_size: rates[encoder])
        minutes = minutes_here(everything, digits, jobs=1)
        features = TrunkFeatures(digits, 400, everything[0].spec.recipe, tmp_path, tmp_path)
        features.train(spec.trunk, torch.tensor([], dtype=torch.int64))
        without_one = minutes_here(everything, digits, jobs=1, features=tmp_path)
        features.compute([spec.trunk])
        without_any = minutes_here(everything, digits, jobs=1, features=tmp_path)
    everything_left = sum(round(n * 400 / len(digits.train)) for n in digits.train.labels.bincount().tolist())
    pool = len(training_indices(digits.train.labels, GenerationSpec(**frozen), 400))
    held_out = everything_left - pool
    half, classes = (
        len(training_indices(digits.train.labels, GenerationSpec(**frozen, **part), 400))
        for part in ({"share": 0.5}, {"classes": 5})
    )
    trunk = (3 * pool + held_out + len(digits.gallery)) / 3 / 10
    tested = len(digits.gallery) / 3 + held_out
    of_five = len(held_out_indices(digits.train.labels, range(5), 400))
    old = (3 * (half + classes) + 2 * tested - held_out + of_five) / 1000
    independent = (3 * pool + tested) / 1000
    l2 = 2 * (3 * pool * 4 / 3 + tested) / 1000
    expected = trunk + 2 * (old + independent + l2) + 8 * CELL_SECONDS["here"]
    assert minutes == pytest.approx(expected / 60)
    assert without_one == pytest.approx((expected - (pool + held_out) / 3 / 10) / 60)
    assert without_any == pytest.approx((expected - trunk) / 60)


def test_the_speed_is_measured_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    asked, create = [], timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *a, **named: asked.append(named["pretrained"]) or create(*a, **named)
    )
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    rate = estimate.training_rate(
        EncoderSpec(backbone="test_vit", dim=8, image_size=16, channels=1, pretrained=True), 8
    )
    assert rate > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert asked == [False], "an estimate downloads no weights"
