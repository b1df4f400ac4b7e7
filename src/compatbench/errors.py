"""The project's own errors, grouped by remedy."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterable
from importlib.util import find_spec
from math import inf
from numbers import Integral, Real
from pathlib import Path
from typing import Any

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
"""A full disk, a quota, a file system that cannot be written or is damaged, a limit on the size of files."""
TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
NO_ROOM_FOR_LIBRARY = "failed to map segment from shared object"


def first_line(error: BaseException) -> str:
    """The text of another library's error in one line; its type's name if it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def listed(names: Iterable[object], most: int = 5) -> str:
    """The first names with commas between, and how many more there are."""
    words = [str(name) for name in names]
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


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


def check_number(name: str, value: Any, least: float | None = None, *, whole: bool = True) -> None:
    """Raise RequestError for an option that is no finite number, whole unless told otherwise, or less than `least`."""
    right = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not right or not (-inf if least is None else least) <= value < inf:
        bound = "" if least is None else f" from {least:g} on"
        raise RequestError(f"{name} is {value!r}: give a {'whole' if whole else 'finite'} number{bound}")


def check_installed(module: str, what: str, extra: str, package: str = "") -> None:
    """Raise RequestError, with the remedy, unless an optional module is installed; `package` if it has another name."""
    if find_spec(module) is None:
        raise RequestError(f"{what} needs the package '{package or module}': pip install 'compatbench[{extra}]'")


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
        if isinstance(error, cls):
            return error
        number = error.errno if isinstance(error, OSError) else None
        said = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        remedy = "nothing more can be written; make room or mend it"
        if number in TOO_MANY_FILES:
            remedy = "raise the limit (`ulimit -n`)"
        if NO_ROOM_FOR_LIBRARY in said:
            remedy = "raise the limit of memory (`ulimit -v`)"
        if isinstance(error, MemoryError):
            said, remedy = f"not enough memory ({said})", "give it fewer or shorter vectors, or more memory"
        return cls(f"{said}: {remedy}, and run again: what is done is kept")


def is_machines_failure(error: BaseException | None) -> bool:
    """Whether the machine is the cause: its disk, or limit of open files or of memory; safetensors says so in words."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, MachineError) or number in (*DISK_ERRORS, *TOO_MANY_FILES):
            return True
        if NO_ROOM_FOR_LIBRARY in str(error) or any(f"(os error {code})" in str(error) for code in DISK_ERRORS):
            return True
        error = error.__cause__ or error.__context__
    return False


def describe(error: BaseException, path: Path) -> str:
    """`error` in one line, with the innermost line of the file's own folder in its traceback."""
    text = one_line(str(error)) or "no message"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == path.resolve().parent]
    where = f" at {Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name}()" if own else ""
    return f"{type(error).__name__}{where}: {text}"
