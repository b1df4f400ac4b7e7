"""Whether a record is what its suite and its method would give today. Needs no data."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from compatbench import PROTOCOL_VERSION
from compatbench.discovery.plugins import Catalogue
from compatbench.errors import RequestError
from compatbench.records.record import CellSpec
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.suite import Suite

SETTINGS = ("dataset", "dataset_options", "image_size", "train_limit", "query_limit", "index_search")
"""What a suite sets for all of its cells, beside the recipe and the scenarios."""


def stale(spec: CellSpec, suite: Suite | None, catalogue: Catalogue) -> Iterator[str]:
    """What changed since the cell of `spec` was run, each in one line; `suite` is None where it is no longer there."""
    if spec.protocol != PROTOCOL_VERSION:
        yield f"made under protocol {spec.protocol}, this is {PROTOCOL_VERSION}"
    if suite is None:
        yield f"there is no suite '{spec.suite}' any more"
    else:
        yield from _changed_settings(spec, suite)
    try:
        plugin = catalogue.get(spec.method.name)
        params = plugin.resolve(spec.method.params).model_dump(mode="json")
    except RequestError as error:
        yield str(error)
        return
    if plugin.source_hash != spec.method.source_hash:
        yield f"the source of method '{plugin.name}' changed"
    if params != spec.method.params:
        yield f"method '{plugin.name}' has other parameters now"


def _changed_settings(spec: CellSpec, suite: Suite) -> Iterator[str]:
    for name in SETTINGS:
        if getattr(spec, name) != getattr(suite, name):
            yield f"the suite has another {name}"
    if spec.recipe != suite.recipe.model_dump(mode="json"):
        yield "the suite has another recipe"
    if spec.scenario not in suite.scenarios:
        yield f"the suite has no scenario '{spec.scenario}' any more"
        return
    chain = [step.with_full_names() for step in suite.scenarios[spec.scenario]]
    try:
        recorded = [GenerationSpec.model_validate(step) for step in spec.generations]
    except ValidationError:
        recorded = []
    tested = "unseen" if spec.scenario in suite.test_on_unseen_classes else "all"
    if recorded != chain or spec.test_classes != tested:
        yield f"scenario '{spec.scenario}' has other generations, or is tested otherwise"
