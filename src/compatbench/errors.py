"""The errors that the project raises on purpose, grouped by remedy."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The text of another library's error in one line; its type's name if it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def one_line(text: str) -> str:
    """`text` with every run of white space made one space, and without control characters."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).split())


def kind_and_text(error: BaseException) -> str:
    """An error's type and text, in one line."""
    text = one_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class RequestError(Exception):
    """The request itself is wrong (bad suite, unknown method, missing data): one line, exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # what it quotes, such as a key or a file, may hold line breaks


class InvalidResultError(Exception):
    """A cell produced numbers that cannot count (NaN loss, zero vectors): its record is `invalid`."""


class LostProcessError(Exception):
    """Another process that trained the same model is gone: its end is the cell's outcome."""


class ContractError(Exception):
    """A method breaks the contract; the message says what its author should change."""


class MachineError(Exception):
    """The machine cannot go on (disk full, unwritable folder): one line; finished work is kept."""

    @classmethod
    def of(cls, error: BaseException) -> MachineError:
        """From an error of the system."""
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return cls(f"{said}: nothing more can be written; make room or mend it, and run again: what is done is kept")
