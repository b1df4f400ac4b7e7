"""The form of a record in its file: nothing twice, and numbers with the digits they deserve.

`compact` and `expand` are pure functions between the fields of a `Record` as JSON and this form; the models below
describe the parts that differ, for the JSON Schema.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from compatbench.records.array_names import BACKFILLED, curve_array, entry_array, is_shared, threshold_array
from compatbench.records.forms import (
    SEARCH_NUMBERS,
    CurveGroup,
    ExampleForm,
    FlipGroup,
    MetricGroup,
    SearchGroup,
    ThresholdGroup,
)

Data = dict[str, Any]

VALUE_DECIMALS, BOUND_DECIMALS, CURVE_DECIMALS = 7, 4, 4
"""Of a metric's value, of the ends of its interval, and of a curve."""
DIGITS, EPOCH_DIGITS = 5, 3
"""Significant ones of times and costs, and of what is noted every epoch."""

ARRAY_PARTS = "arrays", "backfill", "backfilled", "verification", "protocols", "pairs"
"""The parts of a record with arrays behind them."""


def compact(data: Data) -> Data:
    """The form for a file."""
    data = {**data}
    named = {sha256: part for part, sha256 in _files(data).items()}
    if named:
        data = _rename(data, lambda sha256: named.get(sha256, sha256))
        data["files"] = {part: sha256 for sha256, part in named.items()}
    for part in _USUAL:
        data[part] = [{k: v for k, v in one.items() if k != "array" or v != _usual(part, one)} for one in data[part]]
    data["metrics"] = _grouped_metrics(data["metrics"])
    data["verification"] = _grouped_thresholds(data["verification"])
    data["worst_flips"] = _grouped_flips(data["worst_flips"])
    data["backfill"] = _grouped_curves(data["backfill"])
    data["backfilled"] = [{_SHORT.get(name, name): value for name, value in one.items()} for one in data["backfilled"]]
    data["arrays"] = [
        [one[key] for key in _ARRAY if key in one and ("array" in one or (key, one[key]) not in _DEFAULTS)]
        for one in data["arrays"]
    ]
    data["examples"] = [
        {
            "query": one["query_generation"],
            "gallery": one["gallery_generation"],
            "id": one["id"],
            **{side: [one[side]["ids"], _flags(one[side]["right"])] for side in _SIDES},
        }
        for one in data["examples"]
    ]
    data["search"] = _grouped_searches(data["search"])
    for part in ("losses", "convergence"):
        data[part] = _rounded(data[part], EPOCH_DIGITS)
    for part in ("costs", "step_costs", "timings", "seconds"):
        data[part] = _rounded(data[part])
    return data


def expand(data: Data) -> Data:
    """The fields of a record from what is in a file. Raises KeyError, TypeError, ValueError for anything else."""
    data = {**data}
    data["metrics"] = [
        {
            "name": name,
            "query_generation": one.query,
            "gallery_generation": one.gallery,
            **_interval(*numbers),
            "n": one.n,
            "subset": one.subset,
            "distance": one.distance,
        }
        for group in map(MetricGroup.model_validate, data.get("metrics", []))
        for one in _parts(group)
        for name, numbers in one.numbers.items()
    ]
    thresholds = [ThresholdGroup.model_validate(one) for one in data.get("verification", [])]
    data["verification"] = [
        {
            "query_generation": one.query,
            "gallery_generation": one.gallery,
            "transferred": one.transferred,
            "queries": one.queries,
            "rate": float(rate),
            **dict(zip(("threshold", "array"), found if isinstance(found, tuple) else (found,), strict=False)),
        }
        for one in thresholds
        for rate, found in (one.thresholds or thresholds[0].thresholds).items()
    ]
    data["worst_flips"] = [
        {
            "query_generation": one.query,
            "gallery_generation": one.gallery,
            "id": sample,
            "old_top": old,
            "old_right": _right(old_right),
            "new_top": new,
            "new_right": _right(new_right),
        }
        for one in map(FlipGroup.model_validate, data.get("worst_flips", []))
        for sample, old, old_right, new, new_right in one.flips
    ]
    data["arrays"] = [
        {"distance": "cosine", **dict(zip(_ARRAY[: len(one)], one, strict=True))} for one in data.get("arrays", [])
    ]
    data["examples"] = [
        {
            "query_generation": one.query,
            "gallery_generation": one.gallery,
            "id": one.id,
            **{side: {"ids": ids, "right": _right(flags)} for side, (ids, flags) in zip(_SIDES, found, strict=True)},
        }
        for one in map(ExampleForm.model_validate, data.get("examples", []))
        for found in [(one.old, one.cross, one.new)]
    ]
    data["search"] = [
        {
            "index": one.index,
            "k": one.k,
            "queries": one.queries,
            "repeats": one.repeats,
            **dict(zip((*_PLACES, *SEARCH_NUMBERS), system, strict=True)),
        }
        for one in map(SearchGroup.model_validate, data.get("search", []))
        for system in one.systems
    ]
    data["backfill"] = [curve for one in data.get("backfill", []) for curve in _whole_curves(one)]
    data["backfilled"] = [
        {_LONG.get(name, name): one for name, one in found.items()} for found in data.get("backfilled", [])
    ]
    for part in _USUAL:
        data[part] = [{"array": _usual(part, one), **one} for one in data[part]]
    files = data.pop("files", {})
    return _rename(data, lambda part: files.get(part, part))


