"""The leaderboard's records and arrays: one zip file a scenario.

    <suite>/records/<scenario>.zip     records.json.xz: every record by the name of its file
                                       arrays.xz: their arrays, see `packed_sums`

Commands unpack it to a temporary folder, where records and arrays lie as in a folder of runs. A record may also lie in
`<suite>/records/<scenario>/` as it does in a folder of runs, until it is packed.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compatbench.errors import RequestError, one_line
from compatbench.records.record import Record, read_record, write_record
from compatbench.records.store import PACKED, Store
from compatbench.storage.files import write_whole
from compatbench.storage.group_sums import sums_path
from compatbench.storage.packed_sums import decompressed, pack, unpack
from compatbench.trust.problems import Problem
from compatbench.trust.published import published

RECORDS, ARRAYS = "records.json.xz", "arrays.xz"
_REMEDY = "restore it, or submit its cells again"
_NAME = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,200}\.json")

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
        plain = plain_records(leaderboard)
        for path in sorted(path for path in leaderboard.root.glob("*/records/**/*") if path.is_file()):
            where = path.relative_to(leaderboard.root)
            if where in plain:
                (store.root / where).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, store.root / where)
            elif path.suffix == PACKED and path.parent.name == "records":
                found += _open(path, where.as_posix(), store)
            else:
                found.append(Problem(where.as_posix(), "no record needs what is here; remove it"))
        for path in leaderboard.arrays.glob("*"):
            (store.arrays / path.name).symlink_to(path.absolute())
        if problems is None and found:
            raise RequestError(f"{leaderboard.root / found[0].where}: {found[0].message}")
        if problems is not None:
            problems += found
        yield store


def find_record(path: Path) -> Record:
    """The record in a file, or the one of a name in a scenario's zip file, `<scenario>.zip/<name>.json`.

    Raises RequestError where there is none, and says which names of the same row there are.
    """
    scenario = path if path.suffix == PACKED else path.parent
    if scenario.suffix != PACKED or not scenario.is_file():
        return read_record(path)
    try:
        records = _records(_members(scenario))
    except Exception as error:  # damaged zip files raise almost anything
        raise RequestError(f"{scenario}: no readable zip file of records ({_told(error)})") from error
    if path.name not in records:
        own = path.name.rsplit("--", 2)[0]
        row = [name for name in records if name.rsplit("--", 2)[0] == own] or list(records)
        told = ", ".join(f"{scenario}/{name}" for name in row[:5]) + (", …" if len(row) > 5 else "")
        raise RequestError(f"{scenario}: add the name of one of its records: {told}")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / path.name
        file.write_text(json.dumps(records[path.name]), encoding="utf-8")
        return read_record(file)


def publish(record: Record, arrays: Path, board: Store) -> Path:
    """Put a record with its arrays in `arrays` into the unpacked `board`, in the form for a leaderboard; its path."""
    path = board.record(record.spec)
    write_record(published(record, arrays, board.arrays), path)
    return path.relative_to(board.root)


def pack_scenarios(board: Store, leaderboard: Store, scenarios: Iterable[Path]) -> None:
    """Write these scenarios, folders of records below the unpacked `board`, to `leaderboard`; an empty one goes."""
    for folder in scenarios:
        paths = sorted((board.root / folder).glob("*.json"))
        records = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}
        out = leaderboard.root / f"{folder}{PACKED}"
        if records:
            write_whole(out, _zipped(_packed(records, board.arrays)))
        else:
            out.unlink(missing_ok=True)
        for path in (leaderboard.root / folder).glob("*.json"):
            path.unlink()


def plain_records(leaderboard: Store) -> list[Path]:
    """The records that are not packed, as paths below the leaderboard."""
    return sorted(path.relative_to(leaderboard.root) for path in leaderboard.root.glob("*/records/*/*.json"))


def _open(path: Path, where: str, store: Store) -> Iterator[Problem]:
    try:
        members = _members(path)
        if extra := sorted(members.keys() - {RECORDS, ARRAYS}):
            raise ValueError(f"no record needs its {extra[0]!r}")
        records, arrays = _records(members), unpack(members[ARRAYS])
        if needless := sorted(arrays.keys() - set(_files(records))):
            raise ValueError(f"no record needs the arrays {needless[0]}")
    except Exception as error:  # damaged zip files raise almost anything
        yield Problem(where, f"cannot be unpacked: {_told(error)}; {_REMEDY}")
        return
    out = (store.root / where).with_suffix("")
    out.mkdir(parents=True, exist_ok=True)
    for name, record in records.items():
        (out / name).write_text(json.dumps(record), encoding="utf-8")
    for sha256, content in arrays.items():
        sums_path(store.arrays, sha256).write_bytes(content)


def _packed(records: Mapping[str, Any], arrays: Path) -> Members:
    """The members for the JSON of records by the names of their files, whose arrays are in a folder."""
    lines = (f"{json.dumps(name)}:{json.dumps(one, separators=(',', ':'))}" for name, one in records.items())
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    contents = {sha256: sums_path(arrays, sha256).read_bytes() for sha256 in _files(records)}
    return {RECORDS: lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME), ARRAYS: pack(contents)}


def _files(records: Mapping[str, Any]) -> list[str]:
    """The sha256 of the files of their arrays, each once."""
    return list(dict.fromkeys(sha256 for one in records.values() for sha256 in one.get("files", {}).values()))


def _records(members: Members) -> dict[str, Any]:
    """The JSON of every record of a scenario, by the name of its file."""
    try:
        text = decompressed(members[RECORDS])
    except ValueError as error:
        raise ValueError(f"{RECORDS} {error}") from error
    records: dict[str, Any] = json.loads(text)
    if wrong := [name for name in records if not _NAME.fullmatch(name)]:
        raise ValueError(f"'{wrong[0]}' is no name of a record")
    return records


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
