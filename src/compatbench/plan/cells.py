"""Plans: the cells of a suite under the user's selection, and those still to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from pydantic import BaseModel

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue, Plugin
from compatbench.encoders import check_encoder
from compatbench.errors import RequestError
from compatbench.generations.chain import embedding_dim, task_of
from compatbench.method import Adapter, Task, ranges
from compatbench.plan.selection import Selection, select_methods, select_scenarios
from compatbench.records.record import BASELINE, CellSpec, MethodInfo, Record, read_record
from compatbench.records.store import Store
from compatbench.storage.array_files import array_path
from compatbench.storage.files import content_hash
from compatbench.storage.validation import validated
from compatbench.suite.scenarios import GenerationSpec, TestClasses, documents_from
from compatbench.suite.splits import as_tested
from compatbench.suite.suite import MethodEntry, Suite
from compatbench.vocabulary import MethodKind, Need, ParameterSetting, Status, TrainPart


@dataclass(frozen=True)
class Cell:
    """One cell of a plan."""

    spec: CellSpec
    skip: str | None
    """Why the method cannot run here."""
    replaces: str = field(default="", compare=False)
    """Sha256 of the record that it left before and that does not count any more; empty where there is none."""

    @property
    def family(self) -> tuple[str, int]:
        """Equal for cells with the same baseline."""
        return self.spec.scenario, self.spec.seed

    @property
    def title(self) -> str:
        """The cell's name for messages."""
        return f"{self.spec.scenario} · {self.spec.method.label} · seed {self.spec.seed}"

    @property
    def is_baseline(self) -> bool:
        """Whether this cell trains the old and independent models for the cells beside it."""
        return self.spec.method.name == BASELINE


def make_plan(
    name: str, suite: Suite, dataset: Dataset, catalogue: Catalogue, selection: Selection, *, held_out: bool = False
) -> list[Cell]:
    """All cells of `suite` under `selection`, baselines first within each scenario and seed.

    With `held_out` they are trials of parameters, tested on held-out images.

    The baseline row is always there: every table needs it, and its models are everybody's references. Raises
    RequestError for an unknown method, scenario or backbone, and for parameters out of bounds.
    """
    entries = select_methods(suite, catalogue, selection.methods)
    scenarios = select_scenarios(suite, selection.scenarios)
    seeds = tuple(dict.fromkeys(selection.seeds)) or suite.seeds
    cells = []
    for scenario, steps in scenarios.items():
        chain = tuple(_resolve(scenario, step, dataset) for step in steps)
        tasks = [task_of(chain, position, dataset.train_classes) for position in range(len(chain))]
        tested_on: TestClasses = "held_out" if held_out else suite.test_classes(scenario)
        fingerprint = _tested(scenario, dataset, chain, suite, tested_on).fingerprint
        rows = []
        for entry in entries:
            plugin = catalogue.get(entry.name)
            params = plugin.resolve(entry.values)
            method = _method_info(entry, plugin, params, tasks[-1], ParameterSetting.TUNED in suite.settings)
            spec = cell_spec(name, suite, scenario, method, seeds[0], fingerprint)
            spec = spec.model_copy(update={"test_classes": tested_on})
            rows.append((spec, _skip_reason(plugin, params, tasks, chain)))
        cells += [Cell(spec.model_copy(update={"seed": seed}), skip) for seed in seeds for spec, skip in rows]
    return cells


def cell_spec(
    name: str, suite: Suite, scenario: str, method: MethodInfo, seed: int, dataset_fingerprint: str
) -> CellSpec:
    """The cell for `method` in `scenario` of `suite`. Raises RequestError for an unknown backbone."""
    return CellSpec(
        suite=name,
        dataset=suite.dataset,
        dataset_options=suite.dataset_options,
        dataset_fingerprint=dataset_fingerprint,
        image_size=suite.image_size,
        train_limit=suite.train_limit,
        query_limit=suite.query_limit,
        index_search=suite.index_search,
        scenario=scenario,
        generations=tuple(step.with_full_names() for step in suite.scenarios[scenario]),
        test_classes=suite.test_classes(scenario),
        recipe=suite.recipe,
        method=method,
        seed=seed,
    )


CLASSES = 100
"""A method's needs may depend on whether there are new classes, never on how many."""


def declared_methods(
    suite: Suite, rows: Iterable[MethodEntry], spec: CellSpec, catalogue: Catalogue
) -> list[MethodInfo]:
    """What rows in `suite` of the method of `spec` declare of themselves for its scenario. Needs no data."""
    plugin, chain = catalogue.get(spec.method.name), spec.generations
    named = [bound for one in chain for bound in (one.classes if isinstance(one.classes, tuple) else [one.classes])]
    classes = max([CLASSES, *(2 * bound for bound in named if isinstance(bound, int))])
    task = task_of(chain, len(chain) - 1, range(classes))
    return [
        _method_info(entry, plugin, plugin.resolve(entry.values), task, ParameterSetting.TUNED in suite.settings)
        for entry in rows
    ]


