"""The suites that need a GPU and data that are not here: valid, plannable, and within their budgets."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.cli.bench import prepare
from compatbench.cli.plan_listing import plan_lines
from compatbench.data.stand_in import NOT_HERE, stand_in
from compatbench.discovery.datasets import discover_datasets, family
from compatbench.errors import RequestError
from compatbench.plan.estimate import gpu_hours
from compatbench.plan.selection import Selection
from compatbench.records.store import Store
from compatbench.suite.suite import available_suites, load_suite

LARGE = ("cifar100", "imagenet", "landmarks", "cub", "sop")


@pytest.mark.parametrize("suite", LARGE)
def test_large_suites_are_planned_without_their_data(suite: str, tmp_path: Path) -> None:
    bench = prepare(suite, Selection(), Store(tmp_path), tmp_path, (), lambda line: None, planning=True)
    budget = load_suite(suite)[1].gpu_hours
    assert budget is not None
    lines = list(plan_lines(bench, jobs=1))
    cells = [line for line in lines if line.startswith(("to run ", "skip "))]
    assert len(cells) == len(bench.cells)
    assert any("· bct · seed 0  ← independent 0, independent 1" in line for line in cells)
    assert budget / 4 < gpu_hours(bench.cells, bench.dataset) <= budget
    assert any(f"within the suite's budget of {budget:g}" in line for line in lines)
    assert bench.missing
    assert all(f"  {path}" in lines for path in bench.missing)


def test_published_sizes_may_depend_on_the_options(tmp_path: Path) -> None:
    suite = tmp_path / "drawings.yaml"
    suite.write_text(
        "title: Drawings\ndataset: iconsets\ndataset_options: {split: unseen}\nimage_size: 32\n"
        "defaults: {backbone: test_resnet.r160_in1k, dim: 32}\nscenarios: {extended_class: [{classes: 0.5}, {}]}\n"
        "methods: [bct]\nrecipe: {epochs: 3, batch_size: 64, optimizer: adamw, lr: 0.003}\n"
    )
    bench = prepare(str(suite), Selection(), Store(tmp_path), tmp_path, (), lambda line: None, planning=True)
    test = "query 1,656 images of 118 classes, gallery 6,677 images of 118 classes"
    assert next(iter(plan_lines(bench, jobs=1))) == (
        f"iconsets (as published): 356 classes; train 15,931 images of 238 classes; {test}"
    )


def test_what_is_here_is_read_and_nothing_is_called_missing(tmp_path: Path) -> None:
    bench = prepare(
        "digits", Selection(methods=("bct",)), Store(tmp_path), tmp_path, (), lambda line: None, planning=True
    )
    assert bench.missing == ()
    assert len(bench.dataset.fingerprint) == 64
    assert "at a time, about" in list(plan_lines(bench, jobs=1))[-1]


def test_classes_images_and_splits_are_told(tmp_path: Path) -> None:
    """Counts by hand: CUB-200-2011 has 5,864 images of its first 100 classes, and 5,924 of the other 100."""
    bench = prepare("cub", Selection(), Store(tmp_path), tmp_path, (), lambda line: None, planning=True)
    lines = list(plan_lines(bench, jobs=1))
    test = "query = gallery 5,924 images of 100 classes"
    assert lines[0] == f"cub200 (as published): 200 classes; train 5,864 images of 100 classes; {test}"
    told = {line.strip().partition(":")[0]: line for line in lines[1 : 1 + len(bench.suite.scenarios)]}
    assert set(told) == set(bench.suite.scenarios)
    assert told["extended_class"] == (
        "  extended_class: 2,350 images of 50 classes → 4,664 images of 100 classes; 1,200 images held out; " + test
    )
    bench = prepare("digits", Selection(), Store(tmp_path), tmp_path, (), lambda line: None, planning=True)
    lines = list(plan_lines(bench, jobs=1))
    assert lines[0] == (
        "digits (as found): 10 classes; train 1,000 images of 10 classes; query = gallery 797 images of 10 classes"
    )
    assert "→ 800 images of 10 classes; 200 images held out; query = gallery" in lines[1]


def test_status_says_that_it_needs_the_data(tmp_path: Path) -> None:
    words = ["status", "cub", "--methods", "bct", "--data", str(tmp_path), "--runs", str(tmp_path)]
    last = CliRunner().invoke(app, words).output.splitlines()[-1]
    assert last == "records are not looked up without the data: `compatbench data get cub200` fetches them"


def test_a_run_never_takes_a_stand_in_for_data(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="dataset 'imagenet' is not complete, missing"):
        prepare("imagenet", Selection(), Store(tmp_path), tmp_path, (), lambda line: None)


PUBLISHED = {
    "cifar100": (100, 100, 50_000, 10_000, None),
    "imagenet": (1_000, 1_000, 1_281_167, 50_000, None),
    "cub200": (100, 200, 5_864, 5_924, None),
    "online_products": (11_318, 22_634, 59_551, 60_502, None),
    "iconsets": (356, 356, 14_949, 4_771, 4_544),
    "landmarks_roxford5k": (81_313, 81_313 + 12, 1_580_470, 70, 4_993),
    "landmarks_rparis6k": (81_313, 81_313 + 13, 1_580_470, 70, 6_322),
}
"""Classes that are trained on, all classes, and images of training, queries and gallery, as the authors count."""


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_stand_ins_have_the_published_sizes_and_no_image(name: str) -> None:
    train_classes, classes, train, query, gallery = PUBLISHED[name]
    dataset = stand_in(name, family(name).published, 224)
    assert dataset is not None
    assert dataset.fingerprint == NOT_HERE
    assert (len(dataset.train), len(dataset.query)) == (train, query)
    assert len(dataset.gallery) == (gallery or query)
    assert (dataset.gallery is dataset.query) is (gallery is None)
    assert dataset.num_classes == classes
    assert dataset.train_classes == tuple(range(train_classes))
    unseen_in_training = min(dataset.query.labels.tolist()) >= train_classes
    assert unseen_in_training is (classes > train_classes)
    assert dataset.train.image_size == 224


def test_a_dataset_of_which_nothing_is_known_has_no_stand_in() -> None:
    assert {name for name, one in discover_datasets().plugins.items() if stand_in(name, one.published, 32) is None} == {
        "beir",
        "faces",
        "folder",
        "hub",
        "vectors",
    }


def test_suites_with_a_budget_have_an_outline_of_their_data() -> None:
    for name in available_suites():
        suite = load_suite(name)[1]
        assert suite.gpu_hours is None or stand_in(suite.dataset, family(suite.dataset).published, 8) is not None, name
