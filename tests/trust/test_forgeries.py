"""Forgeries from real arrays: which kinds verification finds, and which are the submitter's word.

Every forged record has the right hashes, path and command, and all numbers that follow from its arrays. Each kind is
tried on records as runs have them, and as a leaderboard has them: forged before its queries were summed in groups, and
of what is copied 4% of the queries have another AP. The table in docs/trust.md lists the same kinds.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published import Published

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.curves import BackfillMeans, CurvePoints
from compatbench.execution.cell import RunContext, run_cell
from compatbench.execution.command import command
from compatbench.measurement.metrics import ArrayScorer
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.records.parts import Metric
from compatbench.records.record import Measurements, MethodInfo, Record, read_record, write_record
from compatbench.records.store import Store, spec_hash
from compatbench.storage.array_files import write_arrays
from compatbench.suite.suite import Suite, load_suite, parse_suite
from compatbench.trust.consistency import Consistency, without_baseline
from compatbench.trust.declared import undeclared
from compatbench.trust.problems import serious
from compatbench.trust.published import published, rescored
from compatbench.trust.record_files import check_record, contradictions
from compatbench.trust.rescoring import Rescorer
from compatbench.trust.today import Today
from compatbench.vocabulary import Need, Order, ParameterSetting, Role, Status

_NUMBERS = itertools.count()
OLD, CROSS, NEW, BEST = ("0", "0"), ("1", "0"), ("1", "1"), ("*1", "*1")
Row = tuple[str, int]


@dataclass
class Board:
    """A small board of real records, and a forger's means."""

    records: dict[Row, Record]
    """By label and seed."""
    elsewhere: Record
    """Of bct and seed 0 in another scenario."""
    arrays: Path
    folder: Store
    today: Today
    rescorer: Rescorer
    published: dict[Row, Record]
    """The records in the form of a leaderboard; empty where they are checked as runs have them."""
    forged: set[Row] = field(default_factory=set)

    def change(self, row: Row, /, **parts: Any) -> Record:
        """Put other parts in a record, with the numbers that its arrays then give."""
        record = rescored(self.records[row].model_copy(update=parts, deep=True), self.arrays)
        there = {one.coordinates for one in record.metrics}
        new = [one for one in ArrayScorer(self.arrays).metrics(record) if one.coordinates not in there]
        record = record.model_copy(update={"metrics": [*record.metrics, *new]})
        self.records[row] = record.model_copy(update={"metrics": [_fitted(one, record) for one in record.metrics]})
        self.forged.add(row)
        return self.records[row]

    def spec(self, row: Row, /, **parts: Any) -> None:
        """Change the spec of a record."""
        spec = self.records[row].spec
        method = spec.method.model_copy(update={k: v for k, v in parts.items() if k in MethodInfo.model_fields})
        others = {name: value for name, value in parts.items() if name not in MethodInfo.model_fields}
        self.change(row, spec=spec.model_copy(update={"method": method, **others}))

    def entry(self, row: Row, at: tuple[str, str], reference: str) -> None:
        """Replace the arrays of an entry, by both distances."""
        refs = [
            one.model_copy(update={"array": reference}) if one.at == at else one for one in self.records[row].arrays
        ]
        self.change(row, arrays=refs)

    def array(self, row: Row, at: tuple[str, str]) -> str:
        return next(one.array for one in self.records[row].arrays if one.at == at)

    def copy(self, reference: str) -> str:
        """The array; for a leaderboard 4% of its AP are moved by up to 0.05."""
        if not self.published:
            return reference
        random, results = np.random.default_rng(0), QueryResults.read(self.arrays, reference)
        ap = results.average_precision
        steps = 0.05 * random.choice((-1, 1), len(results)) * np.minimum(ap, 1 - ap)
        found = np.where(random.random(len(results)) < 0.04, ap + steps, ap).astype(np.float32)
        return self.write(replace(results, average_precision=found).columns)

    def measured(self, record: Record) -> dict[str, Any]:
        """What a record has measured, to be put in another."""
        parts = {part: getattr(record, part) for part in Measurements.model_fields}
        copies = {one.array: self.copy(one.array) for one in record.arrays if one.distance == "cosine"}
        return {**parts, "arrays": _with_arrays(record.arrays, copies)}

    def results(self, row: Row, at: tuple[str, str]) -> QueryResults:
        return QueryResults.read(self.arrays, self.array(row, at))

    def write(self, columns: Any) -> str:
        name = f"forged {next(_NUMBERS)}"
        return f"{write_arrays(self.arrays, {name: columns})}#{name}"

    def problems(self) -> list[str]:
        consistency = Consistency(self.rescorer.scorer.results)
        found = [told for _, told in without_baseline(self.records.values())]
        for row, forged in self.records.items():
            record = self._filed(forged, found) if row in self.forged else self.published.get(row, forged)
            found += undeclared(record.spec, self.today, published=True)
            found += [one.message for one in contradictions(record, consistency)]
        return found

    def _filed(self, forged: Record, found: list[str]) -> Record:
        record = forged.model_copy(update={"spec_hash": spec_hash(forged.spec), "command": command(forged.spec)})
        if self.published:
            record = published(record, self.arrays, self.rescorer.arrays)
        path = self.folder.record(record.spec)
        write_record(record, path)
        read, problems = check_record(path, self.folder, self.rescorer)
        found += [one.message for one in serious(problems)]
        assert read is not None, found
        return read


