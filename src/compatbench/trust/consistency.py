"""Consistency of a board: what several records say of one model, one split or the same queries is said alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.grouped_results import GroupedResults, Results
from compatbench.records.array_names import is_shared
from compatbench.records.parts import ArrayRef, Environment
from compatbench.records.record import BASELINE, Record
from compatbench.report.rows.runs import file_of
from compatbench.storage.canonical import digest
from compatbench.storage.group_sums import PARTS
from compatbench.trust.environments import TOLERANCE, same_arithmetic
from compatbench.vocabulary import Expectation, MetricName, Need, Status

ROUNDING = 1e-4
"""Between scores of one model in one environment: adapters scale its vectors to unit length once more, and ties break.
"""
COPIED = 0.5
"""Share of queries with the same AP from which on the arrays of two models are one model's."""
COPIED_GROUPS = {"elsewhere": 0.01, "trained": 0.001, "mapped": 0.0004}
"""The same of groups: what is left of the variance of AP in the differences. Of entries of other seeds or places in the
matrix, of one seed and place where either method trains a model, and of two adapters, which map one model's vectors.
Different ones of the board leave 0.017, 0.0014 and 0.0006 at least; a copy of which 4% of the queries are moved by 0.05
leaves 0.0005 to 0.0008, so that one among adapters may pass."""
SAME_GROUPS = 1e-4
"""The same of one model in one environment."""
FEWEST, FEWEST_GROUPS = 10, 30
"""Queries without which two arrays are not compared."""
MANY_RELEVANT = 5
"""Relevant items that a query needs, so that its AP is hardly ever the same by chance."""
SAMPLE = 64
"""Queries or groups by which arrays that may be copies are looked for."""

ReadResults = Callable[[str], Results]


@dataclass(frozen=True, eq=False)
class _Scored:
    """Per-query results of one entry of a record."""

    record: Record
    at: tuple[str, str]
    source: Hashable
    """What they follow from: equal for entries that may be equal."""
    results: Results

    @cached_property
    def average_precision(self) -> NDArray[np.float64]:
        """By query or group."""
        return self.results.per_query(MetricName.MAP)

    @cached_property
    def many(self) -> NDArray[np.bool_]:
        """Queries with many relevant items, or groups of such queries."""
        sizes = self.results.sizes if isinstance(self.results, GroupedResults) else 1
        found: NDArray[np.bool_] = self.results.relevant >= MANY_RELEVANT * sizes
        return found


