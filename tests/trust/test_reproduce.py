"""Running a recorded cell again: the same bytes in the same environment, and what differs is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published import Published
from rich.console import Console

from compatbench.discovery.datasets import load
from compatbench.discovery.plugins import discover
from compatbench.errors import RequestError
from compatbench.execution.cell import RunContext, run_cell
from compatbench.execution.display import Display
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.records.record import Record, read_record, write_record
from compatbench.suite.suite import load_suite
from compatbench.trust.environments import same_arithmetic, why_not_exact
from compatbench.trust.packs import find_record
from compatbench.trust.reproduce import Reproduction, drawn, reproduce
from compatbench.trust.submit import submit
from compatbench.vocabulary import Status


@pytest.fixture
def record(ran: Published) -> Record:
    return read_record(ran.runs.record(ran.cells[1].spec))


def again(record: Record, folder: Path, *, coarse: bool = False) -> Reproduction:
    context = RunContext(folder / "again", folder / "data", (), record.environment.cpu_threads)
    with Display(Console(quiet=True), 1) as display:
        return reproduce(record, context, display, timeout_seconds=250, coarse=coarse)


def test_a_right_record_is_reproduced_and_a_changed_one_is_not(record: Record, tmp_path: Path) -> None:
    first = again(record, tmp_path / "1")
    assert (first.inexact, first.differences) == ("", [])
    assert first.again.status is Status.OK
    assert first.again.metrics == record.metrics

    changed = record.model_copy(deep=True)
    metric = changed.metrics[0]
    assert metric.value is not None
    metric.value += 0.009
    second = again(changed, tmp_path / "2")
    assert (second.inexact, len(second.differences)) == ("", 1)
    assert second.differences[0].startswith("metrics.0.value was ")

    changed.environment.packages["torch"] = "1.0"
    hits = next(one for one in changed.metrics if one.name == "CMC@1" and one.value is not None)
    assert hits.value is not None
    hits.value += 0.049
    third = again(changed, tmp_path / "3")
    assert third.inexact == "it was made with other packages"
    assert third.differences == [], "elsewhere that is within the tolerance"
    assert third.apart == pytest.approx((0.009, 0.049))
    metric.value += 0.002
    hits.value += 0.002
    fourth = again(changed.model_copy(update={"split_hash": "0" * 64}), tmp_path / "4")
    assert [line.partition(" was ")[0] for line in fourth.differences] == [
        "split_hash",
        "mAP('0', '0', 'all', 'cosine')",
        f"CMC@1('{hits.query_generation}', '{hits.gallery_generation}', 'all', 'cosine')",
    ]


def test_a_record_of_the_leaderboard_is_reproduced(fresh: Published, tmp_path: Path) -> None:
    submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    spec = fresh.cells[1].spec
    published = find_record(fresh.leaderboard.packed(spec) / fresh.leaderboard.record(spec).name)
    found = again(published, tmp_path, coarse=True)
    assert (found.inexact, found.differences) == ("", [])
    changed = published.model_copy(deep=True)
    score = changed.metric("mAP", "1", "0")
    assert score is not None
    assert score.value is not None
    score.value += 1e-4
    rounded = again(changed, tmp_path / "2", coarse=True)
    assert rounded.inexact == "what was measured was rounded before it was published"
    assert (rounded.differences, rounded.tolerance) == ([], 2e-4)
    score.value += 2e-4
    (difference,) = again(changed, tmp_path / "3", coarse=True).differences
    assert difference.startswith("mAP('1', '0', 'all', 'cosine') was ")


def test_a_record_of_ones_own_images_is_reproduced(ran: Published, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for place in range(40):
        path = tmp_path / "data" / "mine" / "abcd"[place % 4] / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
    options = {"path": "mine", "channels": 1}
    suite = load_suite(str(ran.data.parent / "benchmarks" / "historic.yaml"))[1]
    own = suite.model_copy(update={"dataset": "folder", "dataset_options": options, "query_limit": None})
    dataset = load("folder", 16, tmp_path / "data", options)
    cell = make_plan("own", own, dataset, discover(), Selection())[0]
    context = RunContext(tmp_path / "runs", tmp_path / "data")
    first = run_cell(cell.spec, context, lambda *told: None, lambda line: None)
    assert first.status is Status.OK, first.error
    write_record(first, tmp_path / "first.json")
    first = read_record(tmp_path / "first.json")
    second = again(first, tmp_path)
    assert second.differences == []
    assert second.again.metrics == first.metrics


def test_another_environment_is_told_apart(record: Record) -> None:
    one = record.environment
    assert same_arithmetic(one, one.model_copy(update={"git_sha": "0" * 40, "git_dirty": None}))
    for change in (
        {"cpu_kind": "z80"},
        {"instruction_sets": ["avx2"]},
        {"cpu_kind": None},
        {"cpu_threads": 99},
        {"gpu": "one"},
        {"processes": 2},
        {"python": "2.7"},
    ):
        assert not same_arithmetic(one, one.model_copy(update=change)), change
    assert same_arithmetic(one, one.model_copy(update={"cpu": "another name of it"}))
    first = one.model_copy(update={"cpu_kind": None, "instruction_sets": []})
    assert same_arithmetic(first, first), "all early records are of one kind"
    assert not same_arithmetic(first, first.model_copy(update={"cpu": "another name"}))
    assert not same_arithmetic(first, one)
    assert why_not_exact(first, one) == "the record does not name the kind of its processor"
    assert why_not_exact(one, first) == "this machine does not tell the kind of its processor"
    on_gpu = one.model_copy(update={"gpu": "one"})
    assert not same_arithmetic(on_gpu, on_gpu), "GPUs add in no fixed order"


def test_records_to_run_again_are_drawn_by_a_seed_whatever_their_order(record: Record) -> None:
    records = [record.model_copy(update={"spec_hash": f"{number:064x}"}) for number in range(20)]
    failed = record.model_copy(update={"status": Status.FAILED})
    one = drawn([*records, failed], 5, 0)
    assert drawn([failed, *reversed(records)], 5, 0) == one
    assert drawn(records, 5, 1) != one
    assert len(drawn([*records, failed], 99, 0)) == 20


def test_what_cannot_be_run_again_is_refused(record: Record, tmp_path: Path) -> None:
    changed = record.spec.method.model_copy(update={"source_hash": "0" * 64})
    with pytest.raises(RequestError, match="its source changed; check out the commit"):
        again(record.model_copy(update={"spec": record.spec.model_copy(update={"method": changed})}), tmp_path)
    with pytest.raises(RequestError, match="this cell was skipped, so there is nothing to reproduce: no apples"):
        again(record.model_copy(update={"status": Status.SKIPPED, "reason": "no apples"}), tmp_path)
