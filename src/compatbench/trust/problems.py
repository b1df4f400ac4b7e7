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


def serious(problems: Iterable[Problem]) -> list[Problem]:
    """Those that make a file untrustworthy."""
    return [problem for problem in problems if problem.serious]