class Consistency:
    """Compares each record with those before it, those of the baseline first. What they say first counts."""

    def __init__(self, results: ReadResults) -> None:
        self._results = results
        self._said: dict[Hashable, tuple[Any, Record]] = {}
        self._scored: dict[Hashable, list[_Scored]] = defaultdict(list)
        self._samples: dict[Hashable, _Samples] = defaultdict(_Samples)
        self._baselines: dict[Hashable, dict[tuple[str, str], _Scored]] = {}

    def conflicts(self, record: Record) -> Iterator[str]:
        """Contradictions between `record` and those before it, each in one line."""
        if record.is_early:
            return
        spec = record.spec
        scenario = spec.suite, spec.scenario, spec.test_classes
        yield from self._alike((*scenario, "data"), spec.dataset_fingerprint, record, "it was tested on other data")
        if record.split_hash:
            yield from self._alike((*scenario, "split"), record.split_hash, record, "it has another split")
        if record.status is not Status.OK:
            return
        yield from self._models(record)
        first = self._results(record.arrays[0].array)
        queries = first.ids.tobytes(), first.relevant.tobytes(), record.query_classes, record.judged
        yield from self._alike(
            (*scenario, "queries"), queries, record, "its queries, or how many items are relevant to them, are others"
        )
        sizes = {(one.subset, one.n) for one in record.metrics if one.subset != "all"}
        yield from self._alike((*scenario, "seen"), sizes, record, "its seen and unseen queries are others")
        examples = [one.id for one in record.examples]
        yield from self._alike((*scenario, "examples"), examples, record, "it has other examples")
        pairs = {(*one.at, one.rate, one.transferred, one.queries) for one in record.verification}
        yield from self._alike(
            (*scenario, "pairs"), pairs, record, "it accepts pairs at other rates, or of fewer entries,"
        )
        indexes = {(*one.at, one.index, one.trained_generation, one.k, one.queries) for one in record.search}
        yield from self._alike((*scenario, "search"), indexes, record, "it searched other indexes")
        yield from self._relevance(record)
        yield from self._shared_numbers(record)
        for scored in self._told_apart(record, [*self._entries(record)]):
            yield from self._copies(scored, (spec.dataset_fingerprint, queries))

    def _alike(self, key: Hashable, value: Any, record: Record, problem: str) -> Iterator[str]:
        said, first = self._said.setdefault(key, (value, record))
        if said != value:
            yield f"{problem} than {file_of(first)}; one of them is wrong, run it again"

    def _models(self, record: Record) -> Iterator[str]:
        """A trained model is named by all that it depends on: generation, seed and method among them."""
        spec = record.spec
        for label, model in record.parents.items():
            maker, place = _maker(record, label), label.lstrip("*")
            said, first = self._said.setdefault(("model", model), ((place, spec.seed, maker), record))
            if said != (place, spec.seed, maker):
                yield f"its model {label} is that of another seed, method or generation, see {file_of(first)}"
            key = "generation", spec.suite, spec.scenario, spec.test_classes, place, spec.seed, maker
            yield from self._alike(key, model, record, f"its model {label} of method and seed is another")

    def _relevance(self, record: Record) -> Iterator[str]:
        """Whether an item is relevant to a query is the same wherever the two meet."""
        lists = [(one.id, ids, right) for one in record.examples for ids, right in _found(one)]
        lists += [
            (one.id, ids, right)
            for one in record.worst_flips
            for ids, right in ((one.old_top, one.old_right), (one.new_top, one.new_right))
        ]
        for query, ids, right in lists:
            for item, flag in zip(ids, right, strict=False):
                key = "relevant", record.spec.dataset_fingerprint, query, item
                if self._said.setdefault(key, (flag, record))[0] is not flag:
                    other = file_of(self._said[key][1])
                    yield f"item {item} is relevant to query {query} here or in {other}, and not in both"
                    return

    def _shared_numbers(self, record: Record) -> Iterator[str]:
        """Thresholds, and numbers of seen and of unseen queries, of models that several records have."""
        spec = record.spec
        numbers: list[tuple[tuple[str, str], tuple[Hashable, ...], float | None]]
        numbers = [(one.at, one.coordinates, one.value) for one in record.metrics if one.subset != "all"]
        numbers += [
            (one.at, ("threshold", one.rate), one.threshold) for one in record.verification if not one.transferred
        ]
        for at, name, value in numbers:
            if not is_shared(*at) or value is None:
                continue
            key = "number", spec.suite, spec.scenario, spec.dataset_fingerprint, record.parents.get(at[0]), name
            said, first = self._said.setdefault(key, (value, record))
            if abs(said - value) > _tolerance(record, first):
                yield f"{name[0]} of M({at[0]},{at[1]}) is {value:.4f}, and {said:.4f} in {file_of(first)}: one model"
        for label, one in record.convergence.items():
            if label.startswith("*") or label == "0":
                said, first = self._said.setdefault(("convergence", record.parents.get(label)), (one, record))
                if said != one and same_arithmetic(first.environment, record.environment):
                    yield f"the course of training of its model {label} is another than in {file_of(first)}: one model"

    def _entries(self, record: Record) -> Iterator[_Scored]:
        """The entries that are compared with each other: of the first, the newest and the independent model."""
        newest = str(len(record.spec.generations) - 1)
        wanted = {("0", "0"), (f"*{newest}",) * 2}
        if Expectation.CROSS_EQUALS_OLD not in record.spec.method.expects:
            wanted.add((newest, newest))
            wanted |= set() if Need.BOTH_ENCODERS_ONLINE in record.spec.method.needs else {(newest, "0")}
        for ref in record.arrays:
            if ref.distance == "cosine" and ref.at in wanted:
                yield _Scored(record, ref.at, _source(record, ref), self._results(ref.array))

    def _told_apart(self, record: Record, entries: list[_Scored]) -> list[_Scored]:
        """The entries; those of a method without effect follow from what the baseline's follow from.

        Its loss added nothing, as that on old classes where none is left: it has the baseline's encoder, and so also
        the baseline's scores in the old index. Scores of its own in one of the two and copied ones in the other do not
        pass for that.
        """
        scenario = record.spec.suite, record.spec.scenario, record.spec.test_classes, record.spec.seed
        if record.spec.method.name == BASELINE:
            self._baselines[scenario] = {one.at: one for one in entries}
            return entries
        baseline = self._baselines.get(scenario, {})
        own = [one for one in entries if not is_shared(*one.at)]
        without_effect = record.spec.method.kind == "training" and all(
            one.at in baseline and _is_copy(one, baseline[one.at], of_one_model=True) for one in own
        )
        if not (own and without_effect):
            return entries
        return [one if is_shared(*one.at) else replace(one, source=baseline[one.at].source) for one in entries]

    def _copies(self, scored: _Scored, queries: Hashable) -> Iterator[str]:
        """Equal models have equal scores, and different ones have different scores."""
        record, at = scored.record, scored.at
        exact = record.spec.method.kind == "training" or is_shared(*at)
        if at[0] == at[1] and exact:
            said, first = self._said.setdefault(("scores", queries, scored.source), (scored.results, record))
            if problem := _differ(scored.results, said, record.environment, first.environment):
                yield f"M({at[0]},{at[1]}) is not that of the same model in {file_of(first)}: {problem}"
        if scored.many.sum() < (FEWEST_GROUPS if isinstance(scored.results, GroupedResults) else FEWEST):
            return  # nothing would tell one entry from another, and each would be compared with all
        samples, others = self._samples[queries], self._scored[queries]
        for other in _close(scored, [others[place] for place in samples.like(scored)]):
            if other.source == scored.source or _may_be_alike(scored, other):
                continue
            if _is_copy(scored, other):
                where = "" if other.record is record else f" of {file_of(other.record)}"
                yield (
                    f"M({at[0]},{at[1]}) has the scores of M({other.at[0]},{other.at[1]}){where}, query by query, "
                    "and is of another model; run both again"
                )
                break
        samples.add(scored)
        others.append(scored)


