"""Odd machines: limits, locales, closed streams, strange folders, clocks, disks that fill up, results that vanish.

Each is a real `compatbench run` of one cell or a few in a process of its own; `make torture` runs them.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from faulty_methods import FAULTS, FAULTY
from processes import Runs
from test_faults import in_a_namespace

from compatbench.records.record import read_record
from compatbench.records.store import Store
from compatbench.suite.suite import load_suite
from compatbench.trust.reproduce import REPRODUCED
from compatbench.vocabulary import Status

pytestmark = [pytest.mark.torture, pytest.mark.timeout(3600)]

SUITE = {
    "title": "tiny",
    "dataset": "digits",
    "image_size": 16,
    "train_limit": 100,
    "query_limit": 60,
    "index_search": [],
    "recipe": {"epochs": 1, "batch_size": 32},
    "defaults": {"backbone": "test_vit", "dim": 8},
    "scenarios": {"one": [{"share": 0.5}, {}]},
    "methods": ["independent"],
}
RUN = (sys.executable, "-m", "compatbench", "run", "tiny.yaml", "--jobs", "2")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `compatbench run tiny.yaml` runs one cell."""
    (tmp_path / "tiny.yaml").write_text(json.dumps(SUITE))
    return tmp_path


def run(folder: Path, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *RUN]
    return subprocess.run(
        shell, cwd=folder, env=os.environ | environment, capture_output=True, check=False, timeout=900
    )


def statuses(folder: Path) -> list[Status]:
    return [read_record(path).status for path in sorted(folder.glob("results/runs/tiny/records/*/*.json"))]


def numbers(folder: Path) -> dict[str, Any]:
    """What must be the same of every record, whatever the machine is like."""
    paths = sorted(folder.glob("results/runs/tiny/records/*/*.json"))
    return {path.name: read_record(path).model_dump(mode="json", include=set(REPRODUCED)) for path in paths}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The numbers of an ordinary run."""
    place = tmp_path_factory.mktemp("ordinary")
    (place / "tiny.yaml").write_text(json.dumps(SUITE))
    ended = run(place)
    assert ended.returncode == 0, ended.stderr
    return numbers(place)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(folder: Path, expected: Mapping[str, Any], redirection: str) -> None:
    assert run(folder, redirection).returncode == 0
    assert numbers(folder) == expected


def test_an_output_that_takes_nothing_more_is_one_line(folder: Path) -> None:
    ended = run(folder, ">/dev/full")
    assert (ended.returncode, ended.stderr.decode().splitlines()[0][:31]) == (1, "error: No space left on device:")
    assert b"Traceback" not in ended.stderr


TURKISH = "tr_TR.ISO-8859-9"
LOCALES = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "Turkish": {"LC_ALL": TURKISH, "PYTHONUTF8": "0"},
}


@pytest.mark.parametrize("name", LOCALES)
def test_locales(folder: Path, expected: Mapping[str, Any], name: str) -> None:
    if name == "Turkish":
        made = subprocess.run(
            ["localedef", "-i", "tr_TR", "-f", "ISO-8859-9", folder / TURKISH], check=False, capture_output=True
        )
        if made.returncode:
            pytest.skip("needs localedef and the sources of locales (Debian: apt-get install locales)")
    ended = run(folder, LOCPATH=str(folder), **LOCALES[name])
    assert ended.returncode == 0, ended.stderr
    assert b"independent" in ended.stdout
    if name != "Turkish":
        assert ended.stdout.isascii()
    assert numbers(folder) == expected
    page = (folder / "results" / "runs" / "tiny" / "README.md").read_text(encoding="utf-8")
    assert "M(n,o)" in page
    assert "−" in page, "files are UTF-8 whatever the terminal takes"


ON_ICONS = {
    "closed streams": 'exec "$@" <&- >&- 2>&-',
    "C locale": 'LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 exec "$@"',
    "long temporary folder": f'export TMPDIR="$PWD/{"x" * 150}"; mkdir "$TMPDIR"; exec "$@"',
    "no home": 'unset HOME; exec "$@"',
    "64 open files": 'ulimit -n 64; exec "$@"',
    "8 GiB of memory": 'ulimit -v 8388608; exec "$@"',
    "folder of any name": 'odd=$(printf "a b\'c\\"d\\ne\\044x;\\377"); mkdir "$odd"; mv data results tiny.yaml "$odd"; '
    '(cd "$odd"; "$@"); code=$?; mv "$odd"/* .; exit $code',
    "no shared memory": 'mount -t tmpfs -o ro tmpfs /dev/shm; exec "$@"',
}


@pytest.fixture(scope="module")
def icons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `compatbench run tiny.yaml` runs a short cell of `icons`, with the features of its trunk."""
    if not (REPOSITORY / "data" / "iconsets").is_dir():
        pytest.skip("needs the drawings: compatbench data get iconsets --set size=64")
    place = tmp_path_factory.mktemp("icons")
    (place / "data").symlink_to((REPOSITORY / "data").resolve())
    if (found := Store(REPOSITORY / "results" / "runs").features).is_dir():
        shutil.copytree(found, Store(place / "results" / "runs").features)
    suite = load_suite("icons")[1].model_dump(mode="json", exclude_unset=True)
    suite |= {"methods": ["independent"], "seeds": [0], "recipe": suite["recipe"] | {"epochs": 1}}
    suite["scenarios"] = {"extended_data": suite["scenarios"]["extended_data"]}
    (place / "tiny.yaml").write_text(json.dumps({**suite, "test_on_unseen_classes": []}))
    return place


