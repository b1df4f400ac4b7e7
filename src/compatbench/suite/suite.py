"""Suites: one validated YAML file each (benchmarks/*.yaml)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from compatbench.errors import RequestError
from compatbench.storage.builtin import builtin_folder
from compatbench.storage.files import FOLDER_NAME
from compatbench.storage.strict_yaml import read_mapping
from compatbench.storage.validation import NoTruthValues, did_you_mean, validated
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec, TestClasses
from compatbench.suite.tuned import read_tuned, tuned_file
from compatbench.vocabulary import IndexKind, ParameterSetting, TrainPart, row_label

ScenarioName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
"""Names a folder of records and is selected by `--scenarios a,b`: no commas, no slashes."""


class MethodEntry(BaseModel):
    """One row of a suite: a method and its parameters other than the published defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    pairs: TrainPart | None = None
    """What an adapter is fitted on: held-out images unless it says `train`."""

    @property
    def values(self) -> dict[str, JsonValue]:
        """The parameters that are not at their published values."""
        return self.params

    @property
    def setting(self) -> ParameterSetting | None:
        """Where its parameters come from, if the suite has tuned values for it."""
        return None

    @property
    def label(self) -> str:
        """The row's name: `bct`, or `bct(variant=old_classes)` with changed parameters."""
        changed = [f"{key}={value}" for key, value in sorted(self.params.items())]
        changed += ["pairs=train"] if self.pairs is TrainPart.TRAIN else []
        return row_label(f"{self.name}({', '.join(changed)})" if changed else self.name, self.setting)


class TunedEntry(MethodEntry):
    """A row of a suite that has tuned values for it: `bct(tuned)`, or `bct(published)` under it."""

    found: dict[str, JsonValue]
    """The tuned values; none where the published ones were the best."""
    published: bool
    """Without them."""
    source_hash: str
    """Of the method's files when it was tuned; empty for values that the suite's own file has."""

    @property
    def values(self) -> dict[str, JsonValue]:
        """The parameters that are not at their published values."""
        return self.params if self.published else self.params | self.found

    @property
    def setting(self) -> ParameterSetting:
        """Where its parameters come from."""
        if not self.found:
            return ParameterSetting.BOTH
        return ParameterSetting.PUBLISHED if self.published else ParameterSetting.TUNED


