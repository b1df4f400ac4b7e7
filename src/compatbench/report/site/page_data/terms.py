"""Every term of the page, with its definition and an anchor to link to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from compatbench.evaluation.significance import FAMILY, INTERVALS
from compatbench.report.rows.row import LONGEST_REASON, RANKED_SEEDS
from compatbench.vocabulary import RANKED_BY, League, MetricName, Need, Role, Status, Verdict


@dataclass(frozen=True)
class Definition:
    """One entry of the page's definitions."""

    anchor: str
    name: str
    text: str


NEED_FILTERS = {
    "no old model at training time": (Need.OLD_ENCODER, Need.OLD_CLASSIFIER, Need.OLD_FEATURES, Need.OLD_WEIGHTS),
    "no second encoder online": (Need.BOTH_ENCODERS_ONLINE,),
    "gallery untouched": (Need.GALLERY_REWRITE,),
}
"""The reader may hide the rows that have any of these needs."""

SIGNS = {Verdict.COMPATIBLE: "✓", "yes": "✓", Verdict.NOT_COMPATIBLE: "✗", "no": "✗"}
"""Short for verdicts, and before them."""

GENERAL = {
    "M(q,g)": "Retrieval quality (mAP unless another number is named) of queries embedded by the model q against a "
    "gallery embedded by g. o: the old model; n: the new one; *: a new model trained independently, without any "
    "compatibility term. Cosine similarity; a query's own image is left out.",
    MetricName.MAP: MetricName.MAP.sentence,
    "scenario": "What differs between the old and the new generation: more data, more or other classes, another "
    "backbone, dimension or loss, or a chain of several upgrades.",
    "backbone pair": "The encoders of the generations, oldest first; one name where all are the same.",
    "95% interval": f"In brackets. {INTERVALS}. With one seed, over queries only.",
    "n.s.": "Not significant. Beside a number: the row is not significantly below the best of the column, which is "
    f"bold ({FAMILY} over all pairs of rows).",
    **{word: word.sentence for word in Verdict},
    **{role: role.sentence for role in (Role.REFERENCE, Role.CONTROL)},
    "ranked": f"Methods with at least {RANKED_SEEDS} seeds that ended well, within their league, by A, Γ or Φ, in "
    "scenarios with converged models, 50 classes or judgements, and a full backfill that gains 5 points. All others "
    "are shown and not ranked.",
    "league": "Methods that ask the same of the serving system; no rank crosses leagues. "
    + " ".join(f"{league.heading}: {league.sentence}" for league in League),
    **{number.heading: number.sentence for number in RANKED_BY},
    "seed": "One seed covers the old, the new and the independent model.",
    **{status: status.sentence for status in Status},
    Status.SKIPPED: f"{Status.SKIPPED.sentence} Tables show its first {LONGEST_REASON} characters.",
    "outdated": "The suite, the method's source or the protocol changed after the record was made.",
    "record": "The JSON file that one cell (suite, scenario, method, parameters, seed) wrote, with the hashes of "
    "its per-query arrays; every number of the page comes from records alone.",
    "negative flip": "A query that the old system answers and the new one does not.",
    "backfill": "Re-embedding the stored items with the new model; β is the share that is done.",
    "M(β)": "Quality of new queries while a share β of the gallery contains new vectors and the rest old ones: the "
    "cross-test at β = 0, the self-test at β = 1.",
    "compatibility matrix": "M(i,j): queries of generation i on the gallery of generation j, for j ≤ i. On the "
    "diagonal the gallery was re-embedded, left of it it was not.",
    "Pareto front": "The methods that no other one of their league beats in Γ and tax at once.",
    "loss curve": "Mean of each loss term per epoch of training, one line a seed.",
    **{f"needs: {need}": need.sentence for need in Need},
    **{name: f"Rows that need none of: {', '.join(needs)}." for name, needs in NEED_FILTERS.items()},
}


class Terms:
    """Definitions by name; two columns of one title and different descriptions are two terms."""

    def __init__(self) -> None:
        self._terms: dict[tuple[str, str], Definition] = {}
        for name, text in GENERAL.items():
            self.define(name, text)

    def define(self, name: str, text: str) -> str:
        """The anchor of this definition; adds it if it is new."""
        if (name, text) not in self._terms:
            taken = {term.anchor for term in self._terms.values()}
            stem = f"term-{re.sub(r'[^a-z0-9]+', '-', _ascii(name)).strip('-')}"
            anchor = next(one for one in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
            self._terms[name, text] = Definition(anchor, name, text)
        return self._terms[name, text].anchor

    def sorted(self) -> list[Definition]:
        """All terms, by name."""
        return sorted(self._terms.values(), key=lambda term: (_ascii(term.name), term.anchor))


def _ascii(name: str) -> str:
    """In lower case, with the signs of the field spelt out."""
    for sign, word in {"Γ": "gamma", "β": "beta", "*": "star", "−": "minus", "@": "at", "Δ": "delta"}.items():
        name = name.replace(sign, word)
    return name.lower()