def baselines_first(records: Iterable[Record]) -> list[Record]:
    """The order in which `Consistency` takes them."""
    return sorted(records, key=lambda record: record.spec.method.name != BASELINE)


def without_baseline(records: Iterable[Record]) -> Iterator[tuple[Record, str]]:
    """The first record of each scenario and seed of which the board has none of `independent`, and what is wrong."""
    groups: dict[Hashable, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.spec.suite, record.spec.scenario, record.spec.seed].append(record)
    for members in groups.values():
        if all(one.spec.method.name != BASELINE for one in members):
            seed = members[0].spec.seed
            yield (
                members[0],
                f"the board has no record of '{BASELINE}' of seed {seed}, whose models all others refer to",
            )


def _maker(record: Record, label: str) -> Hashable:
    method = record.spec.method
    own = method.kind == "training" and method.name != BASELINE
    first = label == "0" and Need.OWN_FIRST_GENERATION not in method.needs
    if not own or first or label.startswith("*"):
        return BASELINE
    return method.name, digest(method.params), method.source_hash


def _source(record: Record, ref: ArrayRef) -> Hashable:
    """What an entry follows from; encoders that are used as they were published are the same for all seeds."""
    places = range(int(ref.gallery_generation.lstrip("*")), int(ref.query_generation.lstrip("*")) + 1)
    mark = "*" if ref.query_generation.startswith("*") else ""
    models = tuple(
        digest(spec.model_dump(mode="json")) if spec.head.none else record.parents.get(f"{mark}{place}")
        for place, spec in ((place, record.spec.generations[place]) for place in places)
    )
    if ref.query_generation == ref.gallery_generation:
        return models
    method = record.spec.method
    return models, method.name, digest(method.params), method.source_hash, method.pairs


def _found(example: Any) -> list[tuple[list[int], list[bool]]]:
    return [(side.ids, side.right) for side in (example.old, example.cross, example.new)]


def _tolerance(record: Record, other: Record) -> float:
    return ROUNDING if same_arithmetic(record.environment, other.environment) else TOLERANCE


def _differ(one: Results, other: Results, ours: Environment, theirs: Environment) -> str:
    """How scores of one model differ; to be the same to the bit, both must be of the same kind of processor."""
    if len(one) != len(other):
        return "of other queries"
    asked = one.answerable & other.answerable
    differences = (one.per_query(MetricName.MAP) - other.per_query(MetricName.MAP))[asked]
    if not len(differences):
        return ""
    if same_arithmetic(ours, theirs):
        found, bound = float(np.abs(differences).mean()), ROUNDING
        if isinstance(one, GroupedResults):  # a little more tips the rounding of sums
            bound += 2 / (PARTS * float(one.sizes.mean()))
    else:
        found, bound = abs(float(differences.mean())), TOLERANCE
    return f"mAP differs by {found:.4f}" if found > bound else ""


