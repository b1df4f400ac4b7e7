"""A collection of Qdrant: `qdrant://HOST:6333?table=NAME`, `qdrants` by TLS, `qdrant:///FOLDER?table=NAME` on disk.

The columns are the named vectors (or `vector`), `id`, and the payload of the first point. QDRANT_API_KEY is the key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from compatbench.data.vectors.formats.format import Columns, Format, Names
from compatbench.data.vectors.stores.address import Address
from compatbench.data.vectors.stores.pages import ROWS, as_rows, from_pages, in_one_line
from compatbench.errors import RequestError

VECTOR, ID = "vector", "id"


def opened(address: Address) -> Format:
    """The collection as a format."""

    def columns(_: Path) -> Names:
        with in_one_line(address):
            client = _client(address)
            try:
                points, _next = client.scroll(address.table, limit=1, with_payload=True, with_vectors=True)
            finally:
                client.close()
        if not points:
            raise RequestError(f"{address.name} has no points")
        vectors = points[0].vector if isinstance(points[0].vector, dict) else {VECTOR: points[0].vector}
        dense = {name: True for name, value in vectors.items() if isinstance(value, list)}
        return {**dense, ID: False, **dict.fromkeys(points[0].payload or {}, False)}

    def read(path: Path, names: Sequence[str]) -> Columns:
        vectors = {name for name, can in columns(path).items() if can}
        with in_one_line(address):
            client = _client(address)
            try:
                return from_pages(address, names, _pages(client, address.table, names, vectors))
            finally:
                client.close()

    return Format(columns, read)


def _client(address: Address) -> Any:
    from qdrant_client import QdrantClient

    if not address.url.netloc:
        return QdrantClient(path=address.url.path)
    scheme = "https" if address.url.scheme == "qdrants" else "http"
    return QdrantClient(url=f"{scheme}://{address.url.netloc}", api_key=os.environ.get("QDRANT_API_KEY"))


def _pages(client: Any, collection: str, names: Sequence[str], vectors: set[str]) -> Iterator[dict[str, Any]]:
    wanted = [name for name in names if name in vectors and name != VECTOR]
    payload = [name for name in names if name not in vectors and name != ID]
    place: Any = None
    while True:
        points, place = client.scroll(
            collection, limit=ROWS, offset=place, with_payload=payload or False, with_vectors=wanted or True
        )
        if points:
            yield {name: _column(points, name, vectors) for name in names}
        if place is None:
            return


def _column(points: list[Any], name: str, vectors: set[str]) -> list[Any]:
    if name in vectors:
        return as_rows([one.vector.get(name) if isinstance(one.vector, dict) else one.vector for one in points])
    return [one.id if name == ID else (one.payload or {}).get(name) for one in points]
