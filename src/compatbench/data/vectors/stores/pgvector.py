"""A table of PostgreSQL with pgvector: `postgresql://[USER@]HOST/DATABASE?table=[SCHEMA.]NAME`, and libpq's options.

Vectors are columns of type vector, halfvec, real[] or double precision[]. PGPASSWORD, .pgpass, PGSERVICE and libpq's
other variables hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from compatbench.data.vectors.formats.format import Columns, Format, Names
from compatbench.data.vectors.stores.address import Address
from compatbench.data.vectors.stores.pages import ROWS, from_pages, in_one_line

VECTORS = "vector", "halfvec", "_float4", "_float8"
AS_TEXT = (*VECTORS, "uuid", "bpchar")
"""Types that are read as text."""

_TYPES = """
    SELECT attname, typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

_NAME = """
    SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = %s::regclass
"""


def opened(address: Address) -> Format:
    """The table as a format."""

    def types() -> dict[str, str]:
        with in_one_line(address), _connected(address) as connection:
            found = dict(connection.execute(_TYPES, [address.table]).fetchall())
        return found

    def columns(_: Path) -> Names:
        return {name: kind in VECTORS for name, kind in types().items()}

    def read(_: Path, names: Sequence[str]) -> Columns:
        kinds = types()
        with in_one_line(address), _connected(address) as connection:
            return from_pages(address, names, _pages(connection, address.table, names, kinds))

    return Format(columns, read)


def _connected(address: Address) -> Any:
    import psycopg

    return psycopg.connect(address.url.geturl(), connect_timeout=10)


def _pages(connection: Any, table: str, names: Sequence[str], kinds: dict[str, str]) -> Iterator[dict[str, Any]]:
    from psycopg import sql

    wanted = [sql.SQL("{}::text" if kinds[name] in AS_TEXT else "{}").format(sql.Identifier(name)) for name in names]
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(wanted), sql.Identifier(*connection.execute(_NAME, [table]).fetchone())
    )
    with connection.cursor(name="compatbench") as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(ROWS):
            yield dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