def _may_be_alike(one: _Scored, other: _Scored) -> bool:
    """Variants of one method may be the same where they do not differ, and two methods may train the same encoder.

    Of one seed: those of another have other first weights, and see the data in another order.

    `low_rank` is `ridge` where a model has no more dimensions than its rank.
    """
    methods = {scored.record.spec.method.name: scored.record.spec for scored in (one, other)}
    same_method = len(methods) == 1
    if methods.keys() == {"low_rank", "ridge"}:
        rank = methods["low_rank"].method.params["rank"]
        same_method = isinstance(rank, int) and rank >= min(step.dim for step in methods["low_rank"].generations)
    if one.at != other.at or one.record.spec.seed != other.record.spec.seed:
        return False
    return same_method or one.at[0] == one.at[1]


class _Samples:
    """AP of a few queries or groups of each entry so far, to find those that are alike quickly."""

    def __init__(self) -> None:
        self._values = np.empty((16, SAMPLE), dtype=np.float32)
        self._variances = np.empty(16, dtype=np.float32)
        self._size = 0

    def like(self, scored: _Scored) -> list[int]:
        """The places of earlier entries that may have the same scores."""
        sample, earlier = self._sample(scored), self._values[: self._size]
        if isinstance(scored.results, GroupedResults):
            gaps = earlier - sample
            apart = np.einsum("ij,ij->i", gaps, gaps) / SAMPLE
            alike = apart <= 4 * max(COPIED_GROUPS.values()) * (self._variances[: self._size] + sample.var())
        else:
            told = (earlier < 1) & (sample < 1)
            counts, same = told.sum(axis=1), ((earlier == sample) & told).sum(axis=1)
            alike = (same >= counts * COPIED / 2) | (counts < FEWEST)
        return [int(place) for place in np.flatnonzero(alike)]

    def add(self, scored: _Scored) -> None:
        """Add those of an entry."""
        if self._size == len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
            self._variances = np.concatenate([self._variances, np.empty_like(self._variances)])
        self._values[self._size] = sample = self._sample(scored)
        self._variances[self._size] = sample.var()
        self._size += 1

    def _sample(self, scored: _Scored) -> NDArray[np.float32]:
        """(SAMPLE,) of queries with many relevant items; 1, as what tells nothing, where there are fewer."""
        values = scored.average_precision.astype(np.float32)
        many = np.flatnonzero(scored.many)
        found = np.ones(SAMPLE, dtype=np.float32)
        rows = many[np.linspace(0, len(many) - 1, min(SAMPLE, len(many))).astype(int)] if len(many) else many
        found[: len(rows)] = values[rows]
        return found


def _close(scored: _Scored, others: Sequence[_Scored]) -> Sequence[_Scored]:
    """Those that `_is_copy` may hold of, by the loosest limit: all at once, since they are many."""
    if not others or not isinstance(scored.results, GroupedResults):
        return others
    apart, variances = _apart(scored, others)
    near = apart < max(COPIED_GROUPS.values()) * variances
    return [other for other, is_near in zip(others, near, strict=True) if is_near]


def _apart(one: _Scored, others: Sequence[_Scored]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) mean square difference of AP from each of the `others` by group, and the sum of both variances."""
    here, there = one.average_precision[one.many], np.stack([other.average_precision[one.many] for other in others])
    return ((there - here) ** 2).mean(axis=1), there.var(axis=1) + here.var()


def _is_copy(one: _Scored, other: _Scored, *, of_one_model: bool = False) -> bool:
    """Whether AP is as alike, query by query, as no two models give it, or `of_one_model`, as one gives it."""
    a, b, many = one.average_precision, other.average_precision, one.many
    if len(a) != len(b):
        return False
    if isinstance(one.results, GroupedResults):
        if many.sum() < FEWEST_GROUPS:
            return False
        apart, variances = _apart(one, [other])
        return bool(apart[0] < _limit(one, other, of_one_model) * variances[0])
    told = many & (a < 1) & (b < 1)
    same = (a == b)[told]
    return len(same) >= FEWEST and float(same.mean()) > COPIED


def _limit(one: _Scored, other: _Scored, of_one_model: bool) -> float:
    if of_one_model and same_arithmetic(one.record.environment, other.record.environment):
        return SAME_GROUPS
    if one.at != other.at or one.record.spec.seed != other.record.spec.seed:
        return COPIED_GROUPS["elsewhere"]
    trained = any(scored.record.spec.method.kind == "training" for scored in (one, other))
    return COPIED_GROUPS["trained" if trained else "mapped"]
