"""Plans: which rows, in which order, under which hash, and what of them is left to run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue, discover
from compatbench.errors import RequestError
from compatbench.execution.cell import Ending, cell_record
from compatbench.plan.cells import Cell, make_plan, outcome, remaining
from compatbench.plan.selection import EVERYTHING, Selection, select_methods
from compatbench.records.parts import ArrayRef
from compatbench.records.record import Measurements, write_record
from compatbench.records.store import Store, spec_hash
from compatbench.suite.suite import parse_suite
from compatbench.vocabulary import Status

WRITTEN: dict[str, Any] = {
    "title": "small",
    "dataset": "digits",
    "image_size": 16,
    "seeds": [0, 1],
    "recipe": {"epochs": 1, "lr": 0.1},
    "defaults": {"backbone": "test_vit", "dim": 16},
    "scenarios": {"extended_data": [{"share": 0.1}, {}], "dimension": [{}, {"dim": 12}]},
    "methods": [
        "bct",
        {"name": "bct", "params": {"variant": "old_classes", "weight": 2}},
        "etf",
        "independent",
    ],
}
STARTED = "2026-01-01T00:00:00+00:00"
VARIANT = "bct(variant=old_classes, weight=2)"


Plan = Callable[..., list[Cell]]


@pytest.fixture
def plan(digits: Dataset, catalogue: Catalogue) -> Plan:
    """Cells of the written suite with changed keys: `plan(seeds=[0], select=Selection(…))`."""

    def make(select: Selection = EVERYTHING, methods_found: Catalogue = catalogue, **changes: Any) -> list[Cell]:
        suite = parse_suite({**copy.deepcopy(WRITTEN), **changes}, "test")
        return make_plan("small", suite, digits, methods_found, select)

    return make


def test_pairs_of_training_images_are_a_row_of_their_own(plan: Plan) -> None:
    train = {"name": "procrustes", "pairs": "train"}
    cells = plan(Selection(scenarios=("dimension",), seeds=(0,)), methods=["independent", "procrustes", train])
    assert {cell.spec.method.label: cell.spec.method.pairs for cell in cells} == {
        "independent": None,
        "procrustes": "held_out",
        "procrustes(pairs=train)": "train",
    }
    with pytest.raises(RequestError, match="method 'bct' is fitted on no pairs; remove its pairs: train"):
        plan(methods=[{"name": "bct", "pairs": "train"}])


def rows(cells: list[Cell]) -> list[tuple[str, int, str]]:
    return [(cell.spec.scenario, cell.spec.seed, cell.spec.method.label) for cell in cells]


def labels(cells: list[Cell]) -> list[str]:
    """Rows of the first scenario and seed, in order."""
    first = cells[0].spec
    return [
        cell.spec.method.label for cell in cells if (cell.spec.scenario, cell.spec.seed) == (first.scenario, first.seed)
    ]


def test_every_scenario_seed_and_row_once_with_the_baseline_first(plan: Plan) -> None:
    cells = plan()
    each = ["independent", "bct", VARIANT, "etf"]
    assert rows(cells) == [
        (scenario, seed, label) for scenario in ("extended_data", "dimension") for seed in (0, 1) for label in each
    ]
    assert [cell.is_baseline for cell in cells[:4]] == [True, False, False, False]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("bct",), ["bct", VARIANT]),
        ((VARIANT,), [VARIANT]),
        (("etf", "bct"), ["etf", "bct", VARIANT]),
        (("etf", "etf"), ["etf"]),
        (("l2",), ["l2"]),
        (("independent",), []),
    ],
)
def test_rows_are_selected_by_name_or_label_and_the_baseline_comes_along(
    plan: Plan, words: tuple[str, ...], expected: list[str]
) -> None:
    assert labels(plan(Selection(methods=words))) == ["independent", *expected]


def test_the_baseline_is_there_where_the_suite_does_not_list_it(plan: Plan) -> None:
    assert labels(plan(methods=["bct"])) == ["independent", "bct"]


def test_all_means_every_method_that_is_not_named(plan: Plan, catalogue: Catalogue) -> None:
    listed = labels(plan(methods=["all", {"name": "bct", "params": {"weight": 2}}]))
    assert listed[0] == "independent"
    assert sorted(listed) == sorted([*(name for name in catalogue.plugins if name != "bct"), "bct(weight=2)"])


def test_scenarios_and_seeds_are_selected(plan: Plan) -> None:
    cells = plan(Selection(scenarios=("dimension",), seeds=(7, 3, 7)))
    assert rows(cells)[:4] == [("dimension", 7, label) for label in ("independent", "bct", VARIANT, "etf")]
    assert [seed for _, seed, label in rows(cells) if label == "bct"] == [7, 3]
    assert {scenario for scenario, _, _ in rows(cells)} == {"dimension"}


@pytest.mark.parametrize(
    ("select", "changes", "message"),
    [
        (Selection(methods=("finetuned",)), {}, "no method 'finetuned'; did you mean 'finetune'?"),
        (Selection(scenarios=("extended",)), {}, "the suite has no scenario 'extended'; did you mean 'extended_data'?"),
        (EVERYTHING, {"methods": ["fixd_head"]}, "no method 'fixd_head'; did you mean 'fixed_head'?"),
        (
            EVERYTHING,
            {"methods": [{"name": "bct", "params": {"wieght": 1}}]},
            "method 'bct': wieght: unknown key; did you mean 'weight'?",
        ),
        (
            EVERYTHING,
            {"methods": [{"name": "bct", "params": {"weight": -1}}]},
            "method 'bct': weight: input should be greater than or equal to 0 (got -1)",
        ),
        (
            EVERYTHING,
            {"scenarios": {"one": [{"backbone": "test_vitt"}, {}]}},
            "scenario 'one': timm has no backbone 'test_vitt'; did you mean test_vit",
        ),
        (
            EVERYTHING,
            {"scenarios": {"one": [{"classes": 11}, {}]}},
            "scenario 'one': a generation with classes: 11 would see 11 of 10 classes with training images",
        ),
        (
            EVERYTHING,
            {"scenarios": {"one": [{}, {"backbone": "test_convnext"}]}},
            "scenario 'one': backbone 'test_convnext.r160_in1k' cannot take 16x16 images: ",
        ),
    ],
)
def test_what_cannot_be_is_named_before_anything_runs(
    plan: Plan, select: Selection, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        plan(select, **changes)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_reasons_to_skip_are_those_of_the_task(plan: Plan) -> None:
    skips = {(cell.spec.scenario, cell.spec.method.name): cell.skip for cell in plan(seeds=[0], methods=["all"])}
    assert skips["extended_data", "bct"] is None
    assert skips["extended_data", "etf"] is None
    assert skips["dimension", "etf"] == "generations share one frame, and the dimension changes from 16 to 12"
    assert "16" in (skips["dimension", "finetune"] or "")
    assert skips["dimension", "independent"] is None


def test_needs_that_are_no_members_are_named_with_the_file(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "wordy.py").write_text(
        "from compatbench.method import TrainingMethod\n\n\n"
        "class Wordy(TrainingMethod):\n    'Needs by another name.'\n\n"
        "    name = 'wordy'\n    needs = frozenset({'old_encoder'})\n"
    )
    with pytest.raises(RequestError, match=r"^method 'wordy' \(.*wordy\.py\): needs.*'old encoder'[^\n]*$"):
        plan(methods_found=discover([tmp_path]), methods=["wordy"], seeds=[0])


def test_a_space_of_its_own_takes_no_second_upgrade(plan: Plan) -> None:
    """Cosines with anchors are vectors of neither model; rewritten vectors of `fct` are the new model's."""
    shares = [{"share": share} for share in (0.2, 0.5, 1)]
    chains = {"upgrade": shares[1:], "sequence": shares}
    cells = plan(seeds=[0], scenarios=chains, methods=["relative", "fct", "lambda_orthogonal", "procrustes"])
    skips = {(cell.spec.scenario, cell.spec.method.name): cell.skip for cell in cells if cell.skip}
    assert list(skips) == [("sequence", "relative")]
    assert "a space of their own" in skips["sequence", "relative"]


