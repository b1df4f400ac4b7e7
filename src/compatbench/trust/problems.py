"""The findings of verification."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One error, or one note for the reader."""

    where: str
    """The file, below the folder of results."""
    message: str
    """In one line: what is wrong, and how to mend it."""
    serious: bool = True
    """Whether the file cannot be trusted; otherwise it is something to know."""

    def __str__(self) -> str:
        return f"{'FAIL' if self.serious else 'note'}  {self.where}: {self.message}"


def told(problems: Iterable[Problem]) -> list[str]:
    """One line for each note, however many files it is about, and then one for each error."""
    files: dict[str, list[str]] = {}
    errors = []
    for problem in problems:
        if problem.serious:
            errors.append(str(problem))
        else:
            files.setdefault(problem.message, []).append(problem.where)
    notes = [
        str(Problem(first + (f" and {len(others):,} more" if others else ""), message, serious=False))
        for message, (first, *others) in files.items()
    ]
    return notes + errors


def serious(problems: Iterable[Problem]) -> list[Problem]:
    """Those that make a file untrustworthy."""
    return [problem for problem in problems if problem.serious]