def compact_schema(schema: Data) -> Data:
    """The JSON Schema of the form in a file, from that of a record."""
    forms: dict[str, type[BaseModel]] = {
        "metrics": MetricGroup,
        "verification": ThresholdGroup,
        "worst_flips": FlipGroup,
        "backfill": CurveGroup,
        "search": SearchGroup,
        "examples": ExampleForm,
    }
    properties, definitions = {**schema["properties"]}, {**schema["$defs"]}
    for part, form in forms.items():
        own = form.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= own.pop("$defs", {})
        properties[part] = {"type": "array", "items": own}
    row = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": len(_ARRAY)}
    properties["arrays"] = {"type": "array", "items": row, "description": f"{', '.join(_ARRAY)}."}
    properties["files"] = {
        "type": "object",
        "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "description": "Sha256 of the parquet files of arrays: `own`, and `shared` with other methods' cells.",
    }
    return {**schema, "properties": properties, "$defs": definitions}


def _files(data: Data) -> dict[str, str]:
    """The two files of arrays by name: the first one is the cell's own if an entry of the newest queries is there."""
    parts: dict[str, str] = {}
    for one in (one for part in ARRAY_PARTS for one in data[part]):
        sha256, mark, _ = one["array"].partition("#")
        at = one["query_generation"], one["gallery_generation"]
        if mark and len(sha256) == 64:
            parts["shared" if is_shared(*at) else "own"] = sha256
    return parts


def _usual(part: str, one: Data) -> str:
    """The reference to an array in the file and with the name of those of cells."""
    return f"{'shared' if is_shared(*_at(one)) else 'own'}#{_USUAL[part](one)}"


def _at(one: Data) -> tuple[str, str]:
    return one["query_generation"], one["gallery_generation"]


def _rename(data: Data, rename: Callable[[str], str]) -> Data:
    """With another first part of each reference to an array."""

    def renamed(one: Data) -> Data:
        file, mark, name = one["array"].partition("#")
        return {**one, "array": rename(file) + mark + name}

    return {**data, **{part: [renamed(one) for one in data.get(part, [])] for part in ARRAY_PARTS}}


def _grouped_metrics(metrics: Iterable[Data]) -> list[Data]:
    groups: dict[tuple[Any, ...], Data] = {}
    for one in metrics:
        key = (one["query_generation"], one["gallery_generation"], one["n"], one["subset"], one["distance"])
        new = dict(zip(("query", "gallery", "n", "subset", "distance"), key, strict=True))
        new = {name: value for name, value in new.items() if (name, value) not in _DEFAULTS}
        group = groups.setdefault(key, {**new, "numbers": {}})
        group["numbers"][one["name"]] = _short_interval(one["value"], one["ci_low"], one["ci_high"])
    return _folded(groups.values())


