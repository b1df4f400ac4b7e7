"""The user's selection from a suite. Knows nothing of torch: a misspelt name is an error at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compatbench.discovery.plugins import Catalogue, known_methods
from compatbench.errors import RequestError
from compatbench.records.record import BASELINE, CellSpec
from compatbench.records.store import row_name
from compatbench.storage.validation import did_you_mean
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.suite import MethodEntry, Suite, TunedEntry, load_suite
from compatbench.vocabulary import plain_label

EVERY_METHOD = "all"
"""In a suite's list of methods: every method there is, with its published defaults."""


@dataclass(frozen=True)
class Selection:
    """The user's selection from a suite; empty means everything."""

    methods: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def includes(self, spec: CellSpec) -> bool:
        """Whether a cell that was run is one of those selected."""
        return (
            (not self.methods or bool({spec.method.name, spec.method.label} & set(self.methods)))
            and (not self.scenarios or spec.scenario in self.scenarios)
            and (not self.seeds or spec.seed in self.seeds)
        )


EVERYTHING = Selection()


def check_names(source: str, selection: Selection, method_folders: Sequence[Path]) -> None:
    """Raise RequestError for an unknown suite, method or scenario, before any method is executed."""
    _, suite = load_suite(source)
    known = known_methods(method_folders)
    for entry in suite.methods:
        try:
            if entry.name != EVERY_METHOD:
                known.check(entry.name)
        except RequestError as error:
            raise RequestError(f"suite {source}, methods: {error}") from error
    select_methods(suite, known, selection.methods)
    select_scenarios(suite, selection.scenarios)


def select_methods(suite: Suite, catalogue: Catalogue, wanted: Sequence[str]) -> list[MethodEntry]:
    """Entries of the suite by name, or label with or without `tuned`; `all` stands for all other methods.

    These have their defaults, and so has a method that is wanted and that the suite does not list. Raises RequestError
    for rows whose files would have one name.
    """
    listed = [entry for entry in suite.methods if entry.name != EVERY_METHOD]
    if len(listed) < len(suite.methods):
        named = {entry.name for entry in listed}
        listed += [MethodEntry(name=name) for name in catalogue.names if name not in named]
    listed = suite.rows(listed)
    files: dict[str, str] = {}
    for entry in listed:
        other = files.setdefault(row_name(entry.label).casefold(), entry.label)
        if other != entry.label:
            raise RequestError(
                f"the files of rows '{other}' and '{entry.label}' would have one name, '{row_name(entry.label)}': "
                "leave one of the two out, or write its parameters otherwise"
            )
    chosen: list[MethodEntry] = []
    for word in wanted or [entry.label for entry in listed]:
        matches = [entry for entry in listed if word in (entry.label, plain_label(entry.label), entry.name)]
        if not matches:
            catalogue.check(word)
            matches = [MethodEntry(name=word)]
        chosen += [entry for entry in matches if entry not in chosen]
    baseline = next((entry for entry in listed if entry.name == BASELINE), MethodEntry(name=BASELINE))
    return [baseline] + [entry for entry in chosen if entry.name != BASELINE]


def tuned_for_other_code(entry: MethodEntry, catalogue: Catalogue) -> bool:
    """Whether the row has tuned values, and the files of its method have changed since they were found."""
    if not isinstance(entry, TunedEntry) or entry.published or not entry.source_hash:
        return False
    return entry.source_hash != catalogue.get(entry.name).source_hash


def check_tuning(source: str, suite: Suite, catalogue: Catalogue, wanted: Sequence[str]) -> list[str]:
    """The rows that have tuned values and that the suite lacks.

    Raises RequestError where a row of `wanted` (all, if empty) was tuned for other code of its method.
    """
    for entry in select_methods(suite, catalogue, wanted):
        if tuned_for_other_code(entry, catalogue):
            row = plain_label(entry.label)
            raise RequestError(
                f"suite {source}: '{row}' was tuned for other code of method '{entry.name}'; "
                f"run compatbench tune {source} --methods {entry.name}"
            )
    rows = {plain_label(entry.label) for entry in select_methods(suite, catalogue, ())}
    return sorted(suite.tuned.keys() - rows)


def named_methods(suite: Suite, selection: Selection) -> set[str] | None:
    """The methods that the suite and the selection name; None if the suite has all that there are."""
    names = {BASELINE, *selection.methods, *(entry.name for entry in suite.methods)}
    return None if EVERY_METHOD in names else names


def select_scenarios(suite: Suite, wanted: Sequence[str]) -> dict[str, tuple[GenerationSpec, ...]]:
    """The chains of the selected scenarios of the suite, by name; all, if none is named."""
    for word in wanted:
        if word not in suite.scenarios:
            raise RequestError(f"the suite has no scenario '{word}'{did_you_mean(word, suite.scenarios)}")
    return {name: chain for name, chain in suite.scenarios.items() if not wanted or name in wanted}
