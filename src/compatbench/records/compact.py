"""The form of a record in its file: nothing twice, and numbers with the digits they deserve.

`compact` and `expand` are pure functions between the fields of a `Record` as JSON and this form; the models below
describe the parts that differ, for the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from compatbench.records.parts import ORACLE
from compatbench.vocabulary import IndexKind, Order

Data = dict[str, Any]

VALUE_DECIMALS, BOUND_DECIMALS, CURVE_DECIMALS = 7, 4, 4
"""Of a metric's value, of the ends of its interval, and of a curve."""
DIGITS, EPOCH_DIGITS = 5, 3
"""Significant ones of times and costs, and of what is noted every epoch."""

ARRAY_PARTS = "arrays", "backfill", "backfilled", "verification", "protocols", "pairs"
"""The parts of a record with arrays behind them."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MetricGroup(_Model):
    """Numbers of one entry of the matrix over the same queries."""

    query: str
    gallery: str
    n: int
    subset: Literal["all", "seen", "unseen"] = "all"
    distance: Literal["cosine", "l2"] = "cosine"
    numbers: dict[str, list[float | None]] = Field(default_factory=dict)
    """By name: the value, and the ends of its interval if it has one."""


class ThresholdGroup(_Model):
    """Thresholds of one system for several false accept rates."""

    query: str
    gallery: str
    transferred: bool = False
    queries: int
    thresholds: dict[str, tuple[float, str]]
    """By rate: the threshold, and the array."""


class SearchGroup(_Model):
    """Indexes of one kind."""

    index: IndexKind
    k: int
    queries: int
    repeats: int
    systems: list[tuple[str, str, str, float, float, float, float, float, float]]
    """Generations of the queries, of the vectors, and of those it was trained on; then the numbers of SEARCH_NUMBERS.
    """


SEARCH_NUMBERS = "recall", "queries_per_second", "p50_ms", "p99_ms", "build_seconds", "bytes_per_vector"


class ExampleForm(_Model):
    """A query with what three systems find: sample ids, and a 1 for each that is relevant, else 0."""

    query: str
    gallery: str
    id: int
    old: tuple[list[int], str]
    cross: tuple[list[int], str]
    new: tuple[list[int], str]


class FlipGroup(_Model):
    """The worst flips of one system."""

    query: str
    gallery: str
    flips: list[tuple[int, list[int], str, list[int], str]]
    """Sample id, the first items of the old system and of the new one, each with a 1 where it is relevant, else 0."""


class CurveForm(_Model):
    """A backfill curve."""

    order: Order
    metric: str
    query: str
    gallery: str
    repeats: int
    n: int
    status_quo: float
    beta: Annotated[int, Field(ge=1, le=1000)] | list[float]
    """Into how many equal steps the shares from 0 to 1 are divided; a list if they are not equal."""
    mean: list[float]
    low: list[float] | None = None
    """Missing, like `high`, if it is the mean."""
    high: list[float] | None = None
    minimum_beta: float
    array: str


def is_shared(query: str, gallery: str) -> bool:
    """Whether the entry is of the old or an independent model alone, which methods of a scenario and seed share."""
    return query == ORACLE or (query == gallery and (query == "0" or query.startswith("*")))


def compact(data: Data) -> Data:
    """The form for a file."""
    data = {**data}
    named = {sha256: part for part, sha256 in _files(data).items()}
    if named:
        data = _rename(data, lambda sha256: named.get(sha256, sha256))
        data["files"] = {part: sha256 for sha256, part in named.items()}
    data["metrics"] = _grouped_metrics(data["metrics"])
    data["verification"] = _grouped_thresholds(data["verification"])
    data["worst_flips"] = _grouped_flips(data["worst_flips"])
    data["backfill"] = [_short_curve(one) for one in data["backfill"]]
    data["arrays"] = [[one[key] for key in _ARRAY] for one in data["arrays"]]
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
            **dict(zip(("value", "ci_low", "ci_high"), numbers, strict=False)),
            "n": one.n,
            "subset": one.subset,
            "distance": one.distance,
        }
        for one in map(MetricGroup.model_validate, data.get("metrics", []))
        for name, numbers in one.numbers.items()
    ]
    data["verification"] = [
        {
            "query_generation": one.query,
            "gallery_generation": one.gallery,
            "transferred": one.transferred,
            "queries": one.queries,
            "rate": float(rate),
            "threshold": threshold,
            "array": array,
        }
        for one in map(ThresholdGroup.model_validate, data.get("verification", []))
        for rate, (threshold, array) in one.thresholds.items()
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
    data["arrays"] = [dict(zip(_ARRAY, one, strict=True)) for one in data.get("arrays", [])]
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
    data["backfill"] = [_whole_curve(CurveForm.model_validate(one)) for one in data.get("backfill", [])]
    files = data.pop("files", {})
    return _rename(data, lambda part: files.get(part, part))


def compact_schema(schema: Data) -> Data:
    """The JSON Schema of the form in a file, from that of a record."""
    forms: dict[str, type[BaseModel]] = {
        "metrics": MetricGroup,
        "verification": ThresholdGroup,
        "worst_flips": FlipGroup,
        "backfill": CurveForm,
        "search": SearchGroup,
        "examples": ExampleForm,
    }
    properties, definitions = {**schema["properties"]}, {**schema["$defs"]}
    for part, form in forms.items():
        own = form.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= own.pop("$defs", {})
        properties[part] = {"type": "array", "items": own}
    row = {"type": "array", "items": {"type": "string"}, "minItems": len(_ARRAY), "maxItems": len(_ARRAY)}
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
        numbers = [_decimals(one["value"], VALUE_DECIMALS)]
        if one["ci_low"] is not None or one["ci_high"] is not None:
            numbers += [_decimals(one[end], BOUND_DECIMALS) for end in ("ci_low", "ci_high")]
        group["numbers"][one["name"]] = numbers
    return list(groups.values())


_ARRAY = "query_generation", "gallery_generation", "distance", "array"
_PLACES = "query_generation", "gallery_generation", "trained_generation"
_SHORT = {"query_generation": "query", "gallery_generation": "gallery"}
_LONG = {short: name for name, short in _SHORT.items()}
_SIDES = "old", "cross", "new"
_DEFAULTS = {("subset", "all"), ("distance", "cosine")}


def _grouped_thresholds(entries: Iterable[Data]) -> list[Data]:
    groups: dict[tuple[Any, ...], Data] = {}
    for one in entries:
        key = one["query_generation"], one["gallery_generation"], one["transferred"], one["queries"]
        new = dict(zip(("query", "gallery", "transferred", "queries"), key, strict=True))
        group = groups.setdefault(key, {**new, "thresholds": {}})
        group["thresholds"][f"{one['rate']:g}"] = [_decimals(one["threshold"], VALUE_DECIMALS), one["array"]]
    return list(groups.values())


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


def _short_curve(curve: Data) -> Data:
    curve = {_SHORT.get(name, name): value for name, value in curve.items()}
    curve["status_quo"] = _decimals(curve["status_quo"], VALUE_DECIMALS)
    steps = len(curve["beta"]) - 1
    if curve["beta"] == _equal_steps(steps):
        curve["beta"] = steps
    for part in ("mean", "low", "high"):
        curve[part] = [_decimals(value, CURVE_DECIMALS) for value in curve[part]]
    if curve["low"] == curve["mean"] == curve["high"]:
        del curve["low"], curve["high"]
    return curve


def _whole_curve(curve: CurveForm) -> Data:
    data = {_LONG.get(name, name): value for name, value in curve.model_dump(mode="json").items()}
    if isinstance(curve.beta, int):
        data["beta"] = _equal_steps(curve.beta)
    ends = {"low": curve.low, "high": curve.high}
    return {**data, **{name: curve.mean if end is None else end for name, end in ends.items()}}


def _equal_steps(steps: int) -> list[float]:
    return [step / steps for step in range(steps + 1)] if steps > 0 else []


def _decimals(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)


def _rounded(value: Any, digits: int = DIGITS) -> Any:
    """With floats of so many significant digits, at any depth."""
    if isinstance(value, Mapping):
        return {key: _rounded(one, digits) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one, digits) for one in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
