"""Reads relevance judgements: lines of query id, document id and grade, in the order of the heading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compatbench.data.vectors.formats.text import looks_like_a_number, read_text
from compatbench.data.vectors.notices import LISTED
from compatbench.errors import RequestError, listed

FORM = (
    "a qrels file has lines of query id, document id and relevance (or the four columns of TREC), separated by tabs "
    "or blanks"
)
NAMES = {
    "query": ("query", "queryid", "qid", "topic", "topicid"),
    "document": ("corpus", "corpusid", "doc", "docid", "docno", "did", "document", "documentid", "passage", "passageid",
                 "pid", "item", "itemid"),
    "grade": ("score", "relevance", "rel", "grade", "label", "judgment", "judgement"),
    "round": ("iter", "iteration", "round", "q0", "0"),
}  # fmt: skip
"""What a heading may call the columns, in small letters and without marks; TREC's second column says nothing."""

LEAST_GRADE, MOST_GRADE = 1e-30, 1e30
"""Of a grade that is not 0, without its sign: grades are kept as float32, and their gains added up in float64."""


@dataclass(frozen=True)
class Judged:
    """One judgement."""

    line: int
    query: str
    document: str
    grade: float


def read_judgements(path: Path) -> Iterator[Judged]:
    """The judgements of a file, one by one. Raises RequestError, naming the line, for anything else."""
    order: dict[str, int] | None = None
    for number, line in enumerate((one.rstrip() for one in read_text(path).splitlines()), start=1):
        words = line.split("\t") if line.count("\t") in (2, 3) else line.split()
        if not words:
            continue
        if len(words) not in (3, 4):
            raise RequestError(f"{path}, line {number}: {len(words)} columns; {FORM}")
        if order is None:
            if not looks_like_a_number(words[-1]):  # a line of judgements has a grade in its last place
                order = columns_of(str(path), words)
                continue
            order = {"query": 0, "document": len(words) - 2, "grade": len(words) - 1}
        grade = words[order["grade"]] if order["grade"] < len(words) else ""
        if not looks_like_a_number(grade):
            raise RequestError(f"{path}, line {number}: '{grade}' is no relevance; {FORM}")
        value = checked_grade(f"{path}, line {number}", float(grade))
        yield Judged(number, words[order["query"]].strip(), words[order["document"]].strip(), value)


def checked_grade(where: str, grade: float) -> float:
    """The same grade. Raises RequestError for one that no metric can add up: NaN, infinite, or beyond the bounds."""
    if grade != 0 and not LEAST_GRADE <= abs(grade) <= MOST_GRADE:
        raise RequestError(
            f"{where}: the grade {grade:g} cannot be added up; give 0, or a number whose size is from {LEAST_GRADE:g} "
            f"to {MOST_GRADE:g}"
        )
    return grade


def columns_of(name: str, words: Sequence[str], *, others: bool = False) -> dict[str, int]:
    """The places of `query`, `document` and `grade` by a heading, which with `others` may have further columns.

    Raises RequestError for one that does not say.
    """
    roles = [role_of(word) for word in words]
    order = {role: place for place, role in enumerate(roles) if role is not None}
    unknown = roles.count(None)
    clear = len(order) + unknown == len(words) and {"query", "document", "grade"} <= order.keys()
    if not clear or (unknown and not others):
        raise RequestError(
            f"{name}: its heading is {listed(map(repr, words), LISTED)}, which does not say which column is what; name "
            "them query-id, corpus-id and score"
        )
    return order


def role_of(word: str) -> str | None:
    """What the heading `word` says of its column; None where it says nothing."""
    plain = "".join(character for character in word.lower() if character.isalnum())
    return next((role for role, names in NAMES.items() if plain in names), None)
