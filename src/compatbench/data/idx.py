"""The IDX format of the MNIST family: magic number, sizes, then unsigned bytes; usually gzipped.

http://yann.lecun.com/exdb/mnist/: bytes 0 and 1 are zero, byte 2 is the element type (8 = unsigned byte),
byte 3 the number of dimensions; then one big-endian uint32 a dimension, and the elements, the last index
fastest.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTE = 8


def decompress(path: Path, limit: int) -> bytes:
    """Content of the gzip file `path`. Raises ValueError if it is damaged or longer than `limit` bytes."""
    try:
        with gzip.open(path) as file:
            content = file.read(limit + 1)
    except EOFError as error:
        raise ValueError("it is truncated") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"it is no sound gzip file ({error})") from error
    if len(content) > limit:
        raise ValueError(f"it holds more than {limit:,} bytes")
    return content


def parse(content: bytes, dimensions: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in IDX `content`. Raises ValueError unless it has so many dimensions."""
    expected = bytes((0, 0, UNSIGNED_BYTE, dimensions))
    if content[:4] != expected:
        raise ValueError(f"its magic number is {content[:4].hex()}, not {expected.hex()}")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError("it ends inside its header")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"its header promises {math.prod(shape):,} bytes, {len(content) - start:,} follow")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
