"""Results of the contract checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from compatbench.errors import ContractError, InvalidResultError, RequestError, describe

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check."""

    check: str
    passed: bool
    message: str = ""
    """What to change, where it failed; why it was left out, where it could not run."""


class Violation(Exception):  # noqa: N818 - the outcome of a check, not a fault of the program
    """Raised inside a check: the file breaks the contract; the message says what to change."""


@dataclass
class Report:
    """Results of all checks of one file, in the order of running."""

    path: Path
    results: list[CheckResult] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(result.passed for result in self.results)

    @property
    def failed(self) -> list[CheckResult]:
        """The results of failed checks."""
        return [result for result in self.results if not result.passed]

    @property
    def just_failed(self) -> bool:
        """Whether the last check failed."""
        return not self.results[-1].passed

    def leave_out(self, check: str, why: str) -> None:
        """Note that `check` cannot run here."""
        self.results.append(CheckResult(check, True, why))

    def check(self, name: str, run: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """The result of `run` as the check `name`; None, and a failed result, if it raises."""
        try:
            value = run(*args, **kwargs)
        except (Violation, ContractError, InvalidResultError, RequestError) as error:
            self.results.append(CheckResult(name, False, str(error)))
        except Exception as error:
            self.results.append(CheckResult(name, False, f"{describe(error, self.path)}; it must not raise here"))
        else:
            self.results.append(CheckResult(name, True))
            return value
        return None

    def __str__(self) -> str:
        lines = [
            f"{'ok  ' if r.passed else 'FAIL'}  {r.check}{': ' if r.message else ''}{r.message}" for r in self.results
        ]
        count = len(self.failed)
        verdict = "keeps the contract" if self.passed else f"{count} of {len(self.results)} checks failed"
        return "\n".join([*lines, f"{self.path.name}: {verdict}"])
