"""docs/claims.md: the published claims of each method, and the leaderboard's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from compatbench.report.render.to_markdown import escape, grid, joined
from compatbench.report.rows.claims import Check, ClaimOutcome, Finding, findings, overall
from compatbench.report.site.board import Board
from compatbench.storage.strict_yaml import read_mapping
from compatbench.storage.validation import validated

CLAIMS_FILE, CLAIMS_PAGE = "claims.yaml", "claims.md"

_INTRODUCTION = """\
# What authors claim, and what was measured

<!-- Made by `compatbench tables` from docs/claims.yaml and the leaderboard's records: edit those, not this. -->

Each published behaviour as comparisons of numbers, on the scenarios of [the leaderboard](../results/README.md). A
comparison is *confirmed* or *refuted* where the difference is significant (the one rule of [the
protocol](protocol.md), corrected over all comparisons of this page), else *undecided*. A claim is what all its
comparisons are, *partly* so where others of them are undecided, and *mixed* where one is confirmed and one refuted.
A comparison of the same models in two suites stands once, under the first of them.
*Not tested*: no comparison is stated, or the leaderboard has no row with two seeds. What is refuted is so for these
data, models and settings; the authors measured on others. Tolerances such as 2 points are ours. A control's
expectation is judged here like a claim; whether it misbehaves, so that a table proves nothing, is told by the banner of
[the leaderboard](../results/README.md).
"""


class PublishedClaim(BaseModel):
    """A method's published behaviour, and the comparisons that would show it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: str = Field(min_length=1)
    """One sentence."""
    checks: tuple[str, ...] = ()
    untested: str = ""
    """What of the claim no check covers, or why there is none."""

    @field_validator("checks")
    @classmethod
    def _are_checks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            Check.parse(text)
        return value


def read_claims(path: Path) -> dict[str, PublishedClaim]:
    """The claims of the file by method. Raises RequestError, in one line, for a malformed one."""
    return {
        str(name): validated(PublishedClaim, values, f"{path}: {name}: ") for name, values in read_mapping(path).items()
    }


def claims_page(claims: Mapping[str, PublishedClaim], board: Board) -> str:
    """The page's text; equal claims and boards give equal text."""
    checks = {name: [Check.parse(text) for text in claim.checks] for name, claim in claims.items()}
    found = findings(checks, ((report.runs, report.rows) for report in board.reports))
    outcomes = {name: [one.outcome for _, several in told for one in several] for name, told in found.items()}
    rows = [
        [
            f"[{name}](methods.md#{name})",
            escape(claim.claim),
            f"**{overall(outcomes[name])}**",
            _counts(outcomes[name]),
            escape(claim.untested),
        ]
        for name, claim in sorted(claims.items())
    ]
    headers = ["method", "published", "here", "comparisons", "not covered"]
    parts = [_INTRODUCTION.rstrip(), grid(rows, headers)]
    measured = [
        [f"[{name}](methods.md#{name})", f"`{check.text}`", *_measured(one)]
        for name, told in sorted(found.items())
        for check, several in told
        for one in several
    ]
    if measured:
        headers = ["method", "comparison", "suite", "scenario", "setting", "seeds", "surplus in points", "here"]
        parts += [
            "## Each comparison",
            "The surplus says by how much the comparison holds, in points of mAP (of queries, for NFR), with its 95% "
            "interval; below 0 it does not. `compatbench run SUITE --scenarios SCENARIO --methods METHOD` computes a "
            "row again.",
            grid(measured, headers),
        ]
    return joined(parts)


def _counts(outcomes: Sequence[ClaimOutcome]) -> str:
    counted = {
        word: outcomes.count(word) for word in (ClaimOutcome.CONFIRMED, ClaimOutcome.REFUTED, ClaimOutcome.UNDECIDED)
    }
    return ", ".join(f"{number} {word}" for word, number in counted.items() if number) or "–"


def _measured(one: Finding) -> list[str]:
    surplus = one.surplus.in_points()
    value = "–" if surplus.value is None else f"{surplus.value:+.1f}"
    interval = "" if surplus.low is None or surplus.high is None else f" [{surplus.low:+.1f}, {surplus.high:+.1f}]"
    return [one.suite, one.scenario, one.setting or "–", str(one.seeds), f"{value}{interval}", f"**{one.outcome}**"]
