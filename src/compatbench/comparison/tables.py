"""The tables of a comparison. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compatbench.comparison.comparison import ORACLE, Comparison, Outcome
from compatbench.comparison.verdict import gain_of, second_to, verdict_of
from compatbench.evaluation.arrays import RETRIEVAL
from compatbench.evaluation.significance import FAMILY
from compatbench.report.render.table import Column, Group, Place, Row, Table, TableCell, Unit
from compatbench.report.tables.cells import plain, points
from compatbench.vocabulary import MetricName, Similarity, Verdict

WITH_INTERVAL = ("score", "gain")
"""The columns that have their intervals in the terminal."""

QUICK = "†"

_NAME = Column(
    "name", "system", "The old system, what bounds it, and the adapters.", Unit.TEXT, places=(Place.COMPACT,)
)

_COLUMNS = (
    _NAME,
    Column(
        "score",
        "{metric}",
        "Of an adapter its cross-test M(n,o), new queries on the old index; of a reference as it is named. In points.",
        interval=True,
        places=(Place.COMPACT,),
    ),
    Column(
        "gain",
        "gain",
        "{metric} minus that of the status quo, in points, on the same queries.",
        interval=True,
        places=(Place.COMPACT,),
    ),
    Column(
        "gamma",
        MetricName.UPDATE_GAIN.heading,
        MetricName.UPDATE_GAIN.sentence,
        Unit.SHARE,
        interval=True,
    ),
    Column(
        "retention",
        "retention",
        "{metric} as a share of the full backfill's. The status quo's stands beside it: an adapter must exceed that.",
        Unit.SHARE,
        interval=True,
        places=(Place.COMPACT,),
    ),
    Column("self", "M(n,n)", "{metric} after a backfill, where the adapter changes new vectors too.", interval=True),
    Column("second", "{second}", "Beside it, in points.", interval=True),
    Column("second_gain", "{second} gain", "{second} minus that of the status quo, in points.", interval=True),
    Column(
        "relative_nfr1",
        "breaks %",
        "Relative NFR@1: of the queries whose first hit is relevant today, how many lose it, in %.",
        interval=True,
        places=(Place.COMPACT,),
    ),
    Column("nfr1", MetricName.NFR.at(1), "Negative flips, in % of all queries.", interval=True),
    Column(
        "pfr1",
        MetricName.PFR.at(1),
        "Positive flips: the first hit becomes relevant, in % of all queries.",
        interval=True,
    ),
    Column(
        "online",
        "needs online",
        "Needs of serving beside the new encoder and the unchanged index.",
        Unit.TEXT,
        places=(Place.COMPACT,),
    ),
    Column(
        "pairs",
        "pairs",
        "Items that the adapter was fitted on; they are never scored.",
        Unit.COUNT,
        places=(Place.COMPACT,),
    ),
    Column("fit", "fit s", "Seconds that fitting took.", Unit.AMOUNT, places=(Place.COMPACT,)),
    Column(
        "query",
        "+ms/query",
        "Time that the map adds to one query, in milliseconds, alone.",
        Unit.AMOUNT,
        places=(Place.COMPACT,),
    ),
    Column(
        "verdict",
        "verdict",
        f"{' '.join(f'{word}: {word.sentence}' for word in Verdict)} Over the queries, for these two models ({FAMILY} "
        "over all adapters).",
        Unit.TEXT,
    ),
)


def scores_table(comparison: Comparison) -> Table:
    """References and adapters, best gain first; skipped ones with their reason last."""
    references, adapters = _ordered(comparison)
    quick = [one for one in adapters if one.changes]
    return Table(
        name="compare",
        title=f"{comparison.inputs.old} → {comparison.inputs.new}",
        caption=_caption(comparison),
        columns=tuple(_named(column, comparison.metric) for column in _COLUMNS),
        groups=_groups(
            ("References", [_row(one, comparison.metric) for one in references]),
            ("Adapters", [_row(one, comparison.metric) for one in adapters]),
        ),
        footnotes={QUICK: _quick_schedules(quick)} if quick else {},
    )


def numbers_table(comparison: Comparison) -> Table:
    """Every retrieval number that was measured, of all systems."""
    references, adapters = _ordered(comparison)
    measured = [name for name in RETRIEVAL if name in references[0].metrics]
    columns = [_NAME, *(Column(name, name, name.sentence, interval=True) for name in measured)]
    return Table(
        name="numbers",
        title="Other numbers",
        caption="In points. Gains on each, with intervals, are in compare.json; --metric judges by another one.",
        columns=tuple(columns),
        groups=_groups(
            ("References", [_rates(one, columns) for one in references]),
            ("Adapters", [_rates(one, columns) for one in adapters if not one.skipped]),
        ),
    )


def _named(column: Column, metric: MetricName) -> Column:
    """A column with the retrieval number in its words."""
    words = {"metric": metric, "second": second_to(metric)}
    return replace(column, title=column.title.format(**words), description=column.description.format(**words))


def thresholds_table(comparison: Comparison) -> Table | None:
    """Threshold transfer; None if there are too few impostor pairs for any false accept rate."""
    if not comparison.rates:
        return None
    columns = [_NAME]
    for rate in comparison.rates:
        shown = f"{100 * rate:g}%"
        columns += [
            Column(MetricName.TAR.at_rate(rate), f"TAR@{shown}", "Genuine pairs accepted, in %, at the system's "
                   f"own threshold for {shown} of false accepts.", interval=True),
            Column(MetricName.TRANSFER_TAR.at_rate(rate), f"TAR, old t@{shown}", "Genuine pairs accepted, in %, "
                   f"at the old system's threshold for {shown} of false accepts.", interval=True),
            Column(MetricName.TRANSFER_FAR.at_rate(rate), f"FAR, old t@{shown}", "Impostor pairs accepted, in %, at "
                   f"that threshold; {shown} is what it was set for.", Unit.AMOUNT, interval=True),
        ]  # fmt: skip
    references, adapters = _ordered(comparison)
    similarity = comparison.similarity
    shown_score = "negative squared distance" if similarity is Similarity.L2 else similarity.heading
    return Table(
        name="thresholds",
        title="Thresholds",
        caption="Where a system cuts by score: pairs of a query and an item are accepted above a threshold on their "
        f"{shown_score}. Genuine pairs are relevant ones, all others impostors. Intervals: "
        "over queries, the threshold held fixed.",
        columns=tuple(columns),
        groups=_groups(
            ("References", [_rates(one, columns) for one in references if one.name != ORACLE]),
            ("Adapters", [_rates(one, columns) for one in adapters if not one.skipped]),
        ),
    )


def _ordered(comparison: Comparison) -> tuple[list[Outcome], list[Outcome]]:
    """References as they are, adapters by their gain, skipped ones last."""
    references = [one for one in comparison.outcomes if not one.is_adapter]
    adapters = [one for one in comparison.outcomes if one.is_adapter]
    adapters.sort(key=lambda one: (bool(one.skipped), -(one.metric(gain_of(comparison.metric)).value or 0.0), one.name))
    return references, adapters


def _groups(*groups: tuple[str, Sequence[Row]]) -> tuple[Group, ...]:
    return tuple(Group(title, tuple(rows)) for title, rows in groups if rows)


def _caption(comparison: Comparison) -> str:
    parts, inputs = comparison.parts, comparison.inputs
    nothing = "no relevant item is searched" if inputs.judged_by == "labels" else "no relevant item is judged"
    left_out = [
        f"{count:,} {'query' if count == 1 else 'queries'} left out: {why}"
        for count, why in (
            (parts.unanswerable_queries, nothing),
            (parts.fitting_queries, "among the fitting items"),
        )
        if count
    ]
    judged = f"{inputs.classes:,} classes" if inputs.classes is not None else "relevance judgements"
    searched = "items" if inputs.vectors is None else "documents"
    of_queries = parts.fitting_pairs_of_queries
    fitted = [f"{parts.fitting_pairs - of_queries:,} other {searched}"] if parts.fitting_pairs > of_queries else []
    fitted += [f"{of_queries:,} other queries"] if of_queries else []
    both = []
    if parts.searched_fitting_items:
        both = [
            f"{parts.searched_fitting_items:,} of the fitting items are relevant to a query and are searched too, so "
            "that every judgement counts: an adapter that rewrites the index has seen them"
        ]
    neither = "not searched, but for some" if both else "neither searched nor asked for"
    sentences = [
        f"{parts.queries:,} of {parts.candidate_queries:,} queries, drawn at random, search {parts.searched_items:,} "
        f"{searched} by {comparison.similarity.heading} ({inputs.old_dim} → {inputs.new_dim} dimensions, {judged})",
        f"Adapters are fitted on {' and '.join(fitted)}, which are {neither}",
        *both,
        *left_out,
        "95% intervals over queries: the two models are given",
        "The best of several adapters is a little luckier than it is good",
    ]
    return ". ".join(sentences) + "."


def _quick_schedules(outcomes: Sequence[Outcome]) -> str:
    told = "; ".join(f"{one.name}: {one.changes}" for one in outcomes)
    return f"a quick schedule, with the published values in parentheses; --effort full takes those. {told}."


def _row(outcome: Outcome, metric: MetricName) -> Row:
    cells = {"name": TableCell(outcome.name)}
    if outcome.skipped:
        return Row(cells | {"verdict": TableCell(f"skipped: {outcome.skipped}")})
    cells |= {
        "score": points(outcome.metric(metric)),
        "gain": points(outcome.metric(gain_of(metric))),
        "gamma": plain(outcome.metric(MetricName.UPDATE_GAIN.of(metric))),
        "retention": plain(outcome.metric(MetricName.RETENTION.of(metric))),
        "self": points(outcome.metric(f"self:{metric}")),
        "second": points(outcome.metric(second_to(metric))),
        "second_gain": points(outcome.metric(gain_of(second_to(metric)))),
        "relative_nfr1": points(outcome.metric(MetricName.RELATIVE_NFR.at(1))),
        "nfr1": points(outcome.metric(MetricName.NFR.at(1))),
        "pfr1": points(outcome.metric(MetricName.PFR.at(1))),
        "online": TableCell(outcome.serving_needs if outcome.is_adapter else None),
        "pairs": TableCell(outcome.pairs),
        "fit": TableCell(outcome.fit_seconds, marks=(QUICK,) if outcome.changes else ()),
        "query": TableCell(outcome.query_ms),
        "verdict": TableCell(verdict_of(outcome, metric) if outcome.is_adapter else outcome.summary),
    }
    return Row(cells, tags=tuple(outcome.needs))


def _rates(outcome: Outcome, columns: Sequence[Column]) -> Row:
    cells = {column.key: points(outcome.metric(column.key)) for column in columns[1:]}
    return Row(cells | {"name": TableCell(outcome.name)}, tags=tuple(outcome.needs))
