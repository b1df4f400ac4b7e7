"""What is fuzzed: every reader of files that somebody else may have written, with sound files to start from."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import lzma
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import faiss
import grammars
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from mutations import mutate, restructure
from safetensors.torch import save

from compatbench.data.vectors.embeddings import read_table
from compatbench.data.vectors.pairing import Checked
from compatbench.data.vectors.qrels import read_judgements
from compatbench.discovery.plugins import Plugin
from compatbench.errors import RequestError
from compatbench.generations.adapters import FittedAdapter, adapter_of, fit, restore
from compatbench.records.record import read_record
from compatbench.records.store import Store
from compatbench.storage.artefacts import Artefact, read_artefact, tensors_hash, write_artefact
from compatbench.storage.bounded_parquet import read_bounded
from compatbench.suite.suite import builtin_folder, load_suite
from compatbench.trust.packs import ARRAYS, RECORDS, pack_scenarios, unpacked_board
from compatbench.trust.problems import Problem
from compatbench.trust.record_files import check_record
from compatbench.trust.rescoring import Rescorer

HISTORIC = Path(__file__).parents[1] / "historic"
PUBLISHED = Path(__file__).parents[2] / "results" / "leaderboard"
PUBLISHED_SCENARIO = PUBLISHED / "text_glosses" / "records" / "other_family.zip"


@dataclass(frozen=True)
class Target:
    """A reader, the ending of its files, and some of them."""

    read: Callable[[Path], object]
    suffix: str
    corpus: tuple[bytes, ...]
    structured: bool = False
    """JSON, or YAML of which JSON is a part: may be changed node by node."""
    grammar: Callable[[random.Random], bytes] | None = None
    """Makes others, by the form that such files have."""
    unpacks: bool = False
    """Reads by way of a temporary folder; others write nothing."""


def suite_files() -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(builtin_folder("benchmarks").glob("*.yaml")))


def record_files() -> tuple[bytes, ...]:
    """Whole records, without most of their numbers."""
    files = []
    for path in sorted(HISTORIC.rglob("records/**/*.json")):
        data = json.loads(path.read_text())
        data["metrics"], data["backfill"] = data["metrics"][:3], data["backfill"][:1]
        files.append(json.dumps(data).encode())
    newest = json.loads(lzma.decompress(members(small_pack())[RECORDS]))
    return (*files, json.dumps(min(newest.values(), key=lambda one: one["spec"]["seed"])).encode())


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {one.filename: file.read(one) for one in file.infolist()}


def zipped(content: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, one in content.items():
            file.writestr(name, one)
    return stream.getvalue()


def foreign_pack(chance: random.Random) -> bytes:
    """A scenario with other records, layouts, streams or names; the rest is sound."""
    content = members(small_pack())
    for _ in range(chance.choice([1, 1, 2, 3])):
        name = chance.choice(sorted(content))
        one = content[name]
        match chance.randrange(6):
            case 0 if name == RECORDS:
                records = restructure(json.loads(lzma.decompress(members(small_pack())[RECORDS])), chance)
                content[name] = lzma.compress(json.dumps(records).encode())
            case 1 if name == RECORDS:
                odd = (
                    "[" * 10**5,
                    "[1]",
                    "{}",
                    '{"a.json": [1]}',
                    '{"a.json": {"files": {"own": [1]}}}',
                    '{"a.json": {"files": ["own"]}}',
                    "\ud800",
                )
                content[name] = lzma.compress(chance.choice(odd).encode("utf-8", "surrogatepass"))
            case 2:
                del content[name]
                content = content or {"x": b""}
            case 3:
                content[chance.choice(["../x.xz", "x", RECORDS, ARRAYS, name[::-1], name.upper()])] = content.pop(name)
            case 4 if len(one) > 40:
                content[name] = _other_json(one, chance)
            case _:
                content[name] = mutate(one or b"x", chance)
    return zipped(content, chance.choice([zipfile.ZIP_STORED] * 20 + [zipfile.ZIP_DEFLATED]))


def _other_json(packed: bytes, chance: random.Random) -> bytes:
    """A member with other numbers in the JSON that it is, or begins with."""
    try:
        content = lzma.decompress(packed)
        head, _, rest = content.partition(b"\n") if content[:1] == b"[" else (content, b"", b"")
        value = restructure(json.loads(head), chance)
    except (ValueError, lzma.LZMAError):
        return mutate(packed, chance)
    return lzma.compress(json.dumps(value).encode() + b"\n" + rest)


@functools.cache
def small_pack() -> bytes:
    """A scenario of the leaderboard with one of its rows."""
    file = PUBLISHED_SCENARIO.relative_to(PUBLISHED)
    with tempfile.TemporaryDirectory() as scratch:
        whole, small = Store(Path(scratch, "whole")), Store(Path(scratch, "small"))
        (whole.root / file).parent.mkdir(parents=True)
        shutil.copy(PUBLISHED_SCENARIO, whole.root / file)
        with unpacked_board(whole) as store:
            records = list((store.root / file.with_suffix("")).iterdir())
            for path in records:
                if not path.name.startswith("identity--"):
                    path.unlink()
            pack_scenarios(store, small, [file.with_suffix("")])
        return (small.root / file).read_bytes()


def board(path: Path) -> None:
    """A scenario of a leaderboard; its first problem is raised."""
    root = path.parent / "board"
    file = root / PUBLISHED_SCENARIO.relative_to(PUBLISHED)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(path.read_bytes())
    problems: list[Problem] = []
    with unpacked_board(Store(root), problems) as store:
        if problems:
            raise RequestError(str(problems[0]))
        rescorer = Rescorer(store.arrays)
        for file in store.record_files(PUBLISHED_SCENARIO.parents[1].name):
            for problem in check_record(file, store, rescorer)[1]:
                if problem.serious:
                    raise RequestError(str(problem))


def table() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "ids": np.arange(5),
        "vectors": generator.normal(size=(5, 3)).astype(np.float32),
        "labels": np.array(["a", "b", "b", "c", "é"]),
    }


def npy_files() -> tuple[bytes, ...]:
    return tuple(_npy(table()["vectors"].astype(kind)) for kind in ("<f4", "<f8", ">f4", "<f2"))


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def npz_files() -> tuple[bytes, ...]:
    files = []
    for write in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        write(stream, **table())
        files.append(stream.getvalue())
    return tuple(files)


def safetensors_files() -> tuple[bytes, ...]:
    numbers = {"ids": torch.arange(5), "labels": torch.zeros(5, dtype=torch.int64)}
    vectors = torch.from_numpy(table()["vectors"])
    return tuple(save({**numbers, "vectors": vectors.to(kind)}) for kind in (torch.float32, torch.bfloat16))


def parquet_files() -> tuple[bytes, ...]:
    columns = table()
    lists = pa.FixedSizeListArray.from_arrays(pa.array(columns["vectors"].reshape(-1)), 3)
    whole = pa.table({"ids": columns["ids"], "labels": columns["labels"].tolist(), "vectors": lists})
    files = []
    for options in ({}, {"compression": "zstd"}, {"use_dictionary": False, "compression": "none"}):
        stream = io.BytesIO()
        pq.write_table(whole, stream, **options)
        files.append(stream.getvalue())
    return tuple(files)


def array_files() -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(HISTORIC.rglob("arrays/*.parquet")))


def artefact_files(folder: Path) -> tuple[bytes, ...]:
    path = folder / "artefact.safetensors"
    write_artefact(path, Artefact({"weight": torch.ones(2, 3)}, {"losses": {"a": [1.0]}, "seconds": 2.0}))
    return (path.read_bytes(),)


def sound_artefact(path: Path) -> Artefact:
    """What the store would use; a damaged one is made again."""
    found, problem = read_artefact(path)
    if found is None:
        raise RequestError(problem or "empty")
    return found


METHODS = ("procrustes", "ridge", "low_rank", "slerp", "query_drift", "rank_merge", "mlp")


@functools.cache
def method(name: str) -> Plugin:
    if name not in METHODS:
        raise RequestError("no such adapter")
    return adapter_of(name, ())


@functools.cache
def adapters() -> tuple[Artefact, ...]:
    old, new = torch.randn(40, 4, generator=torch.manual_seed(0)), torch.randn(40, 6, generator=torch.manual_seed(1))
    labels = np.arange(40) % 3
    quick = {"mlp": {"epochs": 1}}
    return tuple(fit(name, old, new, labels, params=quick.get(name, {})).artefact() for name in METHODS)


def adapter_file(adapter: Artefact) -> bytes:
    facts = json.dumps(adapter.facts)
    sha256 = hashlib.sha256(f"{tensors_hash(adapter.tensors)};{facts}".encode()).hexdigest()
    return save(
        {name: value.contiguous() for name, value in adapter.tensors.items()}, {"facts": facts, "sha256": sha256}
    )


def foreign_adapter(chance: random.Random) -> bytes:
    """By somebody else: its hash is right, and some tensors or facts are not those of its method."""
    adapter = chance.choice(adapters())
    tensors, facts = dict(adapter.tensors), adapter.facts
    if chance.random() < 0.6:
        facts = restructure(facts, chance)
    elif chance.random() < 0.3:
        facts = facts | chance.choice(adapters()).facts
    for _ in range(chance.choice([0, 1, 1, 2])):
        name = chance.choice(sorted(tensors))
        value = tensors[name]
        other = chance.choice(sorted(chance.choice(adapters()).tensors))
        match chance.randrange(7):
            case 0:
                del tensors[name]
                tensors = tensors or {"x": torch.ones(1)}
            case 1:
                tensors[other] = value.clone()
            case 2:
                tensors[name] = value.reshape(chance.choice([(1, -1), (-1,), (-1, 1)])) if value.numel() else value
            case 3:
                tensors[name] = value[:1] if value.ndim else torch.zeros(0)
            case 4:
                tensors[name] = value.to(chance.choice([torch.int64, torch.bool, torch.float16, torch.complex64]))
            case 5:
                tensors[name] = value * chance.choice([float("nan"), float("inf"), 1e30, 0.0, -1.0])
            case _:
                tensors[name] = torch.zeros(chance.choice([(0,), (0, 3), (2**40, 0), (6, 4), (4, 6), ()]))
    return adapter_file(Artefact(tensors, facts))


def adapter(path: Path) -> FittedAdapter:
    """As `load` does, with the methods found once."""
    found = sound_artefact(path)
    if not isinstance(found.facts, dict):
        raise RequestError("no adapter")
    return restore(found, method)


def rows(path: Path) -> Checked:
    """Read, and looked at row by row."""
    return Checked.of(read_table(path))


def jsonl_files() -> tuple[bytes, ...]:
    columns = table()
    lines = [
        json.dumps({"id": int(number), "embedding": vector.tolist(), "label": str(label)})
        for number, vector, label in zip(columns["ids"], columns["vectors"], columns["labels"], strict=True)
    ]
    return ("\n".join(lines).encode(), "\n".join(lines).encode("utf-16"))


def csv_files() -> tuple[bytes, ...]:
    vectors = table()["vectors"]
    text = "".join(f'd{row},"{vector.tolist()}"\n' for row, vector in enumerate(vectors))
    numbers = "".join(f"d{row},{','.join(map(str, vector))}\n" for row, vector in enumerate(vectors))
    return (f"id,embedding\n{text}".encode(), f"id,x_0,x_1,x_2\n{numbers}".encode(), numbers.encode())


def qrels_files() -> tuple[bytes, ...]:
    heading, trec = "query-id\tcorpus-id\tscore\n", "q1 0 d1 2\nq1 0 d2 0\nq2 0 d1 -1\n"
    lines = "q1\td1\t2\nq1\td2\t0\nq2\té\t1.5\n"
    swapped = "score\tquery-id\tcorpus-id\n1\tq1\td1\n"
    return tuple(text.encode(code) for text in (heading + lines, trec, swapped) for code in ("utf-8-sig", "utf-16"))


def faiss_files() -> tuple[bytes, ...]:
    vectors = np.tile(table()["vectors"], (20, 1))
    flat, ids = faiss.IndexFlatIP(3), faiss.IndexIDMap2(faiss.IndexFlatL2(3))
    lists = faiss.IndexIVFFlat(faiss.IndexFlatL2(3), 3, 2)
    flat.add(vectors)
    ids.add_with_ids(vectors, np.arange(100) + 7)
    lists.train(vectors)
    lists.add(vectors)
    return tuple(faiss.serialize_index(index).tobytes() for index in (flat, ids, lists))


def targets(folder: Path) -> dict[str, Target]:
    """By name; `folder` is for scratch files."""
    return {
        "suite": Target(lambda path: load_suite(str(path)), ".yaml", suite_files(), True, grammars.suite),
        "record": Target(read_record, ".json", record_files(), structured=True),
        "jsonl": Target(rows, ".jsonl", jsonl_files(), grammar=grammars.jsonl),
        "csv": Target(rows, ".csv", csv_files(), grammar=grammars.delimited),
        "qrels": Target(lambda path: list(read_judgements(path)), ".tsv", qrels_files(), grammar=grammars.qrels),
        "faiss": Target(rows, ".faiss", faiss_files()),
        "pack": Target(board, ".zip", (small_pack(),), grammar=foreign_pack, unpacks=True),
        "npy": Target(rows, ".npy", npy_files()),
        "npz": Target(rows, ".npz", npz_files()),
        "safetensors": Target(rows, ".safetensors", safetensors_files()),
        "parquet": Target(rows, ".parquet", parquet_files()),
        "arrays": Target(lambda path: read_bounded(path.read_bytes(), "arrays"), ".parquet", array_files()),
        "adapter": Target(adapter, ".safetensors", tuple(map(adapter_file, adapters())), grammar=foreign_adapter),
        "artefact": Target(sound_artefact, ".safetensors", artefact_files(folder)),
    }
