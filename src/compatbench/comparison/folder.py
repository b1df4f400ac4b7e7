"""A folder laid out as BEIR's: corpus, queries and qrels, with the vectors of both models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compatbench.data.vectors.formats.registry import FORMATS
from compatbench.data.vectors.options import InputOptions
from compatbench.data.vectors.stores.address import Address
from compatbench.errors import RequestError

LAYOUT = (
    "a folder has old/corpus, new/corpus, old/queries and new/queries (or corpus and queries, with --vectors "
    "OLD_COLUMN,NEW_COLUMN), each .npz, .parquet, .jsonl or alike, and qrels/test.tsv"
)


@dataclass(frozen=True)
class Files:
    """What a comparison reads."""

    old: Path
    new: Path
    old_queries: Path
    new_queries: Path
    qrels: Path


def find_files(folder: Path | Address, options: InputOptions) -> Files:
    """The files in a folder. Raises RequestError, which says what there should be, where one is missing."""
    if isinstance(folder, Address):
        raise RequestError(f"{folder.name} alone: give OLD and NEW")
    if not folder.is_dir():
        raise RequestError(f"{folder} alone: give OLD and NEW, or a folder; {LAYOUT}")
    sides = (folder / "old", folder / "new")
    if not (sides[0].is_dir() and sides[1].is_dir()):
        sides = (folder, folder)
        if options.vectors is None or "," not in options.vectors:
            raise RequestError(f"{folder} has no folders 'old' and 'new', and no --vectors names two columns; {LAYOUT}")
    corpus, queries = ([_only(side, name) for side in sides] for name in ("corpus", "queries"))
    return Files(corpus[0], corpus[1], queries[0], queries[1], _qrels(folder))


def _only(folder: Path, stem: str) -> Path:
    found = sorted(path for path in folder.glob(f"{stem}.*") if path.suffix in FORMATS)
    if len(found) != 1:
        said = "no file of vectors" if not found else f"{len(found)} of them ({', '.join(one.name for one in found)})"
        raise RequestError(f"{folder}: '{stem}' is {said}; {LAYOUT}")
    return found[0]


def _qrels(folder: Path) -> Path:
    found = sorted((folder / "qrels").glob("*.tsv"))
    named = [path for path in found if path.name == "test.tsv"] or found
    if len(named) != 1:
        raise RequestError(f"{folder / 'qrels'} has {len(found)} files .tsv and no test.tsv; {LAYOUT}")
    return named[0]
