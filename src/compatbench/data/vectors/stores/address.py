"""The address of a table of vectors in a database. It never has credentials."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from compatbench.errors import RequestError, check_installed

if TYPE_CHECKING:
    from compatbench.data.vectors.formats.format import Format

STORES = {
    "qdrant": ("qdrant", "qdrant_client", "QDRANT_API_KEY"),
    "qdrants": ("qdrant", "qdrant_client", "QDRANT_API_KEY"),
    "postgresql": ("pgvector", "psycopg", "PGPASSWORD, or a file .pgpass"),
    "lancedb": ("lancedb", "lancedb", "the variables of its storage"),
}
"""By scheme: the extra and module here, the client's package, and where the client looks for credentials."""

FORM = "qdrant://HOST:6333?table=NAME, postgresql://HOST/DATABASE?table=NAME or lancedb:///FOLDER?table=NAME"
SECRETS = "password", "api_key", "apikey", "token", "key", "sslpassword"


@dataclass(frozen=True)
class Address:
    """A table, or a collection, by its address."""

    url: SplitResult
    """Without the table."""
    table: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `SCHEME://PLACE?table=NAME`. Raises RequestError, which does not repeat the text, for another one."""
        url = urlsplit(text)
        if url.scheme not in STORES:
            raise RequestError(f"there is no store '{url.scheme}'; give {FORM}")
        given = parse_qsl(url.query)
        if url.password is not None or any(name.lower() in SECRETS for name, _ in given):
            raise RequestError(
                f"an address of {url.scheme} must not have credentials, since it is recorded: give them by "
                f"{STORES[url.scheme][2]}"
            )
        table = dict(given).get("table", "")
        if not table:
            raise RequestError(f"which table of {url.scheme}://{url.hostname or url.path}? Give {FORM}")
        rest = urlencode([(name, value) for name, value in given if name != "table"])
        return cls(url._replace(query=rest), table)

    @property
    def name(self) -> str:
        """What records and messages call it: no host, no user."""
        return f"{self.url.scheme}:{self.table}"

    @property
    def stem(self) -> str:
        """For names of folders."""
        return "".join(one if one.isalnum() else "-" for one in self.table)

    def format(self) -> Format:
        """The table as a format. Raises RequestError where its client is not installed."""
        extra, client, _ = STORES[self.url.scheme]
        check_installed(client, self.name, extra)
        opened: Format = import_module(f"compatbench.data.vectors.stores.{extra}").opened(self)
        return opened


def source(text: str) -> Path | Address:
    """A path, or an address if there is a scheme."""
    return Address.parse(text) if "://" in text else Path(text)
