"""The formats by the ending of a file's name."""

from __future__ import annotations

from pathlib import Path

from compatbench.data.vectors.formats.delimited import DELIMITED
from compatbench.data.vectors.formats.faiss_index import FAISS
from compatbench.data.vectors.formats.format import Format
from compatbench.data.vectors.formats.jsonl import JSONL
from compatbench.data.vectors.formats.npy import NPY
from compatbench.data.vectors.formats.npz import NPZ
from compatbench.data.vectors.formats.parquet import PARQUET
from compatbench.data.vectors.formats.safetensors import SAFETENSORS
from compatbench.errors import RequestError

FORMATS = {
    ".npy": NPY,
    ".npz": NPZ,
    ".safetensors": SAFETENSORS,
    ".parquet": PARQUET,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".csv": DELIMITED,
    ".tsv": DELIMITED,
    ".faiss": FAISS,
    ".index": FAISS,
}
WRITTEN = tuple(ending for ending, one in FORMATS.items() if one.write is not None)


def format_of(path: Path) -> Format:
    """The format of an existing file. Raises RequestError if there is no file, or its ending is unknown."""
    if path.suffix.lower() not in FORMATS:
        raise RequestError(f"{path}: embeddings are read from {', '.join(FORMATS)} files")
    if not path.is_file():
        raise RequestError(f"{path} does not exist" if not path.exists() else f"{path} is no file")
    return FORMATS[path.suffix.lower()]