def _fitted(one: Metric, record: Record) -> Metric:
    """A number of unseen queries that gives that of all with that of seen ones, which stays."""
    whole, seen = (record.metric(one.name, *one.at, subset, one.distance) for subset in ("all", "seen"))
    values = [part.value if part else None for part in (whole, seen, one)]
    if one.subset != "unseen" or whole is None or seen is None or None in values or "chance" in one.name:
        return one
    assert whole.value is not None
    assert seen.value is not None
    fitted = (whole.value * whole.n - seen.value * seen.n) / one.n
    rounded = abs(fitted - (one.value or 0)) * one.n / whole.n < 5e-4  # as half a level of one query does
    return one if rounded else one.model_copy(update={"value": fitted})


def _with_arrays(entries: list[Any], arrays: dict[str, str]) -> list[Any]:
    return [one.model_copy(update={"array": arrays.get(one.array, one.array)}) for one in entries]


@pytest.fixture(scope="session")
def real(
    tmp_path_factory: pytest.TempPathFactory, ran: Published, digits: Dataset, catalogue: Catalogue
) -> tuple[dict[Row, Record], Record, Path, Suite]:
    """Records of three methods and two seeds, and one of another scenario with the same test images."""
    suite = load_suite(str(ran.data.parent / "benchmarks" / "historic.yaml"))[1]
    data = suite.model_dump(exclude_unset=True)
    chains = {**data["scenarios"], "extended_data": [{"share": 0.5}, {}]}
    suite = parse_suite(
        {**data, "methods": ["independent", "bct", "procrustes"], "scenarios": chains, "seeds": [0, 1, 2]}, "here"
    )
    store, records = Store(tmp_path_factory.mktemp("real") / "runs"), {}
    shutil.copytree(ran.runs.root, store.root)
    context = RunContext(store.root, ran.data)
    first = Selection(scenarios=("extended_class",), seeds=(0,))
    second = Selection(methods=("independent", "bct"), scenarios=("extended_class",), seeds=(1,))
    other = Selection(methods=("bct",), scenarios=("extended_data",), seeds=(0,))
    cells = [cell for chosen in (first, second) for cell in make_plan("historic", suite, digits, catalogue, chosen)]
    cells.append(make_plan("historic", suite, digits, catalogue, other)[1])
    for cell in cells:
        path = store.record(cell.spec)
        if not path.exists():
            record = run_cell(cell.spec, context, lambda *told: None, lambda line: None)
            assert record.status is Status.OK, record.error
            write_record(record, path)
        records[cell.spec.method.label, cell.spec.seed, cell.spec.scenario] = read_record(path)
    elsewhere = records.pop(("bct", 0, "extended_data"))
    return {(label, seed): record for (label, seed, _), record in records.items()}, elsewhere, store.arrays, suite


