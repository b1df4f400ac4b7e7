"""Small files that claim, hold or unpack to far more than an image: refused or read within 64 MiB."""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

MIB = 2**20
UNPACKED = 96 * MIB
"""What a bomb unpacks to, if it goes off."""

ALLOWED = 64 * MIB
"""Above what the reading process has without an image."""


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(side: int, *before: bytes, data: bytes = b"", after: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + body + after + chunk(b"IEND", b"")


def tiff(entries: dict[int, tuple[int, int]], data: bytes = b"") -> bytes:
    """A grey deflated image of 16x16 pixels; `entries` are counts and values by tag, −1 for where `data` lies."""
    tags = {256: (1, 16), 257: (1, 16), 258: (1, 8), 259: (1, 8), 262: (1, 1), 277: (1, 1), **entries}
    start = 8 + 2 + 12 * len(tags) + 4
    fields = [
        struct.pack("<HHII", tag, 4, count, start if value == -1 else value)
        for tag, (count, value) in sorted(tags.items())
    ]
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(fields) + bytes(4) + data


def gif(screen: int, frame: int, frames: int = 1) -> bytes:
    one = b"\x2c" + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x4c\x01\x00"
    return (
        b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + one * frames + b"\x3b"
    )


def webp(side: int) -> bytes:
    """An animation on a canvas of `side`, of one small frame."""
    frame = BytesIO()
    Image.new("RGB", (1, 1)).save(frame, "WEBP")
    image = frame.getvalue()[12:]
    body = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + struct.pack("<I", side - 1)[:3] * 2
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body += b"ANMF" + struct.pack("<I", 16 + len(image)) + bytes(12) + b"\x64\0\0\0" + image
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def packed() -> bytes:
    return zlib.compress(bytes(UNPACKED))


REFUSED: dict[str, Callable[[], bytes]] = {
    "claimed size": lambda: png(100_000),
    "claimed size below the limit": lambda: png(9_400),
    "zTXt": lambda: png(1, chunk(b"zTXt", b"a\0\0" + packed()), data=b"\0\0"),
    "iTXt": lambda: png(1, chunk(b"iTXt", b"a\0\1\0\0\0" + packed()), data=b"\0\0"),
    "zTXt after the pixels": lambda: png(1, data=b"\0\0", after=chunk(b"zTXt", b"a\0\0" + packed())),
    "many zTXt": lambda: png(1, *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MIB - 9)))] * 96, data=b"\0\0"),
    "colour profile": lambda: png(1, chunk(b"iCCP", b"a\0\0" + packed()), data=b"\0\0"),
    "TIFF strips": lambda: tiff({278: (1, 1), 273: (2**28, 200), 279: (2**28, 200)}),
    "TIFF strip": lambda: tiff({278: (1, 2**31), 273: (1, -1), 279: (1, 10**5)}, packed()),
    "TIFF tile": lambda: tiff({322: (1, 2**15), 323: (1, 2**15), 324: (1, -1), 325: (1, 10**5)}, packed()),
    "TIFF samples": lambda: tiff({277: (1, 65_535), 273: (1, 8), 279: (1, 8)}),
    "GIF screen": lambda: gif(65_535, 1),
    "GIF frame": lambda: gif(1, 65_535),
    "WebP canvas": lambda: webp(16_383),
    "PPM": lambda: b"P6 100000 100000 255\n",
    "BMP": lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**30, 2**30, 1, 24, *[0] * 6),
}

READ: dict[str, Callable[[], bytes]] = {
    "pixels that go on": lambda: png(1, data=bytes(UNPACKED)),
    "100,000 frames": lambda: gif(2, 2, 100_000),
}

READER = """
import json, os, resource, sys
from pathlib import Path
from compatbench.data.sound_files import _read_one

for path in sorted(Path(sys.argv[1]).iterdir()):
    mine, theirs = os.pipe()
    if os.fork() == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = _read_one(path)
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps([path.name, found if isinstance(found, str) else "", more * 1024]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """What is found in each file, and the memory that the look took at most, each in a process of its own."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, make in {**REFUSED, **READ}.items():
        (folder / name).write_bytes(make())
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READER, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30)),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    return {name: (found, more) for name, found, more in lines}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line_before_memory_is_used(looked: dict[str, tuple[str, int]], name: str) -> None:
    found, more = looked[name]
    assert found
    assert "\n" not in found
    assert more < ALLOWED


@pytest.mark.parametrize("name", READ)
def test_no_more_is_read_than_the_image(looked: dict[str, tuple[str, int]], name: str) -> None:
    found, more = looked[name]
    assert found == ""
    assert more < ALLOWED


def test_the_measure_sees_what_is_taken(looked: dict[str, tuple[str, int]], tmp_path: Path) -> None:
    """An image that is allowed takes what its pixels take."""
    Image.new("L", (9_000, 9_000)).save(tmp_path / "large.png")
    said = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(said)[2] > 9_000**2
