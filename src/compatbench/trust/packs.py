"""The leaderboard's records and arrays: one zip file a scenario.

    <suite>/records/<scenario>.zip     records.json.xz: every record by the name of its file
                                       <sha256>.codes: a file of arrays, packed
                                       all others: the pool of what those have in common, see `packed_codes`

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
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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

RECORDS = "records.json.xz"
_CODES = ".codes"
_REMEDY = "restore it, or submit its cells again"
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
        lines = _records(_members(scenario))
    except Exception as error:  # damaged zip files raise almost anything
        raise RequestError(f"{scenario}: no readable zip file of records ({_told(error)})") from error
    if path.name not in lines:
        row = [name for name in lines if _row(name) == _row(path.name)] or list(lines)
        told = ", ".join(f"{scenario}/{name}" for name in row[:5]) + (", …" if len(row) > 5 else "")
        raise RequestError(f"{scenario}: add the name of one of its records: {told}")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / path.name
        file.write_text(lines[path.name], encoding="utf-8")
        return read_record(file)


def publish(record: Record, arrays: Path, board: Store) -> Path:
    """Put a record with its arrays in `arrays` into the unpacked `board`, in the form for a leaderboard; its path."""
    path = board.record(record.spec)
    write_record(published(record, arrays, board.arrays), path)
    return path.relative_to(board.root)


def pack_rows(
    board: Store, leaderboard: Store, rows: Iterable[Path], watch: Callable[[str], None] = lambda progress: None
) -> None:
    """Write the rows of these records, paths below the unpacked `board`, to `leaderboard`; those of no record go."""
    scenarios: dict[Path, set[str]] = defaultdict(set)
    for path in rows:
        scenarios[path.parent].add(_row(path.name))
    for folder, names in scenarios.items():
        _pack(board.root / folder, names, board, leaderboard.root / f"{folder}{PACKED}", watch)
        for path in (leaderboard.root / folder).glob("*.json"):
            if not (board.root / folder / path.name).is_file() or _row(path.name) in names:
                path.unlink()


def plain_records(leaderboard: Store) -> list[Path]:
    """The records that are not packed, as paths below the leaderboard."""
    return sorted(path.relative_to(leaderboard.root) for path in leaderboard.root.glob("*/records/*/*.json"))


def _row(name: str) -> str:
    """The row of a record by the name of its file, `<row>--seed<s>--<hash>.json`."""
    return name.rsplit("--", 2)[0]


def _open(path: Path, where: str, store: Store) -> Iterator[Problem]:
    out = (store.root / where).with_suffix("")
    try:
        members = _members(path)
        lines = _records(members)
        packed, files = _packed(members), _files(lines)
        owners = _owners(files)
    except Exception as error:  # damaged zip files raise almost anything
        yield Problem(where, f"cannot be unpacked: {_told(error)}; {_REMEDY}")
        return
    out.mkdir(parents=True, exist_ok=True)
    needed = {RECORDS}
    shared: dict[str, bytes] = {}
    for name, line in lines.items():
        (out / name).write_text(line, encoding="utf-8")
        try:
            own, common = (files[name].get(part) for part in ("own", "shared"))
            if common and common not in shared:
                shared[common] = unpack(packed[common], members)
                codes_path(store.arrays, common).write_bytes(shared[common])
            if own and name == owners[own]:
                content = unpack(packed[own], members, [shared[common]] if common else [])
                codes_path(store.arrays, own).write_bytes(content)
            for sha256 in files[name].values():
                needed |= {f"{sha256}{_CODES}", *pool_keys(packed[sha256], members)}
        except Exception as error:  # so do damaged arrays
            yield Problem(f"{where}/{name}", f"its arrays cannot be unpacked: {_told(error)}; {_REMEDY}")
            needed |= members.keys()  # which of them it needs stays unknown
    if extra := sorted(members.keys() - needed):
        yield Problem(where, f"no record needs its {extra[0]!r}; submit its cells again")


def _pack(folder: Path, names: set[str], board: Store, out: Path, watch: Callable[[str], None]) -> None:
    """Write a scenario with these rows packed anew, and the others as they are in the file that is there."""
    old = _members(out) if out.is_file() else {}
    pool = {name: content for name, content in old.items() if name != RECORDS and not name.endswith(_CODES)}
    there, before = _packed(old), _owners(_files(_records(old))) if old else {}
    lines = {path.name: _line(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    if not lines:
        out.unlink(missing_ok=True)
        return
    files = _files(lines)
    common = sorted({one["shared"] for one in files.values() if "shared" in one})
    shared = {sha256: codes_path(board.arrays, sha256).read_bytes() for sha256 in common}
    packed = {sha256: there.get(sha256) or pack(content, pool) for sha256, content in shared.items()}
    owners = _owners(files)
    for number, (sha256, name) in enumerate(owners.items()):
        watch(f"{folder.name}: the arrays of {number} of {len(owners)} cells packed")
        if before.get(sha256) == name and _row(name) not in names:
            packed[sha256] = there[sha256]
        else:
            content = codes_path(board.arrays, sha256).read_bytes()
            packed[sha256] = pack(content, pool, [shared[files[name]["shared"]]] if "shared" in files[name] else [])
    keys = sorted({key for one in packed.values() for key in pool_keys(one, pool)})
    text = "{\n" + ",\n".join(f"{json.dumps(name)}:{line}" for name, line in lines.items()) + "\n}\n"
    members = {RECORDS: lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)}
    members |= {key: pool[key] for key in keys} | {f"{sha256}{_CODES}": one for sha256, one in packed.items()}
    write_whole(out, _zipped(members))


def _line(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


def _files(lines: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Sha256 of a record's files of arrays, `own` and `shared`, by the name of the record."""
    return {name: json.loads(line).get("files", {}) for name, line in lines.items()}


def _owners(files: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The record beside whose shared arrays each file of own ones is packed: the first that has it."""
    owners: dict[str, str] = {}
    for name, one in files.items():
        if "own" in one:
            owners.setdefault(one["own"], name)
    return owners


def _packed(members: Members) -> dict[str, bytes]:
    """The packed files of codes among them, by sha256."""
    found = {name.removesuffix(_CODES): content for name, content in members.items() if name.endswith(_CODES)}
    if wrong := [name for name in found if not _SHA256.fullmatch(name)]:
        raise ValueError(f"'{wrong[0]}' is no sha256")
    return found


def _records(members: Members) -> dict[str, str]:
    """The text of every record of a scenario, by the name of its file."""
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