def _folded(groups: Iterable[Data]) -> list[Data]:
    """With numbers of seen and unseen queries, and by L2 distance, in the group of all queries by cosine."""
    found: list[Data] = []
    for group in groups:
        part = group.get("subset", group.get("distance"))
        hosts = (one for one in found if all(one[key] == group[key] for key in ("query", "gallery")))
        host = next((one for one in hosts if not one.keys() & {"subset", "distance", part}), None)
        bare = (
            all(len(numbers) == 1 for numbers in group["numbers"].values())
            and not {"subset", "distance"} <= group.keys()
        )
        if part is None or host is None or not bare or (part == "l2" and host["n"] != group["n"]):
            found.append(group)
            continue
        values = {name: value for name, (value,) in group["numbers"].items()}
        host[part] = values if part == "l2" else [group["n"], values]
    return found


def _parts(group: MetricGroup) -> Iterator[MetricGroup]:
    """The groups of each subset and distance."""
    yield group
    parts = [("subset", name, *part) for name, part in (("seen", group.seen), ("unseen", group.unseen)) if part]
    parts += [("distance", "l2", group.n, group.l2)] if group.l2 else []
    for key, name, n, values in parts:
        numbers = {number: [value] for number, value in values.items()}
        yield group.model_copy(update={key: name, "n": n, "numbers": numbers})


_ARRAY = "query_generation", "gallery_generation", "distance", "array"
_USUAL: dict[str, Callable[[Data], str]] = {
    "arrays": lambda one: entry_array(*_at(one), one["distance"]),
    "backfill": lambda one: curve_array(one["order"]),
    "backfilled": lambda one: BACKFILLED,
    "verification": lambda one: threshold_array(*_at(one), one["rate"], transferred=one["transferred"]),
}
"""By part of a record with arrays, how a cell names them."""
_PLACES = "query_generation", "gallery_generation", "trained_generation"
_SHORT = {"query_generation": "query", "gallery_generation": "gallery"}
_LONG = {short: name for name, short in _SHORT.items()}
_SIDES = "old", "cross", "new"
_DEFAULTS = {("subset", "all"), ("distance", "cosine")}
_OF_ALL_ORDERS = "query_generation", "gallery_generation", "metric", "n", "status_quo", "beta"


def _grouped_thresholds(entries: Iterable[Data]) -> list[Data]:
    groups: dict[tuple[Any, ...], Data] = {}
    for one in entries:
        key = one["query_generation"], one["gallery_generation"], one["transferred"], one["queries"]
        new = dict(zip(("query", "gallery", "transferred", "queries"), key, strict=True))
        group = groups.setdefault(key, {**new, "thresholds": {}})
        threshold = _decimals(one["threshold"], VALUE_DECIMALS)
        group["thresholds"][f"{one['rate']:g}"] = [threshold, one["array"]] if "array" in one else threshold
    found = [{key: one for key, one in group.items() if one is not False} for group in groups.values()]
    for group in found[1:]:
        if group.get("transferred") and group["thresholds"] == found[0]["thresholds"]:
            del group["thresholds"]
    return found


def _grouped_flips(flips: Iterable[Data]) -> list[Data]:
    groups: dict[tuple[str, str], Data] = {}
    for one in flips:
        key = one["query_generation"], one["gallery_generation"]
        group = groups.setdefault(key, {"query": key[0], "gallery": key[1], "flips": []})
        sides = [part for side in ("old", "new") for part in (one[f"{side}_top"], _flags(one[f"{side}_right"]))]
        group["flips"].append([one["id"], *sides])
    return list(groups.values())


def _grouped_searches(entries: Iterable[Data]) -> list[Data]:
    groups: dict[tuple[Any, ...], Data] = {}
    for one in entries:
        key = one["index"], one["k"], one["queries"], one["repeats"]
        new = dict(zip(("index", "k", "queries", "repeats"), key, strict=True))
        group = groups.setdefault(key, {**new, "systems": []})
        group["systems"].append([*(one[place] for place in _PLACES), *(_rounded(one[name]) for name in SEARCH_NUMBERS)])
    return list(groups.values())


def _flags(right: Iterable[bool]) -> str:
    return "".join(str(int(flag)) for flag in right)


def _right(flags: str) -> list[bool]:
    return [flag == "1" for flag in flags]