def test_old_weights_fit_no_other_encoder(plan: Plan) -> None:
    chain = [{"backbone": "test_resnet"}, {"backbone": "test_resnet", "batch_norm": True}]
    skips = {cell.spec.method.name: cell.skip for cell in plan(seeds=[0], scenarios={"a": chain}, methods=["finetune"])}
    assert skips["finetune"] == "starts from the old weights: batch_norm is True, and was False"
    same = [{"backbone": "test_resnet", "batch_norm": True, "share": 0.5}, chain[1]]
    skips = {cell.spec.method.name: cell.skip for cell in plan(seeds=[0], scenarios={"a": same}, methods=["finetune"])}
    assert skips["finetune"] is None


def test_a_first_generation_that_its_method_cannot_train_is_a_reason_too(plan: Plan) -> None:
    narrow = plan(seeds=[0], scenarios={"one": [{"dim": 4}, {"dim": 4}]}, methods=["etf", "bct"])
    assert {cell.spec.method.name: cell.skip for cell in narrow} == {
        "independent": None,
        "etf": "its frame of 10 classes needs 9 dimensions, not 4",
        "bct": None,
    }


def test_a_spec_holds_everything_resolved(plan: Plan, catalogue: Catalogue) -> None:
    spec = plan()[2].spec
    assert spec.method.params == {"variant": "old_classes", "weight": 2.0, "rescale": False}
    assert spec.generations[0].backbone == "test_vit.r160_in1k"
    assert spec.generations[0].share == 0.1
    assert spec.recipe.momentum == 0.9
    assert spec.method.source_hash == catalogue.get("bct").source_hash
    assert spec.method.needs == ["old classifier"], "the variant needs less than the class declares"
    assert plan()[1].spec.method.needs == ["old classifier"]