Real = tuple[dict[Row, Record], Record, Path, Suite]


Checked = dict[str, tuple[Rescorer, dict[Row, Record]]]


@pytest.fixture(scope="session")
def checked(real: Real, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """What checks the records as runs have them, and the records in the form of a leaderboard with what checks them."""
    records, _, arrays, _ = real
    folder = tmp_path_factory.mktemp("groups")
    in_groups = {row: published(record, arrays, folder) for row, record in records.items()}
    return {"as run": (Rescorer(arrays), {}), "in groups": (Rescorer(folder), in_groups)}


@pytest.fixture(params=["as run", "in groups"])
def board(request: pytest.FixtureRequest, real: Real, checked: Checked, catalogue: Catalogue, tmp_path: Path) -> Board:
    records, elsewhere, arrays, suite = real
    rescorer, in_groups = checked[request.param]
    (tmp_path / "arrays").symlink_to(rescorer.arrays)
    return Board(dict(records), elsewhere, arrays, Store(tmp_path), Today(suite, catalogue), rescorer, in_groups)


BCT, RIVAL, BASE = ("bct", 0), ("procrustes", 0), ("independent", 0)


def replaced(at: tuple[str, str], by: tuple[str, str], of: Row = BCT) -> Callable[[Board], None]:
    return lambda board: board.entry(BCT, at, board.copy(board.array(of, by)))


def file_again(board: Board, rows: Iterable[Row], seed: int, parents: Callable[[str], str]) -> None:
    for label, old in rows:
        record = board.records[label, old]
        named = {model: parents(name) for model, name in record.parents.items()}
        spec = record.spec.model_copy(update={"seed": seed})
        board.records[label, seed] = record
        board.change((label, seed), **{**board.measured(record), "spec": spec, "parents": named})


def posed(board: Board) -> None:
    """All that its own model did is what another seed's did; models, their training and the old system are its own."""
    record, other = board.records[BCT], board.records["bct", 1]
    results = board.measured(other)
    thresholds = {one.rate: one.threshold for one in record.verification if one.at == OLD}
    old = [one for one in record.verification if one.at in (OLD, BEST)]
    new = [one for one in other.verification if one.at not in (OLD, BEST)]
    moved = [one.model_copy(update={"threshold": thresholds[one.rate]}) if one.transferred else one for one in new]
    board.change(
        BCT,
        arrays=[one for one in record.arrays if one.at in (OLD, BEST)]
        + [one for one in results["arrays"] if one.at not in (OLD, BEST)],
        backfill=other.backfill,
        backfilled=other.backfilled,
        verification=[*old, *moved],
        worst_flips=[
            one.model_copy(update={"old_top": [], "old_right": [], "new_top": [], "new_right": []})
            for one in other.worst_flips
        ],
        examples=[
            one.model_copy(update={"old": mine.old}) for one, mine in zip(other.examples, record.examples, strict=True)
        ],
        metrics=[
            one
            for source, shared in ((record, True), (other, False))
            for one in source.metrics
            if (one.at in (OLD, BEST)) is shared
        ],
    )


def invented(name: str) -> str:
    return name[::-1]


def other_columns(at: tuple[str, str], change: Callable[[QueryResults], QueryResults]) -> Callable[[Board], None]:
    return lambda board: board.entry(BCT, at, board.write(change(board.results(BCT, at)).columns))


def fewer(board: Board) -> None:
    """The queries that the new model answers worst are dropped everywhere."""
    record = board.records[BCT]
    kept = np.sort(board.results(BCT, CROSS).ids[np.argsort(-board.results(BCT, CROSS).average_precision)[:50]])

    def cut(one: Any, columns: Any, **parts: Any) -> Any:
        rows = np.isin(columns["ids"], kept)
        array = board.write({name: column[rows] for name, column in columns.items()})
        return one.model_copy(update={"array": array, **parts})

    [whole] = record.backfilled
    means = BackfillMeans.read(board.arrays, whole.array)
    board.change(
        BCT,
        arrays=[cut(one, QueryResults.read(board.arrays, one.array).columns) for one in record.arrays],
        backfill=[cut(one, CurvePoints.read(board.arrays, one.array).columns, n=50) for one in record.backfill],
        backfilled=[cut(whole, {"ids": means.ids, **means.values})],
        examples=[one for one in record.examples if one.id in kept],
        worst_flips=[one for one in record.worst_flips if one.id in kept],
    )


def better(results: QueryResults) -> QueryResults:
    """Every first relevant item comes first, and average precisions rise as they must."""
    asked = results.answerable
    ap = np.where(asked, np.maximum(results.average_precision, 1 / np.maximum(results.relevant, 1)), np.nan)
    at_r = np.where(asked, np.maximum(results.ap_at_r, 1 / np.maximum(results.relevant, 1)), np.nan)
    return replace(
        results,
        first_rank=np.where(asked, 1, 0).astype(np.int32),
        average_precision=ap.astype(np.float32),
        ap_at_r=at_r.astype(np.float32),
    ).rounded()


def curve(board: Board, row: Row, order: Order, change: Callable[[Any], dict[str, Any]]) -> None:
    curves = [one.model_copy(update=change(one)) if one.order is order else one for one in board.records[row].backfill]
    board.change(row, backfill=curves)


def subsets(board: Board, row: Row, at: tuple[str, str], by: float) -> None:
    """Queries of seen classes did better, and the others so much worse that the mean of all stays."""
    record = board.records[row].model_copy(deep=True)
    seen, unseen = (record.metric("mAP", *at, subset=one) for one in ("seen", "unseen"))
    assert seen is not None
    assert unseen is not None
    assert seen.value is not None
    assert unseen.value is not None
    seen.value, unseen.value = seen.value + by, unseen.value - by * seen.n / unseen.n
    board.change(row, metrics=record.metrics)


def between(board: Board) -> None:
    """A curve that dips less between its ends, with all that is kept of its queries."""

    def lifted(one: Any) -> dict[str, Any]:
        points = CurvePoints.read(board.arrays, one.array)
        mean = [one.mean[0], *(value + 0.02 * 20 / 19 for value in one.mean[1:-1]), one.mean[-1]]
        moved = np.float32(min(mean) - min(one.mean))
        columns = {"area": points.area + np.float32(0.02), "minimum": points.minimum + moved}
        array = board.write({**points.columns, **columns})
        return {"mean": mean, "low": mean, "high": mean, "minimum_beta": one.beta[int(np.argmin(mean))], "array": array}

    curve(board, BCT, Order.CLASS_WISE, lifted)


def examples(board: Board) -> None:
    shown = [
        one.model_copy(update={"cross": one.cross.model_copy(update={"right": [True] * len(one.cross.ids)})})
        for one in board.records[BCT].examples
    ]
    board.change(BCT, examples=shown)


def convergence(board: Board, row: Row, model: str, **parts: Any) -> None:
    courses = board.records[row].convergence
    board.change(row, convergence={**courses, model: courses[model].model_copy(update=parts)})


def failed(board: Board, row: Row, status: Status) -> None:
    """Nothing of it is told but a reason."""
    empty = {part: type(getattr(board.records[row], part))() for part in Measurements.model_fields}
    kept = {"split_hash": board.records[row].split_hash, "query_classes": None}
    record = board.records[row].model_copy(update={**empty, **kept, "status": status, "reason": "it is too slow"})
    board.records[row] = record
    board.forged.add(row)


def verification(board: Board, changed: Callable[[Any], bool]) -> None:
    entries = [
        one.model_copy(update={"threshold": one.threshold - 0.05}) if changed(one) else one
        for one in board.records[BCT].verification
    ]
    assert entries != board.records[BCT].verification
    board.change(BCT, verification=entries)


def models(**parents: str) -> Callable[[Board], None]:
    return lambda board: board.change(BCT, parents={**board.records[BCT].parents, **parents}) and None


def says(row: Row = BCT, **parts: Any) -> Callable[[Board], None]:
    return lambda board: board.spec(row, **parts)


FOUND: dict[str, Callable[[Board], Any]] = {
    "M(*,*) is its own M(n,o)": replaced(BEST, CROSS),
    "M(*,*) is M(o,o)": replaced(BEST, OLD),
    "M(*,*) is that of another seed": replaced(BEST, BEST, ("bct", 1)),
    "M(*,*) is that of another scenario": lambda board: board.entry(
        BCT, BEST, board.copy(board.elsewhere.arrays[-1].array)
    ),
    "M(o,o) is that of another seed": replaced(OLD, OLD, ("bct", 1)),
    "M(o,o) is its own M(n,o)": replaced(OLD, CROSS),
    "M(n,o) is its own M(n,n)": replaced(CROSS, NEW),
    "M(n,o) is M(*,*)": replaced(CROSS, BEST),
    "M(n,o) is M(o,o)": replaced(CROSS, OLD),
    "M(n,o) is that of another seed": replaced(CROSS, CROSS, ("bct", 1)),
    "M(n,o) is that of another method": replaced(CROSS, CROSS, RIVAL),
    "M(n,o) has every first item right": other_columns(CROSS, better),
    "M(n,n) is that of another seed": replaced(NEW, NEW, ("bct", 1)),
    "M(n,n) is M(*,*), so there is no tax": replaced(NEW, BEST),
    "all results are those of another method": lambda board: board.change(BCT, **board.measured(board.records[RIVAL])),
    "all results are those of another scenario": lambda board: board.change(BCT, **board.measured(board.elsewhere)),
    "all results are those of another seed": lambda board: board.change(BCT, **board.measured(board.records["bct", 1])),
    "all results of its own model are those of another seed": posed,
    "a seed is filed again": lambda board: file_again(board, [BCT, BASE], 2, lambda name: name),
    "a seed is filed again, with invented models": lambda board: file_again(board, [BCT, BASE], 2, invented),
    "a seed that the suite has not": lambda board: board.spec(("bct", 1), seed=7),
    "a seed has no record of independent": lambda board: board.records.pop(("independent", 1)),
    "queries are dropped": fewer,
    "fewer items are relevant": lambda board: [
        board.entry(BCT, at, board.write({**one.columns, "relevant": np.maximum(one.relevant - 1, 1)}))
        for at in (OLD, CROSS, NEW, BEST)
        for one in [board.results(BCT, at)]
    ],
    "the role of a rival": says(RIVAL, role=Role.CONTROL),
    "its needs, and with them its league": says(needs=[]),
    "the needs of a rival": says(RIVAL, needs=[Need.BOTH_ENCODERS_ONLINE]),
    "the expectation of a reference": says(BASE, expects=[]),
    "its kind": says(kind="adapter"),
    "its label": says(label="bct(better)"),
    "its parameters under the same label": says(params={}),
    "its summary": says(summary="The best method."),
    "where its parameters come from": says(setting=ParameterSetting.TUNED),
    "what an adapter was fitted on": says(RIVAL, pairs="train"),
    "the fingerprint of its data": says(dataset_fingerprint="0" * 64),
    "its split": lambda board: board.change(BCT, split_hash="0" * 64),
    "its new model is the independent one": lambda board: models(**{"1": board.records[BCT].parents["*1"]})(board),
    "the independent model is another": models(**{"*1": "0" * 64}),
    "the old model is another": models(**{"0": "0" * 64}),
    "seen and unseen queries of a shared model": lambda board: subsets(board, BCT, OLD, 0.01),
    "no seen and unseen queries": lambda board: board.change(
        BCT, metrics=[one for one in board.records[BCT].metrics if one.subset == "all"]
    ),
    "the ends of a curve": lambda board: curve(
        board, BCT, Order.RANDOM, lambda one: {"mean": [one.mean[0] + 0.02, one.mean[1] - 0.01, *one.mean[2:]]}
    ),
    "a whole backfill in place of that of its curve": lambda board: board.change(
        BCT,
        backfilled=[
            one.model_copy(update={"array": board.records["bct", 1].backfilled[0].array})
            for one in board.records[BCT].backfilled
        ],
    ),
    "no backfill": lambda board: board.change(BCT, backfilled=[]),
    "no accepted pairs": lambda board: board.change(BCT, verification=[]),
    "no broken queries": lambda board: board.change(BCT, worst_flips=[]),
    "a transferred threshold": lambda board: verification(board, lambda one: one.transferred),
    "a threshold of the old system": lambda board: verification(board, lambda one: one.at == OLD or one.transferred),
    "the items that its examples find": examples,
    "that a model has converged": lambda board: convergence(
        board, BCT, "1", converged=not board.records[BCT].convergence["1"].converged
    ),
    "the training of a shared model": lambda board: convergence(board, BCT, "*1", accuracy=[0.95], converged=True),
    "the losses of more epochs": lambda board: board.change(BCT, losses={"0": {"x": [1.0] * 2}, "1": {"x": [1.0] * 2}}),
}

THE_SUBMITTERS_WORD: dict[str, Callable[[Board], Any]] = {
    "that a rival failed": lambda board: failed(board, RIVAL, Status.FAILED),
    "that a rival was skipped": lambda board: failed(board, RIVAL, Status.SKIPPED),
    "a few times of its search": lambda board: board.change(
        BCT, search=[one.model_copy(update={"p50_ms": 1e-3}) for one in board.records[BCT].search]
    ),
    "its losses": lambda board: board.change(
        BCT, losses={at: {"x": [0.1] * board.records[BCT].spec.recipe.epochs} for at in ("0", "1")}
    ),
    "its commit": lambda board: board.change(
        BCT, environment=board.records[BCT].environment.model_copy(update={"git_sha": "0" * 40})
    ),
    "what it cost": lambda board: board.change(BCT, costs={**board.records[BCT].costs, "train_seconds": 0.1}),
    "seen and unseen queries of its own model": lambda board: subsets(board, BCT, CROSS, 0.01),
    "a curve between its ends": between,
    "the course of its own training": lambda board: convergence(board, BCT, "1", accuracy=[0.95], converged=True),
}


def test_the_records_agree(board: Board) -> None:
    board.forged = set(board.records)
    assert board.problems() == []


@pytest.mark.parametrize("forge", FOUND.values(), ids=FOUND)
def test_a_forgery_is_found(board: Board, forge: Callable[[Board], Any]) -> None:
    forge(board)
    found = board.problems()
    assert found
    assert all(len(line.splitlines()) == 1 for line in found)


@pytest.mark.parametrize("forge", THE_SUBMITTERS_WORD.values(), ids=THE_SUBMITTERS_WORD)
def test_some_is_the_submitters_word(board: Board, forge: Callable[[Board], Any]) -> None:
    forge(board)
    assert board.problems() == []


def test_seeds_of_ones_own_choice_are_for_ones_own_runs(board: Board) -> None:
    spec = board.records[BCT].spec.model_copy(update={"seed": 7})
    told = [list(undeclared(spec, board.today, published=where)) for where in (True, False)]
    assert told == [["its seed 7 is none of the suite's, 0, 1, 2; remove it"], []]


def test_docs_list_every_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "trust.md").read_text(encoding="utf-8")
    for told, kinds in (("found", FOUND), ("no", THE_SUBMITTERS_WORD)):
        for kind in kinds:
            assert f"| {kind} | {told} |" in text, kind