def _grouped_curves(curves: Iterable[Data]) -> list[Data]:
    groups: dict[tuple[Any, ...], Data] = {}
    odd: list[Data] = []
    for one in curves:
        sides = one["mean"], one["low"], one["high"]
        if len({len(side) for side in sides}) > 1 or not all(_has_units(value) for side in sides for value in side):
            odd.append({_SHORT.get(name, name): value for name, value in one.items()})
            continue
        steps = len(one["beta"]) - 1
        group = {_SHORT.get(name, name): one[name] for name in _OF_ALL_ORDERS}
        group["status_quo"] = _decimals(one["status_quo"], VALUE_DECIMALS)
        group["beta"] = steps if one["beta"] == _equal_steps(steps, steps + 1) else one["beta"]
        curve = {name: value for name, value in one.items() if name not in _OF_ALL_ORDERS}
        mean, low, high = ([_units(value, CURVE_DECIMALS) for value in side] for side in sides)
        curve["mean"] = mean
        if low == mean == high:
            del curve["low"], curve["high"]
        else:
            curve["low"] = [middle - end for middle, end in zip(mean, low, strict=True)]
            curve["high"] = [end - middle for middle, end in zip(mean, high, strict=True)]
        found = groups.setdefault(tuple(map(str, group.values())), {**group, "orders": {}})
        found["orders"][curve.pop("order")] = curve
    return [*groups.values(), *odd]


def _whole_curves(found: Data) -> Iterator[Data]:
    if "order" in found:  # one by one, as they were first kept, and odd ones are
        curve = {_LONG.get(name, name): value for name, value in found.items()}
        steps = curve["beta"]
        ends = {name: curve.get(name, curve["mean"]) for name in ("low", "high")}
        beta = _equal_steps(steps, len(curve["mean"])) if isinstance(steps, int) else steps
        yield {**curve, "beta": beta, **ends}
        return
    group = CurveGroup.model_validate(found)
    for order, one in group.orders.items():
        sides = {"mean": one.mean, "low": one.mean, "high": one.mean}
        if one.low is not None and one.high is not None:
            sides["low"] = [middle - end for middle, end in zip(one.mean, one.low, strict=True)]
            sides["high"] = [middle + end for middle, end in zip(one.mean, one.high, strict=True)]
        yield {
            **{_LONG.get(name, name): value for name, value in group.model_dump(exclude={"orders"}).items()},
            "beta": _equal_steps(group.beta, len(one.mean)) if isinstance(group.beta, int) else group.beta,
            "order": order,
            **one.model_dump(exclude_none=True),
            **{name: [value / 10**CURVE_DECIMALS for value in values] for name, values in sides.items()},
        }


def _equal_steps(steps: int, points: int) -> list[float]:
    if steps >= max(points, 1):  # a record of a few bytes can claim any number
        raise ValueError(f"{steps} steps of a curve of {points} points")
    return [step / steps for step in range(steps + 1)] if steps > 0 else []


def _short_interval(value: float | None, low: float | None, high: float | None) -> list[int | float | None]:
    """See `MetricGroup.numbers`."""
    value = _decimals(value, VALUE_DECIMALS)
    if low is None and high is None:
        return [value]
    if value is None or low is None or high is None or not all(map(_has_units, (value, low, high))):
        return [value, _decimals(low, BOUND_DECIMALS), _decimals(high, BOUND_DECIMALS)]
    middle = _units(value, BOUND_DECIMALS)
    return [value, middle - _units(low, BOUND_DECIMALS), _units(high, BOUND_DECIMALS) - middle]


def _interval(value: float | None, low: int | float | None = None, high: int | float | None = None) -> Data:
    if isinstance(low, int) and isinstance(high, int) and value is not None:
        middle = _units(value, BOUND_DECIMALS)
        low, high = (middle - low) / 10**BOUND_DECIMALS, (middle + high) / 10**BOUND_DECIMALS
    return {"value": value, "ci_low": low, "ci_high": high}


def _has_units(value: float) -> bool:
    """Whether it has a number of units that a float holds to the last one."""
    return math.isfinite(value) and abs(value) < 1e6


def _units(value: float, decimals: int) -> int:
    units: int = round(value * 10**decimals)  # an int, which 10**decimals hides from type checkers
    return units


def _decimals(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)


def _rounded(value: Any, digits: int = DIGITS) -> Any:
    """With floats of so many significant digits, at any depth."""
    if isinstance(value, Mapping):
        return {key: _rounded(one, digits) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one, digits) for one in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