class Suite(NoTruthValues):
    """A suite, with every default filled in."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    title: str
    dataset: str
    dataset_options: dict[str, JsonValue] = Field(default_factory=dict)
    image_size: int = Field(0, ge=0)
    """Pixels a side; 0 where the dataset has texts or vectors."""
    train_limit: int | None = Field(None, ge=2)
    """Use about this many training images, stratified, a fifth of them held out; all where absent."""
    query_limit: int | None = Field(None, ge=2)
    """Ask about this many of the queries, stratified; all where absent. The gallery stays whole."""
    index_search: tuple[IndexKind, ...] = tuple(IndexKind)
    """Kinds of Faiss index to measure in every cell; they take seconds each, as long as training in light suites."""
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    timeout_minutes: float = Field(30, gt=0, le=525_600)
    """A cell that makes no progress for so long is stopped and recorded as `timeout`."""
    gpu_hours: float | None = Field(None, gt=0)
    """For suites that are meant for a GPU: the budget that the plan is compared with."""
    recipe: Recipe
    defaults: dict[str, Any] = Field(default_factory=dict)
    """What every generation of every scenario takes unless it says otherwise."""
    scenarios: dict[ScenarioName, tuple[GenerationSpec, ...]] = Field(min_length=1)
    test_on_unseen_classes: tuple[ScenarioName, ...] = ()
    """Scenarios that are tested only on classes that none of their generations was trained on."""
    methods: tuple[MethodEntry, ...] = Field(min_length=1)
    settings: tuple[Literal["tuned", "published"], ...] = Field(("published",), min_length=1)
    """Rows of each method: with the values that `compatbench tune` found, with the published ones, or both."""
    tuned: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    """Tuned values by a row's name; those of `tuned/<suite>.yaml` beside the suite's file unless it has its own."""
    tuned_with: dict[str, str] = Field(default_factory=dict)
    """Hash of the method's files when these values were found, by a row's name."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_fill_generations(cls, data: dict[str, Any]) -> dict[str, Any]:
        defaults, scenarios = data.get("defaults"), data.get("scenarios")
        if not isinstance(defaults, dict) or not isinstance(scenarios, dict):
            return data
        known = {key: value for key, value in defaults.items() if key in GenerationSpec.model_fields}
        filled = {
            name: [{**known, **step} if isinstance(step, dict) else step for step in chain]
            if isinstance(chain, list)
            else chain
            for name, chain in scenarios.items()
        }
        return {**data, "scenarios": filled}

    @field_validator("image_size")
    @classmethod
    def _images_have_pixels(cls, value: int) -> int:
        if 0 < value < 4:
            raise ValueError("must be at least 4, or 0 for texts and vectors")
        return value

    @field_validator("defaults")
    @classmethod
    def _defaults_are_of_generations(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key in value:
            if key not in GenerationSpec.model_fields:
                raise ValueError(f"unknown key '{key}'{did_you_mean(key, GenerationSpec.model_fields)}")
        return value

    @field_validator("methods", mode="before")
    @classmethod
    def _names_are_entries(cls, value: object) -> object:
        """Lets a YAML list say `- bct` for `- {name: bct}`."""
        if isinstance(value, list):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not all(-(2**63) <= seed < 2**63 for seed in value):
            raise ValueError("a seed has at most 63 bits")
        if len(set(value)) < len(value):
            raise ValueError(f"a seed is listed twice in {list(value)}; remove one of the two")
        return value

    @field_validator("methods")
    @classmethod
    def _labels_differ(cls, value: tuple[MethodEntry, ...]) -> tuple[MethodEntry, ...]:
        labels = [entry.label for entry in value]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"'{label}' is listed twice; remove one of the two")
        return value

    def rows(self, entries: Sequence[MethodEntry]) -> list[MethodEntry]:
        """The row or the rows of each of `entries` under the suite's settings."""
        found: list[MethodEntry] = []
        for entry in entries:
            values = self.tuned.get(entry.label)
            if values is None or "tuned" not in self.settings:
                found.append(entry)
            else:
                wanted = [name == "published" for name in self.settings] if values else [False]
                fixed = {**entry.model_dump(), "found": values, "source_hash": self.tuned_with.get(entry.label, "")}
                found += [TunedEntry(**fixed, published=one) for one in wanted]
        return found

    @field_validator("scenarios")
    @classmethod
    def _chains_have_two(cls, value: dict[str, tuple[GenerationSpec, ...]]) -> dict[str, tuple[GenerationSpec, ...]]:
        for name, chain in value.items():
            if len(chain) < 2:
                raise ValueError(f"scenario '{name}' needs at least two generations, old and new")
            if chain[0].keeps_documents:
                raise ValueError(f"scenario '{name}': no generation is before the first, whose documents it could keep")
            if len({generation.frozen for generation in chain}) > 1:
                raise ValueError(
                    f"scenario '{name}': old and new models see the same views of an image only if all of them are "
                    "frozen or none is; give every generation the same frozen"
                )
        return value

    @field_validator("test_on_unseen_classes")
    @classmethod
    def _tested_scenarios_exist(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in value:
            if name not in info.data.get("scenarios", value):
                raise ValueError(f"no scenario '{name}'{did_you_mean(name, info.data['scenarios'])}")
        return value

    def test_classes(self, scenario: str) -> TestClasses:
        """The test classes of `scenario`."""
        return "unseen" if scenario in self.test_on_unseen_classes else "all"


def available_suites() -> dict[str, Path]:
    """Built-in suites by name."""
    return {path.stem: path for path in sorted(builtin_folder("benchmarks").glob("*.yaml"))}


def load_suite(reference: str) -> tuple[str, Suite]:
    """Name and content of a built-in suite, or of the YAML file at the path `reference`.

    Raises RequestError, in one line with file, key and remedy.
    """
    path = suite_file(reference)
    if not re.fullmatch(FOLDER_NAME, path.stem):
        raise RequestError(f"{path}: the suite's name becomes a folder; rename the file, e.g. my_suite.yaml")
    suite = parse_suite(read_mapping(path), str(path))
    if "tuned" in suite.settings and not suite.tuned:
        tuned = read_tuned(tuned_file(path))
        suite = suite.model_copy(update={"tuned": tuned.values, "tuned_with": tuned.sources})
    return path.stem, suite


def suite_file(reference: str) -> Path:
    """The file of a built-in suite, or the path `reference`. Raises RequestError for an unknown name."""
    known = available_suites()
    path = Path(reference) if reference.endswith((".yaml", ".yml")) else known.get(reference)
    if path is None:
        raise RequestError(f"no suite '{reference}'{did_you_mean(reference, known)}; or give a path to a .yaml file")
    return path


def parse_suite(data: dict[str, Any], source: str) -> Suite:
    """A suite from parsed YAML. Raises RequestError, in one line with `source`, key and remedy."""
    return validated(Suite, data, f"{source}: ")
