import gzip
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteIdx = Callable[[Path, np.ndarray], Path]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may talk to a server of its own, and to nothing else."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: tuple[str, int]) -> None:
        local = self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "localhost", "::1")
        assert local, f"a test reached for {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_locally)


@pytest.fixture
def write_idx() -> WriteIdx:
    """Writes an array as a gzipped IDX file, byte by byte as the format's page says."""

    def write(path: Path, array: np.ndarray) -> Path:
        header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", side) for side in array.shape)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(header + bytes(array.flatten().tolist())))
        return path

    return write


WriteImage = Callable[..., Path]


@pytest.fixture
def write_image() -> WriteImage:
    """Writes a plain image: `write_image(path, colour, size, mode)`, in the format of the path's suffix."""

    def write(
        path: Path, colour: object = (200, 30, 90), size: tuple[int, int] = (12, 10), mode: str = "RGB", **options
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, colour).save(
            path, "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else None, **options
        )
        return path

    return write
