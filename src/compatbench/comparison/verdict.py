"""The meaning of the numbers, in plain words. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compatbench.comparison.comparison import FULL_BACKFILL, Outcome, fitted_adapters
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import sign, verdict
from compatbench.report.render.table import Unit, number
from compatbench.vocabulary import MetricName, Need, Verdict

_STRICT_RATE = 0.001
_MOVED = 1.5
"""A false accept rate that is so many times the wished one is worth a sentence."""


def gain_of(metric: str) -> str:
    """The name of the cross gain on a retrieval number."""
    return MetricName.CROSS_GAIN.of(metric)


def second_to(metric: MetricName) -> MetricName:
    """The retrieval number beside the one that systems are judged by: the first hit, or the whole ranking."""
    return MetricName.MAP if metric is MetricName.CMC1 else MetricName.CMC1


def conclusion(outcomes: Sequence[Outcome], metric: MetricName = MetricName.MAP) -> list[str]:
    """The decision by a retrieval number in one sentence, and further remarks in a few more."""
    name = gain_of(metric)
    backfill = next(one for one in outcomes if one.name == FULL_BACKFILL).metric(name)
    adapters = fitted_adapters(outcomes)
    winners = by_gain([one for one in adapters if beats_the_old_model(one, metric)], metric)
    if not adapters:
        return [f"no adapter could be fitted; {_of_the_backfill(backfill)}."]
    if not winners:
        best = by_gain(adapters, metric)[0]
        unsure = verdict_of(best, metric) is Verdict.UNDECIDED
        word = Verdict.UNDECIDED if unsure else Verdict.NOT_COMPATIBLE
        clause = "no adapter beats the old model beyond doubt" if unsure else "every adapter is worse than the old one"
        return [
            f"{word}: {clause} (best: {best.name}, {_points(best.metric(name))} points); {_of_the_backfill(backfill)}."
        ]
    best = winners[0]
    sentences = [f"{Verdict.COMPATIBLE}: {_gain_clause(best, metric)}; {_of_the_backfill(backfill)}."]
    sentences += _remarks(best, backfill, metric)
    plain = next((one for one in winners if not one.needs_both_encoders and not one.rewrites_index), None)
    if plain is not None and plain is not best:
        sentences.append(f"With one encoder and an unchanged index: {_gain_clause(plain, metric)}.")
    if plain is None:
        sentences.append("No adapter with one encoder and an unchanged index beats the old model.")
    return sentences


def best_adapter(outcomes: Sequence[Outcome], metric: MetricName) -> Outcome | None:
    """Of the adapters that serve with the new encoder alone the one with the greatest gain, of those with two else."""
    adapters = fitted_adapters(outcomes)
    alone = [one for one in adapters if not one.needs_both_encoders] or adapters
    return next(iter(by_gain(alone, metric)), None)


def by_gain(outcomes: Iterable[Outcome], metric: MetricName) -> list[Outcome]:
    """The greatest cross gain first; an undefined one counts as 0."""
    return sorted(outcomes, key=lambda one: one.metric(gain_of(metric)).value or 0.0, reverse=True)


def verdict_of(outcome: Outcome, metric: MetricName = MetricName.MAP) -> Verdict | None:
    """The verdict on an adapter, one of the family of all adapters; None if it has no numbers.

    The two models are given, so the queries are all that varies.
    """
    return None if outcome.p_value is None else verdict(outcome.metric(gain_of(metric)), outcome.p_value)


def beats_the_old_model(outcome: Outcome, metric: MetricName = MetricName.MAP) -> bool:
    """The adapter is compatible."""
    return verdict_of(outcome, metric) is Verdict.COMPATIBLE


def _gain_clause(outcome: Outcome, metric: MetricName) -> str:
    how = "rewrites the index" if outcome.rewrites_index else "keeps the index"
    online = " (with both encoders online)" if outcome.needs_both_encoders else ""
    return f"{outcome.name} {how}{online} and gains {_points(outcome.metric(gain_of(metric)))} points"


def _of_the_backfill(gain: Estimate) -> str:
    if sign(gain) > 0:
        return f"a full backfill gains {_points(gain)}"
    if sign(gain) < 0:
        return f"a full backfill loses {_points(gain).removeprefix('−')}"
    return f"a full backfill gains nothing significant ({_points(gain)})"


def _remarks(best: Outcome, backfill: Estimate, metric: MetricName) -> list[str]:
    second = second_to(metric)
    flips, first = best.metric(MetricName.RELATIVE_NFR.at(1)), best.metric(gain_of(second))
    remarks = []
    if Need.LABELS in best.needs and (best.metric(gain_of(metric)).value or 0.0) > (backfill.value or 0.0):
        remarks.append(
            "That is more than the new model itself has to give: its fit saw class labels, and what it gains on these "
            "classes it need not gain on others."
        )
    if flips.value is not None:
        remarks.append(f"It breaks {_percent(flips.value)} of the queries whose first hit is right today.")
    if sign(first) < 0:
        remarks.append(f"By {second} it gains {_points(first)} points: the two numbers disagree, so look at both.")
    elif not sign(first):
        remarks.append(f"By {second} its gain is not significant ({_points(first)}).")
    moved, accepted = (
        best.metric(name.at_rate(_STRICT_RATE)) for name in (MetricName.TRANSFER_FAR, MetricName.TRANSFER_TAR)
    )
    if moved.value is not None and not 1 / _MOVED <= moved.value / _STRICT_RATE <= _MOVED:
        remarks.append(
            f"Where scores are cut, set a new threshold: at the old one for {_percent(_STRICT_RATE)} of false accepts, "
            f"{_percent(moved.value)} of the impostor pairs and {_percent(accepted.value or 0.0)} of the genuine ones "
            "are accepted."
        )
    return remarks


def _points(gain: Estimate) -> str:
    value = number(100 * (gain.value or 0.0), Unit.POINTS)
    return f"{value} ± {number(100 * gain.margin, Unit.POINTS)}"


def _percent(share: float) -> str:
    if 0 < share < 1e-4:
        return "less than 0.01%"
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.0f}%"
