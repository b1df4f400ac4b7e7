"""Reads plain data out of a pickle without running it.

Some authors publish lists as a pickle, and `pickle.load` calls whatever such a file names. Here the standard library's
unpickler knows only the opcodes of lists, tuples, dictionaries, strings, numbers and numpy arrays, and a name in the
file leads to one of the functions below or to an error; nothing is imported.
https://docs.python.org/3/library/pickle.html#restricting-globals
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

NUMBERS = "?biuf"
"""Kinds of numpy numbers; objects, which could be anything, are not among them."""


LARGEST, DEEPEST = 100_000_000, 30
"""Values that a pickle may unfold to, and levels of lists in lists."""


class UnplainPickleError(ValueError):
    """The pickle is damaged, or contains more than plain data."""


def load_plain(content: bytes) -> Any:
    """The object in the pickle `content`. Raises UnplainPickleError if it is more than plain data."""
    try:
        found = _Unpickler(io.BytesIO(content), encoding="latin-1").load()  # Python 2 wrote bytes as strings
        if _unfolded(found, {}, 0) > LARGEST:
            raise UnplainPickleError(f"its shared parts unfold to more than {LARGEST:,} values")
        return found
    except UnplainPickleError:
        raise
    except Exception as error:  # a damaged file can break any of the steps
        raise UnplainPickleError(f"damaged pickle ({type(error).__name__}: {error})") from error


def _unfolded(value: Any, sizes: dict[int, float], depth: int) -> float:
    """Values in lists, tuples and dictionaries, shared ones counted wherever they stand; infinite for a circle."""
    if not isinstance(value, list | tuple | dict):
        return 1
    if depth > DEEPEST:
        raise UnplainPickleError(f"it is more than {DEEPEST} levels deep")
    if id(value) not in sizes:
        sizes[id(value)] = math.inf
        parts = value.values() if isinstance(value, dict) else value
        sizes[id(value)] = 1 + sum(_unfolded(part, sizes, depth + 1) for part in parts)
    return sizes[id(value)]


def _bytes(content: Any) -> bytes:
    return content.encode("latin-1") if isinstance(content, str) else memoryview(content).tobytes()


def _encode(text: str, codec: str) -> bytes:
    """How Python 3 writes bytes in protocol 2."""
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""


def _type(kind: str, *_: object) -> np.dtype[Any]:
    """A number type of its own, whose byte order is still to come. Raises UnplainPickleError for another type."""
    made = np.dtype(str(kind))
    if made.kind not in NUMBERS:
        raise UnplainPickleError(f"numpy type {kind!r} is not one of numbers")
    return np.dtype(made, copy=True)


def _empty(*_: object) -> NDArray[Any]:
    """An array whose shape, type and bytes are still to come."""
    return np.empty(0)


def _array(content: Any, kind: np.dtype[Any], shape: tuple[int, ...], order: Any) -> NDArray[Any]:
    return np.frombuffer(_bytes(content), kind).reshape(shape, order=order).copy("K")


def _scalar(kind: np.dtype[Any], content: Any) -> Any:
    return np.frombuffer(_bytes(content), kind)[0]


KNOWN = {
    "_codecs.encode": _encode,
    "__builtin__.bytes": _no_bytes,
    "numpy.dtype": _type,
    "numpy.ndarray": _empty,
    **{f"numpy.{core}.multiarray._reconstruct": _empty for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _array for core in ("core", "_core")},
}
"""What stands here for the functions that plain data and numpy arrays name."""

OPCODES = (
    *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE"),
)


def _load(opcode: bytes) -> Callable[[Any], None]:
    """What the standard library does for an opcode."""
    return pickle._Unpickler.dispatch[opcode[0]]


class _Unpickler(pickle._Unpickler):  # not the one in C: that one sets aside whatever memory the file asks for
    """The standard library's, with few opcodes."""

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def find_class(self, module: str, name: str) -> Any:
        """Our own function in place of the one that the file names."""
        if f"{module}.{name}" not in KNOWN:
            raise UnplainPickleError(f"it would call {module} {name}")
        return KNOWN[f"{module}.{name}"]

    def build(self) -> None:
        """Set the state of an array (version, shape, type, Fortran order, bytes) or a type (version, byte order, …)."""
        state, target = self.stack.pop(), self.stack[-1]
        made: Any
        if isinstance(target, np.dtype):
            made = target.newbyteorder(state[1] if state[1] in ("<", ">") else "=")
        elif isinstance(target, np.ndarray):
            _, shape, kind, fortran, content = state
            made = _array(content, kind, shape, "F" if fortran else "C")
        else:
            raise UnplainPickleError(f"it would set the state of a {type(target).__name__}")
        target.__setstate__(made.__reduce__()[2])

    def set_items(self, items: list[Any]) -> None:
        """Add alternating keys and values to the dictionary on the stack."""
        if type(self.stack[-1]) is not dict or not all(isinstance(key, str | bytes | int) for key in items[::2]):
            raise UnplainPickleError("a dictionary has keys that are neither text nor numbers")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def set_item(self) -> None:
        """Add one key and its value."""
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def dictionary(self) -> None:
        """Start a dictionary from all keys and values above the mark."""
        items = self.pop_mark()
        self.append({})
        self.set_items(items)

    dispatch: ClassVar = {getattr(pickle, name)[0]: _load(getattr(pickle, name)) for name in OPCODES} | {
        pickle.BYTEARRAY8[0]: _load(pickle.BINBYTES8),  # which does not set aside what the file says that it needs
        pickle.BUILD[0]: build,
        pickle.DICT[0]: dictionary,
        pickle.SETITEM[0]: set_item,
        pickle.SETITEMS[0]: lambda self: self.set_items(self.pop_mark()),
    }
