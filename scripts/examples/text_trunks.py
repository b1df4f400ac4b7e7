"""Two text datasets embedded by four published sentence encoders, for docs/compare.md.

    pip install 'compatbench[text]'
    compatbench data get wordnet && compatbench data get bible
    python scripts/examples/text_trunks.py DATA FOLDER [TRUNK ...]

DATA is the folder that `data get` filled. Writes FOLDER/DATASET/{items,queries}_TRUNK.npz with ids (items with labels
too), and qrels.tsv. wordnet: 12,000 glosses of nouns of 25 kinds, 1,600 of them searched for by an example of use.
bible: 12,000 verses of 66 books of the World English Bible, 3,000 of them searched for by the King James Version's.
A file that is there is not made again.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from compatbench.data.text.trunks import TRUNKS, load_text_trunk

BATCH = 64
data, folder, trunks = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(TRUNKS)


def read(file):
    """The lines of a .jsonl file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def embedded(trunk, texts, role):
    """(N, F), texts of like length together."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = np.empty((len(texts), TRUNKS[name].dim), dtype=np.float32)
    for begin in range(0, len(order), BATCH):
        rows = order[begin : begin + BATCH]
        found[rows] = trunk.embed([texts[row] for row in rows], role).numpy()
    return found


for name in trunks:
    trunk = load_text_trunk(f"text/{name}", data, torch.device("cpu"))
    for dataset in ("wordnet", "bible"):
        (texts,) = (data / dataset).glob("texts-*")
        (folder / dataset).mkdir(parents=True, exist_ok=True)
        shutil.copy(texts / "qrels" / "test.tsv", folder / dataset / "qrels.tsv")
        for part, file, role in (("queries", "queries", "query"), ("items", "corpus", "passage")):
            written = folder / dataset / f"{part}_{name}.npz"
            if written.exists():
                continue
            lines = read(texts / f"{file}.jsonl")
            columns = {"ids": np.array([line["_id"] for line in lines])}
            if part == "items":
                columns["labels"] = np.array([line["label"] for line in lines])
            vectors = embedded(trunk, [line["text"] for line in lines], role)
            np.savez(written, vectors=vectors, **columns)
            print(f"{written}: {' × '.join(map(str, vectors.shape))}", flush=True)