def hash_of(cells: list[Cell], label: str) -> str:
    return next(spec_hash(cell.spec) for cell in cells if cell.spec.method.label == label)


def test_the_hash_ignores_how_a_suite_is_written(plan: Plan) -> None:
    swapped = [{"params": {"weight": 2, "variant": "old_classes"}, "name": "bct"}, "independent", "bct"]
    spelled_out = {"lr": 0.1, "epochs": 1, "momentum": 0.9}
    again = plan(methods=swapped, recipe=spelled_out, title="another title", timeout_minutes=1, seeds=[1, 0])
    for label in ("independent", "bct", VARIANT):
        assert hash_of(again, label) != hash_of(plan(), label), "the first seed is another one"
        assert hash_of(again[3:], label) == hash_of(plan(), label)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [5]},
        {"recipe": {"epochs": 2, "lr": 0.1}},
        {"train_limit": 100},
        {"scenarios": {"extended_data": [{"share": 0.2}, {}]}},
        {"methods": [{"name": "bct", "params": {"weight": 3, "variant": "old_classes"}}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_hash_changes_with_the_comparison(plan: Plan, changes: dict[str, Any]) -> None:
    before = {spec_hash(cell.spec) for cell in plan()}
    after = {spec_hash(cell.spec) for cell in plan(**changes) if not (cell.is_baseline and "methods" in changes)}
    assert not before & after


METHOD = '''
from compatbench.method import TrainingMethod

class Mine(TrainingMethod):
    """{words} (ours)."""

    name = "mine"
'''


def test_the_hash_changes_with_the_methods_source_alone(plan: Plan, tmp_path: Path) -> None:
    hashes = []
    for words in ("One", "Two"):
        (tmp_path / "mine.py").write_text(METHOD.format(words=words))
        cells = plan(methods_found=discover([tmp_path]), methods=["mine", "bct"])
        hashes.append([hash_of(cells, label) for label in ("mine", "bct", "independent")])
    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1:] == hashes[1][1:]


def test_an_array_file_that_a_record_names_twice_is_one_file(plan: Plan, tmp_path: Path) -> None:
    store, told = Store(tmp_path), list[str]()
    cells = plan(seeds=[0], scenarios={"one": [{}, {}]}, methods=["bct"])[:1]
    arrays = [
        ArrayRef(query_generation=query, gallery_generation="0", array=f"{sha256}#{query}")
        for query, sha256 in (("0", "1" * 64), ("1", "2" * 64), ("2", "1" * 64))
    ]
    record = cell_record(cells[0].spec, Ending(Status.OK), STARTED, found=Measurements(arrays=arrays))
    write_record(record, store.record(cells[0].spec))
    assert len(remaining(cells, store, False, told.append)) == 1
    store.arrays.mkdir(parents=True)
    (store.arrays / f"{'1' * 64}.parquet").write_bytes(b"damaged")
    assert len(remaining(cells, store, False, told.append)) == 1
    assert [line.partition(": ")[2] for line in told] == [
        "2 of its files of per-query arrays are damaged or gone; its cell runs again"
    ] * 2


def test_what_is_left_to_run(plan: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path)
    cells = plan(seeds=[0], scenarios={"one": [{}, {}]}, methods=["bct", "l2", "etf", "distillation", "finetune"])
    assert remaining(cells, store, retry=False) == cells
    ends = {"independent": Status.OK, "bct": Status.FAILED, "l2": Status.SKIPPED, "etf": Status.TIMEOUT}
    for cell in cells:
        if cell.spec.method.name in ends:
            ending = Ending(ends[cell.spec.method.name])
            write_record(cell_record(cell.spec, ending, STARTED), store.record(cell.spec))

    def names(retry: bool) -> list[str]:
        return [cell.spec.method.name for cell in remaining(cells, store, retry)]

    assert names(retry=False) == ["distillation", "finetune"]
    assert names(retry=True) == ["bct", "etf", "distillation", "finetune"]
    found = outcome(cells[1], store)
    assert found is not None
    assert found.status is Status.FAILED

    store.record(cells[0].spec).write_text("{not a record")
    assert outcome(cells[0], store) is None
    assert names(retry=False) == ["independent", "distillation", "finetune"]
    assert remaining(plan(seeds=[1], scenarios={"one": [{}, {}]}), store, retry=False), "another seed is another cell"


@pytest.mark.parametrize("params", [({"x": [1, 2]}, {"x": [[1], 2]}), ({"x": "a" * 99}, {"x": "a" * 98 + "b"})])
def test_rows_whose_files_would_have_one_name_are_refused(params: tuple[dict[str, Any], ...]) -> None:
    rows = [{"name": "bct", "params": one} for one in params]
    suite = parse_suite({**WRITTEN, "methods": rows}, "here")
    with pytest.raises(
        RequestError, match=r"the files of rows 'bct\(x=.*' and 'bct\(x=.*' would have one name, 'bct_x="
    ):
        select_methods(suite, discover(), ())
    assert len(select_methods(parse_suite({**WRITTEN, "methods": rows[:1]}, "here"), discover(), ())) == 2