def outcome(cell: Cell, store: Store, notify: Callable[[str], None] = lambda line: None) -> Record | None:
    """The record of `cell` from an earlier run, if it is there and readable; else `notify` is told why it is not."""
    path = store.record(cell.spec)
    if not path.exists():
        return None
    try:
        return read_record(path)
    except RequestError as error:
        notify(str(error))
        return None


def remaining(
    cells: Sequence[Cell], store: Store, retry: bool, notify: Callable[[str], None] = lambda line: None
) -> list[Cell]:
    """The cells without a valid record; with `retry`, also those that ended neither ok nor skipped.

    A damaged record does not count, nor does one whose per-query arrays are gone or damaged; `notify` is told.
    """
    left = []
    for cell in cells:
        path = store.record(cell.spec)
        replaces = content_hash(path)
        record = outcome(cell, store)
        damage = _damage(record, store)
        if replaces and damage:
            notify(f"{path.name}: {damage}; its cell runs again")
        if damage or record is None or (retry and record.status not in (Status.OK, Status.SKIPPED)):
            left.append(replace(cell, replaces=replaces))
    return left


def _damage(record: Record | None, store: Store) -> str:
    if record is None:
        return "damaged, or of a version that cannot be read"
    lost = [sha256 for sha256 in record.array_files if content_hash(array_path(store.arrays, sha256)) != sha256]
    return f"{len(lost)} of its files of per-query arrays are damaged or gone" if lost else ""


def _resolve(scenario: str, step: GenerationSpec, dataset: Dataset) -> GenerationSpec:
    """The generation with its backbone's full name, once it is known that it can be built."""
    try:
        step.class_ids(dataset.train_classes)
        resolved = step.with_full_names()
        shape = dataset.train.item_shape
        for encoder in (resolved.encoder(*shape), resolved.documents(*shape)):
            if encoder is not None:
                check_encoder(encoder)
    except RequestError as error:
        raise RequestError(f"scenario '{scenario}': {error}") from error
    return resolved


def _tested(
    scenario: str, dataset: Dataset, chain: Sequence[GenerationSpec], suite: Suite, tested_on: TestClasses
) -> Dataset:
    try:
        return as_tested(dataset, chain, tested_on, suite.query_limit, suite.train_limit)
    except RequestError as error:
        raise RequestError(f"scenario '{scenario}': {error}") from error


def _method_info(entry: MethodEntry, plugin: Plugin, params: BaseModel, task: Task, suite_tunes: bool) -> MethodInfo:
    if entry.pairs and plugin.kind is not MethodKind.ADAPTER:
        raise RequestError(f"method '{entry.name}' is fitted on no pairs; remove its pairs: {entry.pairs}")
    method = plugin.cls(params, task)
    said = {
        "name": plugin.name,
        "label": entry.label,
        "params": params.model_dump(mode="json"),
        "role": method.role,
        "needs": sorted(method.needs),
        "expects": sorted(method.expects),
        "kind": plugin.kind,
        "setting": entry.setting or (ParameterSetting.UNTUNED if suite_tunes and ranges(params) else None),
        "pairs": (entry.pairs or TrainPart.HELD_OUT) if plugin.kind is MethodKind.ADAPTER else None,
        "source_hash": plugin.source_hash,
        "summary": plugin.summary,
    }
    return validated(MethodInfo, said, f"method '{entry.name}' ({plugin.path}): ")


def _meets_elsewhere(adapter: Adapter, task: Task) -> bool:
    """Whether it maps both sides, so that what it stores is in neither model's space."""
    with torch.device("meta"):  # only the kinds of maps matter
        maps = adapter.build(task.dim, task.old_dim or task.dim)
    return maps.query is not None and maps.gallery is not None


def _skip_reason(
    plugin: Plugin, params: BaseModel, tasks: Sequence[Task], chain: Sequence[GenerationSpec]
) -> str | None:
    """The first generation's reason that makes the method's chain impossible."""
    dims: list[int] = []
    for position, scenario_task in enumerate(tasks):
        task = replace(scenario_task, old_dim=dims[documents_from(chain, position - 1)] if position else None)
        method = plugin.cls(params, task)
        trains_it = task.generation > 0 or Need.OWN_FIRST_GENERATION in method.needs
        reason: str | None = method.skip(task) if trains_it else None
        if chain[position].two_encoders and plugin.kind == "training" and trains_it and not method.trains_classifier:
            reason = reason or "it trains without a classifier, which ties queries and documents of two encoders"
        if chain[position].head.none and plugin.kind == "training" and plugin.name != BASELINE:
            reason = reason or "it trains an encoder, and these embeddings are those of a published one"
        if position > 1 and isinstance(method, Adapter) and _meets_elsewhere(method, task):
            reason = reason or "its queries and stored vectors meet in a space of their own, and no map leads on"
        if reason:
            return reason
        dims.append(embedding_dim(method) if plugin.kind == "training" and trains_it else task.dim)
    return None
