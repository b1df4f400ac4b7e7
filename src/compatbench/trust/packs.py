"""The leaderboard's records and arrays: one zip file a row of a scenario, and one for what its rows have in common.

    <suite>/records/<scenario>/<row>.zip     records.json.xz: every seed's record by name; own arrays, packed
    <suite>/records/<scenario>/_shared.zip   arrays of the models that rows share, and the pool, see `packed_codes`

Commands unpack them to a temporary folder, where records and arrays lie as in a folder of runs. A record may also
lie beside the zip files as it does in a folder of runs, until its row is packed.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import shutil
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from compatbench.errors import RequestError, one_line
from compatbench.records.record import Record, read_record, write_record
from compatbench.records.store import PACKED, Store
from compatbench.storage.coded_columns import MOST_BYTES, codes_path
from compatbench.storage.files import write_whole
from compatbench.storage.packed_codes import pack, pool_keys, unpack
from compatbench.trust.problems import Problem
from compatbench.trust.published import published

SHARED = f"_shared{PACKED}"
RECORDS = "records.json.xz"
_CODES = ".codes"
_NAME = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,200}\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Members = Mapping[str, bytes]


@contextmanager
def unpacked_board(leaderboard: Store, problems: list[Problem] | None = None) -> Iterator[Store]:
    """The records and arrays of `leaderboard` in a temporary folder, laid out as runs.

    What cannot be read is added to `problems`; without it the first one raises RequestError.
    """
    found: list[Problem] = []
    with tempfile.TemporaryDirectory(prefix="compatbench-") as scratch:
        store = Store(Path(scratch))
        store.arrays.mkdir()
        for folder in _scenarios(leaderboard):
            found += _open(folder, store, leaderboard)
        for path in leaderboard.arrays.glob("*"):
            (store.arrays / path.name).symlink_to(path.absolute())
        if problems is None and found:
            raise RequestError(f"{leaderboard.root / found[0].where}: {found[0].message}")
        if problems is not None:
            problems += found
        yield store


def find_record(path: Path) -> Record:
    """The record in a file, or the one of a name in a row's zip file, `<row>.zip/<name>.json`.

    Raises RequestError where there is none; for a zip file alone it says which names there are.
    """
    row = path if path.suffix == PACKED else path.parent
    if row.suffix != PACKED or not row.is_file():
        return read_record(path)
    try:
        lines = _records(_members(row))
    except Exception as error:  # damaged zip files raise almost anything
        raise RequestError(f"{row}: no readable zip file of records ({_told(error)})") from error
    name = next(iter(lines)) if path == row and len(lines) == 1 else path.name
    if name not in lines:
        raise RequestError(f"{row}: add the name of one of its records: {', '.join(f'{row}/{one}' for one in lines)}")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / name
        file.write_text(lines[name], encoding="utf-8")
        return read_record(file)


def publish(record: Record, arrays: Path, board: Store) -> Path:
    """Put a record with its arrays in `arrays` into the unpacked `board`, in the form for a leaderboard; its path."""
    path = board.record(record.spec)
    write_record(published(record, arrays, board.arrays), path)
    return path.relative_to(board.root)


def pack_rows(board: Store, leaderboard: Store, rows: Iterable[Path]) -> None:
    """Write the rows of these records, paths below the unpacked `board`, to `leaderboard`; those of no record go."""
    scenarios: dict[Path, set[str]] = defaultdict(set)
    for path in rows:
        scenarios[path.parent].add(_row(path))
    for folder, names in scenarios.items():
        _pack(board.root / folder, names, board, leaderboard.root / folder)


def plain_records(leaderboard: Store) -> list[Path]:
    """The records that lie beside the zip files, as paths below the leaderboard."""
    return [
        path.relative_to(leaderboard.root)
        for folder in _scenarios(leaderboard)
        for path in sorted(folder.glob("*.json"))
    ]


def _scenarios(leaderboard: Store) -> list[Path]:
    return sorted(path for path in leaderboard.root.glob("*/records/*") if path.is_dir())


def _row(path: Path) -> str:
    """The row of a record by the name of its file, `<row>--seed<s>--<hash>.json`."""
    return path.name.rsplit("--", 2)[0]


def _open(folder: Path, store: Store, leaderboard: Store) -> Iterator[Problem]:
    out = store.root / folder.relative_to(leaderboard.root)
    out.mkdir(parents=True)
    pool: dict[str, bytes] = {}
    shared: dict[str, bytes] = {}
    there: dict[Path, set[str]] = {}
    needed: dict[Path, set[str]] = defaultdict(set)
    for path in sorted(folder.iterdir(), key=lambda path: (path.name != SHARED, path.name)):
        where = path.relative_to(leaderboard.root).as_posix()
        if path.suffix == ".json":
            shutil.copy(path, out)
            continue
        if path.suffix != PACKED or not path.is_file():
            yield Problem(where, "no record needs what is here; remove it")
            continue
        try:
            members = _members(path)
            there[path] = set(members)
            if path.name == SHARED:
                pool |= {name: content for name, content in members.items() if not name.endswith(_CODES)}
                for name, content in _packed(members).items():
                    needed[path] |= pool_keys(content, pool)
                    shared[name] = unpack(content, pool)
                    codes_path(store.arrays, name).write_bytes(shared[name])
                continue
            lines = _records(members)
            beside: dict[str, list[bytes]] = {}
            for line in lines.values():
                beside |= dict.fromkeys(_files(line), _beside(line, shared))
            for name, content in _packed(members).items():
                needed[folder / SHARED] |= pool_keys(content, pool)
                codes_path(store.arrays, name).write_bytes(unpack(content, pool, beside.get(name, [])))
            needed[path].add(RECORDS)
            for name, line in lines.items():
                (out / name).write_text(line, encoding="utf-8")
                for part, file in (("own", path), ("shared", folder / SHARED)):
                    needed[file] |= {f"{one}{_CODES}" for one in _files_of(line, part)}
        except Exception as error:  # damaged zip files raise almost anything
            yield Problem(where, f"cannot be unpacked: {_told(error)}; restore it, or submit its cells again")
            needed[folder / SHARED] |= there.get(folder / SHARED, set())  # which of it is needed stays unknown
    for path, names in there.items():
        if extra := sorted(names - needed[path]):
            where = path.relative_to(leaderboard.root).as_posix()
            yield Problem(where, f"no record needs its {extra[0]!r}; submit its cells again")


def _pack(folder: Path, names: set[str], board: Store, out: Path) -> None:
    old = _members(out / SHARED) if (out / SHARED).is_file() else {}
    pool = {name: content for name, content in old.items() if not name.endswith(_CODES)}
    packed = _packed(old)
    shared: dict[str, bytes] = {}
    rows: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        rows[_row(path)].append(path)
    for paths in rows.values():
        for path in paths:
            for name in _files_of(path.read_text(encoding="utf-8"), "shared"):
                shared[name] = codes_path(board.arrays, name).read_bytes()
    packed = {name: packed.get(name) or pack(content, pool) for name, content in sorted(shared.items())}
    for name in sorted(names):
        target = out / f"{name}{PACKED}"
        lines = {path.name: _line(path.read_text(encoding="utf-8")) for path in rows.get(name, [])}
        if not lines:
            target.unlink(missing_ok=True)
            continue
        text = "{\n" + ",\n".join(f"{json.dumps(name)}:{line}" for name, line in lines.items()) + "\n}\n"
        members = {RECORDS: lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)}
        for line in lines.values():
            for own in _files_of(line, "own"):
                content = codes_path(board.arrays, own).read_bytes()
                members[f"{own}{_CODES}"] = pack(content, pool, _beside(line, shared))
        write_whole(target, _zipped(members))
    rows_there = (_packed(_members(path)).values() for path in out.glob(f"*{PACKED}") if path.name != SHARED)
    keys = {key for one in chain(packed.values(), *rows_there) for key in pool_keys(one, pool)}
    kept = {name: pool[name] for name in sorted(keys)} | {f"{name}{_CODES}": one for name, one in packed.items()}
    if kept:
        write_whole(out / SHARED, _zipped(kept))
    else:
        (out / SHARED).unlink(missing_ok=True)
    for path in out.glob("*.json"):
        if not (folder / path.name).is_file() or _row(path) in names:
            path.unlink()


def _line(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


def _files(line: str) -> dict[str, str]:
    """Sha256 of the files of arrays of a record, by what they are for the cell."""
    return {sha256: part for part, sha256 in json.loads(line).get("files", {}).items()}


def _files_of(line: str, part: str) -> list[str]:
    return [sha256 for sha256, one in _files(line).items() if one == part]


def _beside(line: str, shared: Members) -> list[bytes]:
    return [shared[name] for name in _files_of(line, "shared")]


def _packed(members: Members) -> dict[str, bytes]:
    """The packed files of codes among them, by sha256."""
    found = {name.removesuffix(_CODES): content for name, content in members.items() if name.endswith(_CODES)}
    if wrong := [name for name in found if not _SHA256.fullmatch(name)]:
        raise ValueError(f"'{wrong[0]}' is no sha256")
    return found


def _records(members: Members) -> dict[str, str]:
    """The text of every record of a row, by the name of its file."""
    decompressor = lzma.LZMADecompressor()
    text = decompressor.decompress(members[RECORDS], MOST_BYTES)
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError(f"{RECORDS} is cut off, too large, or followed by something else")
    lines: dict[str, Any] = json.loads(text)
    if wrong := [name for name in lines if not _NAME.fullmatch(name)]:
        raise ValueError(f"'{wrong[0]}' is no name of a record")
    return {name: json.dumps(data) for name, data in lines.items()}


def _told(error: Exception) -> str:
    return one_line(str(error)) or type(error).__name__


def _members(path: Path) -> dict[str, bytes]:
    """The content of a zip file by name, no larger than the file. Raises almost anything for a damaged one.

    Comments and bytes between members, which nobody would see, are damage too.
    """
    with zipfile.ZipFile(path) as file:
        if any(one.compress_type != zipfile.ZIP_STORED for one in file.infolist()):
            raise ValueError("has compressed members")
        if sum(one.file_size for one in file.infolist()) > path.stat().st_size:
            raise ValueError("its members overlap")
        members = {one.filename: file.read(one) for one in file.infolist()}
    if path.stat().st_size != len(_zipped(members)):
        raise ValueError("has a comment, or other bytes that are of none of its members")
    return members


def _zipped(members: Members) -> bytes:
    """A zip file of the same bytes for the same members."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return sink.getvalue()
