"""What many tests start from: the smallest dataset, short chains on it, and a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from compatbench.data.dataset import Dataset
from compatbench.discovery.datasets import load
from compatbench.discovery.plugins import Catalogue, discover
from compatbench.generations import chain as chain_module
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.loop import train
from compatbench.records.parts import Environment, Metric
from compatbench.records.record import CellSpec, MethodInfo, Record
from compatbench.records.store import Store
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec
from compatbench.vocabulary import Status


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Workers of a parallel test run share the cores."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Cached facts about encoders of the user who runs the tests must not enter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPATBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load("digits", 16, tmp_path_factory.getbasetemp(), {})


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return discover()


Trainer = Callable[..., ChainTrainer]


@pytest.fixture
def trainer(digits: Dataset, catalogue: Catalogue, tmp_path: Path) -> Trainer:
    """Builds a ChainTrainer of one-epoch `test_vit` generations on 200 digits: `trainer([{"share": 0.5}, {}])`."""

    def build(
        chain: Sequence[dict[str, Any]] = ({"share": 0.5}, {}),
        *,
        seed: int = 0,
        methods: Catalogue = catalogue,
        dataset: Dataset = digits,
        limit: int = 200,
        runs: Path = tmp_path / "runs",
        notify: Callable[[str], None] = lambda line: None,
        **recipe: Any,
    ) -> ChainTrainer:
        return ChainTrainer(
            tuple(
                GenerationSpec.model_validate({"backbone": "test_vit.r160_in1k", "dim": 16, **step}) for step in chain
            ),
            dataset,
            limit,
            Recipe.model_validate({"epochs": 1, "batch_size": 32, "optimizer": "adamw", "lr": 0.003, **recipe}),
            seed,
            methods,
            Store(runs),
            torch.device("cpu"),
            lambda stage, share: None,
            notify,
        )

    return build


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was trained during the test, as `method generation`."""
    done: list[str] = []

    def counted(model: Any, *arguments: Any, generation: int, **named: Any) -> Any:
        done.append(f"{model.method.name} {generation}")
        return train(model, *arguments, generation=generation, **named)

    monkeypatch.setattr(chain_module, "train", counted)
    return done


@pytest.fixture
def cell_spec() -> CellSpec:
    return CellSpec(
        suite="small",
        dataset="digits",
        dataset_options={"b": 1, "a": 2},
        dataset_fingerprint="f" * 64,
        image_size=16,
        train_limit=200,
        scenario="extended_data",
        generations=[{"backbone": "test_vit", "dim": 8}, {"backbone": "test_vit", "dim": 8}],
        recipe={"epochs": 1, "lr": 0.1},
        method=MethodInfo(
            name="bct",
            label="bct(weight=2)",
            params={"weight": 2.0, "variant": "synthesised"},
            role="method",
            needs=["old classifier"],
            expects=[],
            kind="training",
            source_hash="a" * 64,
            summary="A method.",
        ),
        seed=3,
    )


@pytest.fixture
def record(cell_spec: CellSpec) -> Record:
    return Record(
        status=Status.OK,
        spec_hash="b" * 64,
        spec=cell_spec,
        split_hash="c" * 64,
        parents={"0": "d" * 64},
        metrics=[
            Metric(name="mAP", query_generation="1", gallery_generation="0", value=0.1 + 0.2, ci_low=0.25, n=7),
            Metric(name="mAP", query_generation="1", gallery_generation="0", value=0.5, n=3, subset="unseen"),
            Metric(name="update_gain", query_generation="1", gallery_generation="0", value=None, n=7),
            Metric(name="broken", query_generation="1", gallery_generation="0", value=float("nan"), n=7),
        ],
        losses={"1": {"classification": [2.25, 1e-300]}},
        timings={"models": 1.5},
        costs={"train_seconds": 0.5, "unknown": None},
        environment=Environment(python="3.11.2", packages={"torch": "2.6"}, cpu="one", cpu_threads=1),
        command="compatbench run small --methods 'bct(weight=2)'",
        started="2026-01-02T03:04:05+00:00",
        seconds=12.5,
    )
