"""Results of the contract checks."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from compatbench.errors import ContractError, InvalidResultError


@dataclass(frozen=True)
class Result:
    """Outcome of one check."""

    check: str
    passed: bool
    message: str = ""
    """What to change, where it failed; why it was left out, where it could not run."""


class Finding(Exception):  # noqa: N818 - the outcome of a check, not a fault of the program
    """Raised inside a check: the contract does not hold; the message says what to change."""


@dataclass
class Report:
    """Results of all checks of one file, in the order in which they ran."""

    path: Path
    results: list[Result] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check that ran passed."""
        return all(result.passed for result in self.results)

    @property
    def failed(self) -> list[Result]:
        """The results that did not pass."""
        return [result for result in self.results if not result.passed]

    @property
    def just_failed(self) -> bool:
        """Whether the check that ran last failed."""
        return not self.results[-1].passed

    def leave_out(self, check: str, why: str) -> None:
        """Note that `check` cannot run here."""
        self.results.append(Result(check, True, why))

    @contextmanager
    def checking(self, check: str) -> Iterator[None]:
        """Run the body as `check`: what it raises becomes a failed result, and the next check goes on."""
        try:
            yield
        except Finding as finding:
            self.results.append(Result(check, False, str(finding)))
        except (ContractError, InvalidResultError) as error:
            self.results.append(Result(check, False, str(error)))
        except Exception as error:
            self.results.append(Result(check, False, f"{describe(error, self.path)}; it must not raise here"))
        else:
            self.results.append(Result(check, True))

    def __str__(self) -> str:
        lines = [
            f"{'ok  ' if r.passed else 'FAIL'}  {r.check}{': ' if r.message else ''}{r.message}" for r in self.results
        ]
        count = len(self.failed)
        verdict = "keeps the contract" if self.passed else f"{count} of {len(self.results)} checks failed"
        return "\n".join([*lines, f"{self.path.name}: {verdict}"])


def describe(error: BaseException, path: Path) -> str:
    """`error` in one line, with the innermost line of the file's own folder that led to it."""
    text = " ".join(str(error).split()) or "no message"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == path.resolve().parent]
    where = f" at {Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name}()" if own else ""
    return f"{type(error).__name__}{where}: {text}"
