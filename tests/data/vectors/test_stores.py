"""Vectors out of databases: a local Qdrant, a real PostgreSQL with pgvector, LanceDB in a folder; all in pages."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from compatbench.data.vectors.embeddings import read_table
from compatbench.data.vectors.options import DEFAULT, InputOptions
from compatbench.data.vectors.stores import pages
from compatbench.data.vectors.stores.address import Address, source
from compatbench.errors import RequestError

ROWS = 7
VECTORS = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
KINDS = np.array(["cat", "dog"])[np.arange(ROWS) % 2]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("qdrant", "pgvector", "lancedb"):
        monkeypatch.setattr(f"compatbench.data.vectors.stores.{name}.ROWS", 3)


def check(address: str, ids: NDArray[np.generic], options: InputOptions, *, atol: float = 0) -> None:
    """All rows are read, in any order, with their ids and classes."""
    table = read_table(source(address), options)
    assert table.ids is not None
    assert table.labels is not None
    order, expected = np.argsort(table.ids), np.argsort(ids)
    assert table.ids[order].tolist() == ids[expected].tolist()
    assert table.labels[order].tolist() == KINDS[expected].tolist()
    np.testing.assert_allclose(table.float32()[order], VECTORS[expected], atol=atol)


@pytest.mark.parametrize("named", [False, True])
def test_a_collection_of_qdrant_is_read(tmp_path: Path, named: bool) -> None:
    client = QdrantClient(path=str(tmp_path))
    size = models.VectorParams(size=3, distance=models.Distance.EUCLID)
    client.create_collection("items", vectors_config={"new": size, "old": size} if named else size)
    ids = np.array([str(uuid.UUID(int=row)) for row in range(ROWS)]) if named else np.arange(ROWS) * 5 + 1
    points = [
        models.PointStruct(
            id=one.item() if not named else str(one),
            vector={"new": row.tolist(), "old": [0.0, 0.0, 1.0]} if named else row.tolist(),
            payload={"kind": str(kind), "title": "x"},
        )
        for one, row, kind in zip(ids, VECTORS, KINDS, strict=True)
    ]
    client.upsert("items", points)
    client.close()
    options = InputOptions(labels="kind", vectors="new" if named else None)
    check(f"qdrant://{tmp_path}?table=items", ids, options, atol=1e-6)
    with pytest.raises(RequestError, match="qdrant:others cannot be read"):
        read_table(source(f"qdrant://{tmp_path}?table=others"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a server of this test, on loopback."""
    found = _programs()
    if found is None:
        pytest.skip("PostgreSQL with pgvector is not installed: apt-get install postgresql-NN-pgvector")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="compatbench-postgres-"))
    if os.geteuid() == 0:  # which it refuses
        shutil.chown(folder, "nobody")
    cluster = ["-D", str(folder / "data")]
    settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
    try:
        _run(found / "initdb", *cluster, "-U", "tester", "-A", "trust", "--no-sync")
        _run(found / "pg_ctl", *cluster, "-w", "-l", str(folder / "log"), "-o", settings, "start")
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        _run(found / "pg_ctl", *cluster, "-m", "immediate", "stop", check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: Path, *words: str, check: bool = True) -> None:
    user = "nobody" if os.geteuid() == 0 else None
    subprocess.run([program, *words], check=check, stdout=subprocess.DEVNULL, cwd="/", user=user)


def _programs() -> Path | None:
    """Of Debian, or of the Python package pgserver; None if neither has the extension."""
    for control in sorted(Path("/usr/share/postgresql").glob("*/extension/vector.control")):
        return Path("/usr/lib/postgresql") / control.parts[4] / "bin"
    spec = find_spec("pgserver")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "pginstall" / "bin"


@pytest.mark.parametrize(
    ("kind", "cast"), [("vector(3)", 0), ("halfvec(3)", 2e-3), ("real[]", 0), ("double precision[]", 0)]
)
def test_a_table_of_postgresql_is_read(postgres: str, kind: str, cast: float) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if kind.startswith("halfvec") and not connection.execute("SELECT to_regtype('halfvec')").fetchone()[0]:  # type: ignore[index]
            pytest.skip("this pgvector is older than halfvec")
        connection.execute('DROP TABLE IF EXISTS "our items"')
        connection.execute(f'CREATE TABLE "our items" (id uuid, emb {kind}, "the kind" text, price numeric)')
        ids = np.array([str(uuid.UUID(int=row)) for row in range(ROWS)])
        for one, row, name in zip(ids, VECTORS, KINDS, strict=True):
            given = str(row.tolist()) if "vec" in kind else row.tolist()
            connection.execute('INSERT INTO "our items" VALUES (%s, %s, %s, 1)', [one, given, name])
    address = f"{postgres}?table=%22our%20items%22"
    check(address, ids, InputOptions(labels="the kind"), atol=cast)
    with pytest.raises(RequestError, match="postgresql:missing cannot be read: relation"):
        read_table(source(f"{postgres}?table=missing"))


def test_a_table_of_lancedb_is_read(tmp_path: Path) -> None:
    lancedb = pytest.importorskip("lancedb")
    pa = pytest.importorskip("pyarrow")
    column = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.reshape(-1)), 3)
    lancedb.connect(tmp_path).create_table(
        "items", pa.table({"id": np.arange(ROWS), "vector": column, "label": KINDS.tolist()})
    )
    check(f"lancedb://{tmp_path}?table=items", np.arange(ROWS), DEFAULT)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("milvus://host?table=a", "no store 'milvus'"),
        ("qdrant://host", r"which table of qdrant://host\?"),
        ("postgresql://me:s3cret@host/db?table=a", "must not have credentials.* PGPASSWORD"),
        ("postgresql://host/db?table=a&password=s3cret", "must not have credentials"),
        ("qdrant://host?table=a&api_key=s3cret", "QDRANT_API_KEY"),
    ],
)
def test_addresses_have_a_table_and_no_credentials(text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as error:
        source(text)
    assert "s3cret" not in str(error.value)


def test_errors_and_names_have_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    address = Address.parse("postgresql://me@host/db?table=a.b&connect_timeout=5")
    assert (address.name, address.stem, address.table) == ("postgresql:a.b", "a-b", "a.b")
    assert address.url.geturl() == "postgresql://me@host/db?connect_timeout=5"
    with pytest.raises(RequestError, match=r"^postgresql:a\.b cannot be read: no … here$"), pages.in_one_line(address):
        raise OSError("no s3cret\nhere")


def test_rows_without_ids_are_refused(tmp_path: Path) -> None:
    """They have no order in a database; here the first client that is at hand without one."""
    lancedb = pytest.importorskip("lancedb")
    lancedb.connect(tmp_path).create_table("items", [{"vector": row.tolist()} for row in VECTORS])
    with pytest.raises(RequestError, match="no ids, and its rows no order"):
        read_table(source(f"lancedb://{tmp_path}?table=items"))
