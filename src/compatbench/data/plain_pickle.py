"""Reads plain data out of a pickle without running it.

Some authors publish lists as a pickle, and `pickle.load` runs whatever such a file says. Here the file's opcodes are
walked through with the standard library's disassembler, which executes nothing, and only what builds lists,
tuples, dictionaries, strings, numbers and numpy arrays has a meaning. Names of functions are compared, never looked
up. https://docs.python.org/3/library/pickletools.html describes the opcodes.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARRAY_MAKERS = {f"{module}.multiarray _reconstruct" for module in ("numpy.core", "numpy._core")}
SCALAR_MAKERS = {f"{module}.multiarray scalar" for module in ("numpy.core", "numpy._core")}
BUFFER_READERS = {f"{module}.numeric _frombuffer" for module in ("numpy.core", "numpy._core")}
BYTES_MAKER = "_codecs encode"
"""How Python 3 writes bytes in protocol 2: a latin-1 string and the name of a codec."""
NO_BYTES_MAKER = "__builtin__ bytes"
"""How it writes empty ones."""
NUMBERS = "?biuf"
"""Kinds of numpy numbers; objects, which could be anything, are not among them."""


class UnplainPickleError(ValueError):
    """The pickle holds something else than plain data."""


def load_plain(content: bytes) -> Any:
    """The object that the pickle `content` describes. Raises UnplainPickleError if it is more than plain data."""
    machine = _Machine()
    try:
        for opcode, argument, position in pickletools.genops(content):
            if opcode.name == "STOP":
                return _finished(machine.pop())
            machine.step(opcode.name, argument, position or 0)
    except UnplainPickleError:
        raise
    except Exception as error:  # a damaged file can break any of the steps
        raise UnplainPickleError(f"damaged pickle ({type(error).__name__}: {error})") from error
    raise UnplainPickleError("damaged pickle (it does not end)")


class _Mark:
    """Where a list, tuple or dictionary begins on the stack."""


@dataclass
class _Name:
    """A function or class that the file mentions, as "module name"; only text."""

    text: str


@dataclass
class _Array:
    """An array whose shape, type and bytes have yet to come."""

    value: Any = None


@dataclass
class _Type:
    """A numpy number type, such as `i8`, and its byte order."""

    kind: str
    order: str = "="

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.kind).newbyteorder(self.order if self.order in "<>" else "=")  # type: ignore[arg-type]


@dataclass
class _Machine:
    """The stack and the memory of a pickle, as far as plain data needs them."""

    stack: list[Any] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        start = max(place for place, value in enumerate(self.stack) if isinstance(value, _Mark))
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def step(self, name: str, argument: Any, position: int) -> None:
        """One opcode. Strings and numbers come as `argument`."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _MEMORY:
            self._remember(name, argument)
        elif name in _CONTAINERS:
            self._collect(name)
        elif name in _OBJECTS:
            self._make(name, argument, position)
        elif name not in ("PROTO", "FRAME"):
            raise UnplainPickleError(f"opcode {name} at byte {position} is not one of plain data")

    def _remember(self, name: str, argument: Any) -> None:
        if name == "MEMOIZE":
            self.memory[len(self.memory)] = self.stack[-1]
        elif "PUT" in name:
            self.memory[argument] = self.stack[-1]
        else:
            self.stack.append(self.memory[argument])

    def _collect(self, name: str) -> None:
        """Tuples, lists and dictionaries, and what is added to them."""
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            self.stack[-count:] = [tuple(self.stack[-count:])]
            return
        if name in ("APPEND", "SETITEM"):
            count = 1 if name == "APPEND" else 2
            values = self.stack[-count:]
            del self.stack[-count:]
        else:
            values = self.pop_to_mark()
        if name == "TUPLE":
            self.stack.append(tuple(values))
        elif name == "LIST":
            self.stack.append(values)
        elif name in ("APPEND", "APPENDS"):
            _of(list, self.stack[-1]).extend(values)
        else:
            if name == "DICT":
                self.stack.append({})
            _of(dict, self.stack[-1]).update(zip(values[::2], values[1::2], strict=True))

    def _make(self, name: str, argument: Any, position: int) -> None:
        """Names of functions, and the few whose outcome is known."""
        if name == "GLOBAL":
            self.stack.append(_Name(argument))
        elif name == "STACK_GLOBAL":
            function, module = self.pop(), self.pop()
            self.stack.append(_Name(f"{module} {function}"))
        elif name == "REDUCE":
            arguments, maker = self.pop(), self.pop()
            self.stack.append(_made(maker, arguments, position))
        else:
            state = self.pop()
            _fill(self.stack[-1], state, position)


_CONSTANTS: dict[str, Any] = {
    "MARK": _Mark,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_MEMORY = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"}
_CONTAINERS = {
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "LIST", "DICT"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS"),
}
_OBJECTS = {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"}


def _of(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise UnplainPickleError(f"a {type(value).__name__} stands where a {kind.__name__} should")
    return value


def _made(function: Any, arguments: Any, position: int) -> Any:
    """What one of the few known makers makes; nothing is called."""
    known = function.text if isinstance(function, _Name) else ""
    if known in ARRAY_MAKERS:
        return _Array()
    if known == "numpy dtype":
        kind = str(arguments[0])
        if np.dtype(kind).kind not in NUMBERS:
            raise UnplainPickleError(f"numpy type {kind!r} at byte {position} is not one of numbers")
        return _Type(kind)
    if known in SCALAR_MAKERS:
        kind, content = arguments
        return np.frombuffer(_bytes(content), _of(_Type, kind).numpy())[0]
    if known in BUFFER_READERS:
        content, kind, shape, order = arguments
        return _array(content, kind, shape, order)
    if known == NO_BYTES_MAKER and arguments == ():
        return b""
    if known == BYTES_MAKER:
        return _of(str, arguments[0]).encode("latin-1")
    raise UnplainPickleError(f"it would call {known or 'something unnamed'} at byte {position}")


def _fill(target: Any, state: Any, position: int) -> None:
    """The state of an array (version, shape, type, Fortran order, bytes) or of a type (version, byte order, …)."""
    if isinstance(target, _Type):
        target.order = str(state[1])
    elif isinstance(target, _Array):
        _, shape, kind, fortran, content = state
        target.value = _array(content, kind, shape, "F" if fortran else "C")
    else:
        raise UnplainPickleError(f"it would set the state of a {type(target).__name__} at byte {position}")


def _array(content: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    flat = np.frombuffer(_bytes(content), _of(_Type, kind).numpy())
    return flat.reshape(shape, order=order).copy()


def _bytes(content: Any) -> bytes:
    """Python 2 wrote bytes as strings, one character a byte."""
    if isinstance(content, bytearray):
        return bytes(content)
    return content.encode("latin-1") if isinstance(content, str) else _of(bytes, content)


def _finished(value: Any, done: dict[int, Any] | None = None) -> Any:
    """`value` with the arrays in place of what held them; what is there twice is made once."""
    done = {} if done is None else done
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, _Name | _Type | _Mark):
        raise UnplainPickleError("it holds a name of a function or class")
    if not isinstance(value, list | tuple | dict):
        return value
    if id(value) not in done:
        if isinstance(value, dict):
            done[id(value)] = {_finished(key, done): _finished(each, done) for key, each in value.items()}
        else:
            done[id(value)] = type(value)([_finished(each, done) for each in value])
    return done[id(value)]