@pytest.fixture(scope="module")
def expected_of_icons(icons: Path) -> dict[str, Any]:
    ended = run(icons)
    assert ended.returncode == 0, ended.stderr
    found = numbers(icons)
    shutil.rmtree(icons / "results" / "runs" / "tiny")
    return found


@pytest.mark.parametrize("name", ON_ICONS)
def test_icons_on_odd_machines(icons: Path, expected_of_icons: Mapping[str, Any], name: str, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to((icons / "data").resolve())
    shutil.copy(icons / "tiny.yaml", tmp_path)
    shutil.copytree(Store(icons / "results" / "runs").features, Store(tmp_path / "results" / "runs").features)
    ended = in_a_namespace(f'cd "$1"; shift; {ON_ICONS[name]}', tmp_path, *RUN)
    assert ended.returncode == 0, ended.stderr
    assert len(expected_of_icons) == 1
    assert numbers(tmp_path) == expected_of_icons


def test_a_long_temporary_folder(folder: Path, expected: Mapping[str, Any]) -> None:
    place = folder / ("x" * 150)
    place.mkdir()
    ended = run(folder, TMPDIR=str(place))
    assert ended.returncode == 0, ended.stderr
    assert numbers(folder) == expected


@pytest.mark.parametrize("home", ["", "/proc/1", "/nonexistent"])
def test_a_home_that_is_not_there_or_takes_nothing(folder: Path, expected: Mapping[str, Any], home: str) -> None:
    others = {"COMPATBENCH_CACHE": "", "XDG_CACHE_HOME": ""}
    shell = f'{"unset HOME" if not home else f"export HOME={home}"}; exec "$@"'
    ended = subprocess.run(
        ["sh", "-c", shell, "sh", *RUN], cwd=folder, env=os.environ | others, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert numbers(folder) == expected


def test_no_shared_memory(folder: Path, expected: Mapping[str, Any]) -> None:
    ended = in_a_namespace('mount -t tmpfs -o ro tmpfs /dev/shm; cd "$1"; shift; exec "$@"', folder, *RUN)
    assert ended.returncode == 0, ended.stderr
    assert numbers(folder) == expected


GIB = 2**30
LIMITS = {
    "64 open files": (resource.RLIMIT_NOFILE, 64, ""),
    "6 GiB of memory": (resource.RLIMIT_AS, 6 * GIB, ""),
    "files of 50 kB": (resource.RLIMIT_FSIZE, 50_000, "File too large"),
    "12 open files": (resource.RLIMIT_NOFILE, 12, "Too many open files"),
    "2 GiB of memory": (resource.RLIMIT_AS, 2 * GIB, "failed to map segment"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(folder: Path, expected: Mapping[str, Any], name: str) -> None:
    kind, value, problem = LIMITS[name]
    ended = subprocess.run(
        RUN, cwd=folder, capture_output=True, check=False, text=True, timeout=900,
        preexec_fn=lambda: resource.setrlimit(kind, (value, value)),
    )  # fmt: skip
    assert "Traceback" not in ended.stderr
    if not problem:
        assert ended.returncode == 0, ended.stderr
    else:
        assert ended.returncode == 1, ended.stderr
        assert [line for line in ended.stderr.splitlines() if line.startswith("error: ") and problem in line]
        assert statuses(folder) == []
        assert run(folder).returncode == 0, "the same command goes on where the limit is gone"
    assert numbers(folder) == expected


def test_folders_of_any_name(folder: Path, expected: Mapping[str, Any]) -> None:
    odd = folder / os.fsdecode(b"a b'c\"d\ne$x;\xff\xc3\xa9")
    odd.mkdir()
    (folder / "tiny.yaml").rename(odd / "tiny.yaml")
    ended = run(odd)
    assert ended.returncode == 0, ended.stderr
    assert numbers(odd) == expected
    checked = subprocess.run(
        [*RUN[:3], "verify", str(odd / "results" / "runs")], cwd=odd, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, b"")


STEPS_BACK = """
import itertools, time
_real, _ticks = time.time, itertools.count()
time.time = lambda: _real() - 3600 * next(_ticks)
"""


def test_a_wall_clock_that_steps_back(folder: Path, expected: Mapping[str, Any]) -> None:
    """In the run, the fork server and the cells: an hour at every look."""
    (folder / "clock").mkdir()
    (folder / "clock" / "sitecustomize.py").write_text(STEPS_BACK)
    path = os.pathsep.join([str(folder / "clock"), os.environ.get("PYTHONPATH", "")])
    ended = run(folder, PYTHONPATH=path)
    assert ended.returncode == 0, ended.stderr
    assert numbers(folder) == expected
    again = run(folder, PYTHONPATH=path)
    assert again.stdout.startswith(b"all 1 cells up to date")


BUSY = "while True: pass"
OTHERS = int(os.environ.get("OTHERS") or 40)


def test_forty_others_on_the_machine(folder: Path, expected: Mapping[str, Any]) -> None:
    """A cell that trains slowly is not stopped, one that stands still is: the half minute is one without progress."""
    (folder / "tiny.yaml").write_text(json.dumps(SUITE | {"timeout_minutes": 0.5, "methods": ["independent", "hangs"]}))
    (folder / "own").mkdir()
    (folder / "own" / "broken").touch()
    (folder / "own" / "hangs.py").write_text(FAULTY.format(name="hangs", fault=FAULTS["hangs"]))
    process = subprocess.Popen([*RUN, "--methods", "independent,hangs,./own"], cwd=folder, stdout=subprocess.PIPE)
    while process.poll() is None and not list(folder.glob("results/runs/tiny/logs/*/*.log")):
        time.sleep(0.1)
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(OTHERS)]
    try:
        begun = time.monotonic()
        while process.poll() is None and len(statuses(folder)) < 2:
            time.sleep(0.1)
        seconds = time.monotonic() - begun
    finally:
        for other in others:
            other.kill()
            other.wait()
    said = process.communicate(timeout=900)[0].decode()
    records = {one.spec.method.name: one for one in map(read_record, folder.glob("results/runs/tiny/records/*/*.json"))}
    taken = {name: f"{one.status.value} after {one.seconds:.0f} s" for name, one in records.items()}
    print(f"{seconds:.0f} s beside {OTHERS} busy processes: {taken}")
    assert process.returncode == 1, said
    assert {name: one.status for name, one in records.items()} == {"independent": Status.OK, "hangs": Status.TIMEOUT}
    assert records["hangs"].reason.startswith("no progress for 0.5 minutes at 0% of 'train hangs 1'")
    found = numbers(folder)
    assert {name: found[name] for name in expected} == expected


FILLS = """
folder=$1; size=$2; shift 2
mkdir -p $folder/results; mount -t tmpfs -o size=${size}k tmpfs $folder/results
cd $folder; code=0; "$@" > out.txt 2> err.txt || code=$?
echo $code > code.txt; find results -name '*.json' -path '*records*' | wc -l > kept.txt
mount -o remount,size=64m $folder/results
"$@" > again.txt 2>&1
cp -r results/. whole
"""


def test_a_disk_that_fills_up_at_any_kind_of_write(folder: Path, expected: Mapping[str, Any]) -> None:
    """Of a model, of arrays, of a record, of a table: after each, room for more and the same command complete it."""
    kinds = set()
    for size in (8, 1500, 2190, 2290, 2430, 2480):
        place = folder / str(size)
        place.mkdir()
        shutil.copy(folder / "tiny.yaml", place)
        ended = in_a_namespace(FILLS, place, size, *RUN)
        assert ended.returncode == 0, ended.stderr + (place / "again.txt").read_text()
        code, kept, error = ((place / name).read_text() for name in ("code.txt", "kept.txt", "err.txt"))
        assert "Traceback" not in error
        if int(code):
            assert len([line for line in error.splitlines() if line.startswith("error: ")]) == 1, error
        kinds.add((int(code), int(kept)))
        (place / "results").rmdir()
        (place / "results").mkdir()
        (place / "whole" / "runs").rename(place / "results" / "runs")
        assert numbers(place) == expected, size
    print(f"exit code and records kept: {sorted(kinds)}")
    assert (1, 0) in kinds


@pytest.fixture
def runs(folder: Path) -> Iterator[Runs]:
    started = Runs(folder)
    yield started
    started.kill_all()


def more(folder: Path) -> int:
    """A suite of six cells in place of one; returns how many."""
    (folder / "tiny.yaml").write_text(
        json.dumps(SUITE | {"methods": ["independent", "bct", "procrustes"], "seeds": [0, 1]})
    )
    return 6


def test_results_that_are_deleted_in_mid_run(folder: Path, runs: Runs) -> None:
    count, chance = more(folder), random.Random(0)
    for _ in range(3):
        process = runs.command(*RUN[3:])
        end = time.monotonic() + chance.uniform(15, 60)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        shutil.rmtree(folder / "results", ignore_errors=True)
        said = process.communicate(timeout=600)[0]
        assert "Traceback" not in said, said
        runs.wait_for_none()
    ended = run(folder)
    assert ended.returncode == 0, ended.stdout
    assert statuses(folder) == count * [Status.OK]


@pytest.mark.parametrize("together", [2, 3])
def test_runs_on_one_folder_with_each_killed_once(folder: Path, runs: Runs, together: int) -> None:
    count, chance = more(folder), random.Random(together)
    running = [runs.command(*RUN[3:]) for _ in range(together)]
    for victim in range(together):
        time.sleep(chance.uniform(5, 25))
        running[victim].send_signal(signal.SIGKILL)
        running[victim].communicate()
        running[victim] = runs.command(*RUN[3:])
    for process in running:
        said = process.communicate(timeout=900)[0]
        assert process.returncode == 0, said
        assert "Traceback" not in said
    runs.wait_for_none()
    assert statuses(folder) == count * [Status.OK]
    assert not list(folder.rglob("*.tmp"))
    both = numbers(folder)
    shutil.rmtree(folder / "results")
    assert run(folder).returncode == 0
    assert numbers(folder) == both, "as an undisturbed run"
