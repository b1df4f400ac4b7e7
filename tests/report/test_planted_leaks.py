"""Planted leaks turn the banner red, from embeddings through records to the rendered page; honest models do not.

Sixty classes. Models see the same classes and items, each in a space of its own, as trained encoders do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from synthetic import Bench
from torch import Tensor

from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.measurement.chance_level import level
from compatbench.report.site.page_data.packing import unpacked
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.site.write import write_report

CLASSES, ITEMS, DIM = 60, 6, 24
SEEDS, ROTATIONS = 3, 60
LABELS = torch.arange(CLASSES * ITEMS) % CLASSES
IDS = torch.arange(CLASSES * ITEMS)


def features(seed: int) -> Tensor:
    """What all models see of the items: class centres, and what is the item's own; later dimensions vary less."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, DIM, generator=generator)[LABELS]
    return (centres + 0.7 * torch.randn(len(LABELS), DIM, generator=generator)) * torch.arange(1, DIM + 1) ** -0.5


def turned(seed: int) -> Tensor:
    """An encoder of its own space: a random rotation of the features, and noise."""
    generator = torch.Generator().manual_seed(1000 + seed)
    rotation, _ = torch.linalg.qr(torch.randn(DIM, DIM, generator=generator))
    return F.normalize(features(0) @ rotation + 0.2 * torch.randn(len(LABELS), DIM, generator=generator))


def trained_head(weight: Tensor, share: float, seed: int) -> Tensor:
    """Embeddings of a linear head that was trained as a classifier on some of the items."""
    inputs, known = features(0), share * len(IDS) > IDS
    generator = torch.Generator().manual_seed(seed)
    rows = (0.1 * torch.randn(CLASSES, DIM, generator=generator)).requires_grad_()
    weight = weight.clone().requires_grad_()
    optimizer = torch.optim.SGD([weight, rows], lr=1.0)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(inputs[known] @ weight @ rows.T, LABELS[known]).backward()
        optimizer.step()
    return F.normalize((inputs @ weight).detach())


def initial(seed: int) -> Tensor:
    return torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(seed)) / DIM**0.5


def mixed(share: float) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Old embeddings, and new ones of which this share is the old one."""

    def models(seed: int) -> tuple[Tensor, Tensor]:
        old, new = turned(2 * seed), turned(2 * seed + 1)
        return old, F.normalize((1 - share) * new + share * old)

    return models


def heads(*, same_start: bool) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Two heads, trained on half of the items and on all, from one initialisation or two."""

    def models(seed: int) -> tuple[Tensor, Tensor]:
        starts = initial(10 + seed), initial(10 + seed if same_start else 20 + seed)
        return trained_head(starts[0], 0.5, 30 + seed), trained_head(starts[1], 1.0, 40 + seed)

    return models


def written(folder: Path, models: Callable[[int], tuple[Tensor, Tensor]]) -> dict[str, str]:
    """The rendered report of `independent` alone, whose embeddings these models give."""
    bench, records = Bench(folder), []
    for seed in range(SEEDS):
        old, new = (Vectors(values, LABELS, IDS) for values in models(seed))
        sides = {"oo": (old, old), "no": (new, old), "nn": (new, new), "ss": (new, new)}
        precisions = {name: evaluate(*side).average_precision.tolist() for name, side in sides.items()}
        extra = list(level((new, old), ("1", "0"), seed=seed, rotations=ROTATIONS))
        expects = ["cross at chance"]
        records.append(bench.record("independent", seed, precisions, role="reference", expects=expects, extra=extra))
    files = write_report(scenario_reports(records, folder), folder / "out", "leaks")
    pages = (path for path in files if path.name in ("README.md", "index.html"))
    return {path.name: unpacked(path.read_text(encoding="utf-8")) for path in pages}


RED, GREEN = "controls not as expected", "controls as expected: independent"


@pytest.mark.parametrize(
    "models",
    [mixed(0.1), mixed(0.25), heads(same_start=True)],
    ids=["a tenth of the old embedding", "a quarter of it", "a shared initialisation"],
)
def test_a_planted_leak_turns_the_banner_red(tmp_path: Path, models: Callable[[int], tuple[Tensor, Tensor]]) -> None:
    pages = written(tmp_path, models)
    assert set(pages) == {"README.md", "index.html"}
    for text in pages.values():
        assert RED in text
        assert GREEN not in text
        assert "is above chance: random rotations give" in text


@pytest.mark.parametrize("models", [mixed(0.0), heads(same_start=False)], ids=["encoders", "trained heads"])
def test_honest_independent_models_leave_it_green(
    tmp_path: Path, models: Callable[[int], tuple[Tensor, Tensor]]
) -> None:
    for text in written(tmp_path, models).values():
        assert GREEN in text
        assert RED not in text


@pytest.mark.simulation
@pytest.mark.timeout(0)
def test_leaks_are_found_and_honest_models_are_not_accused() -> None:
    """Rates over 200 boards of one check: a tenth mixed in, and nothing."""
    from compatbench.evaluation.leaks import leak_p_value
    from compatbench.report.rows.row import Rotated

    def rate(share: float) -> float:
        alarms = []
        for board in range(200):
            seeds = []
            for seed in range(SEEDS):
                old, new = mixed(share)(SEEDS * board + seed)
                side = Vectors(new, LABELS, IDS), Vectors(old, LABELS, IDS)
                numbers = {one.name: one.value for one in level(side, ("1", "0"), seed=seed)}
                names = ("chance_cross", "chance", "chance_spread", "chance_skew")
                seeds.append(Rotated(*(numbers[f"{name}:mAP"] for name in names)))
            alarms.append(leak_p_value(seeds) < 0.05)
        return float(np.mean(alarms))

    assert rate(0.0) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert rate(0.1) >= 0.9
