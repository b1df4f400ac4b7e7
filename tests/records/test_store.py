"""Where things lie in a folder of runs, and what a cell is called there."""

from __future__ import annotations

import json
import lzma
import zipfile
from pathlib import Path

import pytest

from compatbench.records.record import CellSpec
from compatbench.records.store import Store, spec_hash
from compatbench.suite.scenarios import GenerationSpec
from compatbench.trust.packs import find_record


def test_a_record_has_a_readable_name_that_ends_in_its_hash(cell_spec: CellSpec) -> None:
    store = Store(Path("runs"))
    folder = Path("runs/small/records/extended_data")
    assert store.record(cell_spec) == folder / f"bct_weight=2--seed3--{spec_hash(cell_spec)[:12]}.json"
    assert store.log(cell_spec) == Path("runs/small/logs/extended_data") / (store.record(cell_spec).stem + ".log")


def test_the_hash_ignores_the_order_of_keys(cell_spec: CellSpec) -> None:
    swapped = cell_spec.model_copy(
        update={
            "dataset_options": {"a": 2, "b": 1},
            "method": cell_spec.method.model_copy(update={"params": {"variant": "synthesised", "weight": 2.0}}),
        }
    )
    assert list(swapped.dataset_options) != list(cell_spec.dataset_options)
    assert spec_hash(swapped) == spec_hash(cell_spec)


CHANGES = {
    "seed": {"seed": 4},
    "recipe": {"recipe": {"epochs": 1, "lr": 0.2}},
    "protocol": {"protocol": 1},
    "data": {"dataset_fingerprint": "0" * 64},
    "limit": {"train_limit": 201},
    "chain": {"generations": [{"backbone": "test_vit", "dim": 8}, {"backbone": "test_vit", "dim": 9}]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_hash_changes_with_everything_that_makes_a_cell(cell_spec: CellSpec, change: dict[str, object]) -> None:
    assert spec_hash(CellSpec.model_validate(cell_spec.model_dump() | change)) != spec_hash(cell_spec)


LEADERBOARD = Path(__file__).parents[2] / "results" / "leaderboard"


@pytest.mark.parametrize("packed", sorted(LEADERBOARD.glob("*/records/*.zip")), ids=lambda path: path.stem)
def test_a_committed_record_is_still_named_by_its_spec(packed: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        lines = json.loads(lzma.decompress(file.read("records.json.xz")))
    for name, written in list(lines.items())[::40]:
        record = find_record(packed / name)
        assert spec_hash(record.spec) == record.spec_hash
        assert Store(LEADERBOARD).packed(record.spec) == packed
        assert Store(LEADERBOARD).record(record.spec).name == name
        assert json.loads(record.spec.model_dump_json()) == written["spec"]


def test_what_a_generation_leaves_open_is_not_written() -> None:
    step = {
        "backbone": "test_vit",
        "dim": 8,
        "share": [0.3, 1],
        "classes": 0.5,
        "query_encoder": {"pretrained": False},
        "document_encoder": "previous",
    }
    generation = GenerationSpec.model_validate(step)
    defaults = {"loss": "softmax", "pretrained": False, "small_image_stem": False, "batch_norm": False}
    assert json.loads(generation.model_dump_json()) == step | defaults
    assert GenerationSpec.model_validate_json(generation.model_dump_json()) == generation


@pytest.mark.parametrize("change", [{"params": {"weight": 3.0, "variant": "synthesised"}}, {"source_hash": "b" * 64}])
def test_the_hash_changes_with_the_methods_params_and_source(cell_spec: CellSpec, change: dict[str, object]) -> None:
    other = cell_spec.model_copy(update={"method": cell_spec.method.model_copy(update=change)})
    assert spec_hash(other) != spec_hash(cell_spec)


@pytest.mark.parametrize("label", ["../../x", "a/b", "", "x" * 500, "bct(weight=0.5)", "φ"])
def test_no_label_leads_out_of_the_folder_or_makes_a_name_too_long(cell_spec: CellSpec, label: str) -> None:
    spec = cell_spec.model_copy(update={"method": cell_spec.method.model_copy(update={"label": label})})
    path = Store(Path("runs")).record(spec)
    assert path.parent == Path("runs/small/records/extended_data")
    assert ".." not in path.parts
    assert len(path.name) < 150
