"""How many values each column of a Parquet file declares, from its footer.

pyarrow tells that too, but for some damaged footers its library ends the whole process. The footer is one structure in
Thrift's compact protocol (doc/specs/thrift-compact-protocol.md of apache/thrift); the numbers of its fields are
those of src/main/thrift/parquet.thrift in apache/parquet-format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEPTH = 16
"""Of structures in each other; those of Parquet are half as deep."""

TRUE, FALSE = 1, 2
ROW_GROUPS, COLUMNS, META, TYPE, NAMES, VALUES = 4, 1, 3, 1, 3, 5
"""Fields of a file, a row group, a column chunk and its metadata."""
PHYSICAL = ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")


@dataclass(frozen=True)
class Chunk:
    """One column of a row group."""

    name: str
    """Of the whole column, also where this is a part of a nested one."""
    kind: str
    """Physical type."""
    values: int


def chunks(source: Path | bytes) -> Iterator[Chunk]:
    """The columns of every row group. Raises ValueError or OSError for a file that is no Parquet file."""
    for group in _Reader(_footer(source)).structure().get(ROW_GROUPS, []):
        for column in group.get(COLUMNS, []):
            meta = column[META]
            yield Chunk(meta[NAMES][0].decode(), PHYSICAL[meta[TYPE]], meta[VALUES])


def _footer(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        length = int.from_bytes(source[-8:-4], "little")
        return source[max(0, len(source) - 8 - length) : -8]
    with source.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
        start = max(0, size - 8 - length)
        file.seek(start)
        return file.read(max(0, size - 8 - start))


class _Reader:
    """Reads values one after the other. Raises IndexError at the end."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def structure(self, depth: int = 0) -> dict[int, Any]:
        """Values by the numbers of their fields."""
        if depth > DEPTH:
            raise ValueError("its footer is too deep")
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            found[number] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 4 | 5 | 6:
                return self._zigzag()
            case 1 | 2 | 3:
                return self._byte()
            case 7 | 8:
                return self._bytes(8 if kind == 7 else self._varint())
            case 9 | 10:
                head = self._byte()
                count = head >> 4 if head >> 4 < 15 else self._varint()
                return [self._value(head & 15, depth + 1) for _ in range(self._bounded(count))]
            case 11:
                count = self._bounded(self._varint())
                kinds = self._byte() if count else 0
                return [(self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(count)]
            case 12:
                return self.structure(depth + 1)
        raise ValueError(f"its footer has a value of an unknown kind ({kind})")

    def _byte(self) -> int:
        self.place += 1
        return self.content[self.place - 1]

    def _bytes(self, count: int) -> bytes:
        self.place += self._bounded(count)
        return self.content[self.place - count : self.place]

    def _bounded(self, count: int) -> int:
        """No more values, each of a byte at least, than bytes are left."""
        if count > len(self.content) - self.place:
            raise ValueError("its footer ends too early")
        return count

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("its footer has a number of more than 64 bits")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
