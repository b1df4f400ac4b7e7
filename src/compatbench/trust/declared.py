"""What a record says of its method, against what the method's class and the suite say."""

from __future__ import annotations

from collections.abc import Iterator

from compatbench import PROTOCOL_VERSION
from compatbench.records.record import CellSpec, MethodInfo
from compatbench.trust.today import Today


def undeclared(spec: CellSpec, today: Today, *, published: bool) -> Iterator[str]:
    """Facts of the method of `spec` that are not those of its class and of its row in the suite, each in one line.

    None for a record of other code, which is outdated. Of a `published` record also a seed that the suite has not:
    seeds of one's own choice could be those that came out well.
    """
    suite = today.suite
    if published and suite is not None and spec.seed not in suite.seeds:
        yield f"its seed {spec.seed} is none of the suite's, {', '.join(map(str, suite.seeds))}; remove it"
    plugin = today.catalogue.plugins.get(spec.method.name)
    current = plugin is not None and plugin.source_hash == spec.method.source_hash
    if suite is None or not current or spec.protocol != PROTOCOL_VERSION or spec.scenario not in suite.scenarios:
        return
    rows = today.declared(spec)
    row = rows.get(spec.method.label)
    if row is None:
        yield f"the suite has no row '{spec.method.label}'; it has {', '.join(rows)}"
        return
    for name in MethodInfo.model_fields:
        said, right = getattr(spec.method, name), getattr(row, name)
        if said != right:
            yield f"its method's {name} is {_text(said)}, and {_text(right)} by its class and the suite"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, list) else repr(value)
