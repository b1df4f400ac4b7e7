"""Whether suite and method would give the same record today. Needs no data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compatbench import PROTOCOL_VERSION
from compatbench.errors import RequestError
from compatbench.plan.cells import cell_spec
from compatbench.plan.selection import tuned_for_other_code
from compatbench.records.record import CellSpec, Record
from compatbench.report.rows.runs import file_of
from compatbench.trust.today import Today

Reasons = dict[str, tuple[str, ...]]
"""Why records are outdated, by their files; without those that are up to date."""


def outdated(records: Iterable[Record], today: Today) -> Reasons:
    """Why records of one suite are outdated."""
    return {file_of(record): why for record in records if (why := tuple(stale(record.spec, today)))}


def why_outdated(record: Record, reasons: Reasons) -> tuple[str, ...]:
    """Why `record` is outdated; empty if it is not. Its file is a hash, so it is asked for only where any are."""
    return reasons.get(file_of(record), ()) if reasons else ()


def stale(spec: CellSpec, today: Today) -> Iterator[str]:
    """Changes since the cell of `spec` was run, each in one line."""
    suite, catalogue = today.suite, today.catalogue
    if spec.protocol != PROTOCOL_VERSION:
        yield f"made under protocol {spec.protocol}, this is {PROTOCOL_VERSION}"
    if suite is None:
        yield f"there is no suite '{spec.suite}' any more"
    elif spec.scenario not in suite.scenarios:
        yield f"the suite has no scenario '{spec.scenario}' any more"
    else:
        planned = cell_spec(spec.suite, suite, spec.scenario, spec.method, spec.seed, spec.dataset_fingerprint)
        for name in CellSpec.model_fields:
            if name != "protocol" and getattr(spec, name) != getattr(planned, name):
                yield f"the suite's {name} changed"
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
    listed = today.rows(plugin.name) if spec.method.setting else []
    row = next((row for row in listed if row.label == spec.method.label), None)
    if row is not None and plugin.resolve(row.values).model_dump(mode="json") != spec.method.params:
        yield f"the suite's tuned values of '{spec.method.label}' changed"
    if row is not None and tuned_for_other_code(row, catalogue):
        yield f"'{spec.method.label}' was tuned for other code of method '{plugin.name}'"
