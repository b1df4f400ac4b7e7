"""Times `compatbench compare` on made items of 512 dimensions, and takes the memory of all of its processes.

    python scripts/examples/large_compare.py FOLDER [--items N] [--type float16] [--runs R] [--busy] [OPTIONS]

Makes N_old.npy, N_new.npy and N_labels.npy in FOLDER where they are missing: 1,000 classes, seen by two random maps
through more and less noise; 2,000,000 items in float16 take 2 GB a side. Compares them R times by these OPTIONS of
compare, with --busy beside a process that never waits. For each run it prints the seconds, the processor seconds and
the most memory: the sum over all of its processes, in which a page that several share counts once, looked at every
second (Linux).
"""

import argparse
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

DIM, CLASSES, HIDDEN, BLOCK = 512, 1000, 64, 50_000
NOISE = {"old": 1.2, "new": 0.5}


def make(folder: Path, items: int, kind: str) -> list[str]:
    """The words of the command that name the files, made where they are missing."""
    files = {side: folder / f"{items}_{kind}_{side}.npy" for side in NOISE}
    labels_file = folder / f"{items}_{kind}_labels.npy"
    if not labels_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(0)
        labels = generator.integers(0, CLASSES, items)
        centres = generator.standard_normal((CLASSES, HIDDEN), dtype=np.float32)
        turns = {side: generator.standard_normal((HIDDEN, DIM), dtype=np.float32) / 8 for side in NOISE}
        matrices = {side: np.lib.format.open_memmap(path, "w+", kind, (items, DIM)) for side, path in files.items()}
        for begin in range(0, items, BLOCK):
            rows = slice(begin, min(begin + BLOCK, items))
            size = rows.stop - begin
            hidden = centres[labels[rows]] + generator.standard_normal((size, HIDDEN), dtype=np.float32)
            for side, noise in NOISE.items():
                matrices[side][rows] = hidden @ turns[side] + noise * generator.standard_normal((size, DIM), np.float32)
        np.save(labels_file, labels)
    return [*map(str, files.values()), "--labels", str(labels_file)]


def family(root: int) -> list[int]:
    """A process and all below it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rsplit(")", 1)[1].split()[1])
    found = [root]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def memory(root: int) -> float:
    """GiB of all processes of a family."""
    kilobytes = 0
    for process in family(root):
        with suppress(OSError, AttributeError):
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            kilobytes += int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)[1])
    return kilobytes / 2**20


def run(words: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds, and most GiB of one comparison."""
    begun, before, most = time.monotonic(), os.times(), 0.0
    with subprocess.Popen([sys.executable, "-m", "compatbench", "compare", *words]) as process:
        while process.poll() is None:
            most = max(most, memory(process.pid))
            time.sleep(1)
    after = os.times()
    if process.returncode:
        sys.exit(process.returncode)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begun, used, most


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path)
parser.add_argument("--items", type=int, default=2_000_000)
parser.add_argument("--type", default="float16")
parser.add_argument("--runs", type=int, default=1)
parser.add_argument("--busy", action="store_true")
own, options = parser.parse_known_args()
words = [*make(own.folder, own.items, own.type), *options]
beside = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if own.busy else None
try:
    times = [run(words) for _ in range(own.runs)]
finally:
    if beside is not None:
        beside.kill()
        beside.wait()
print(f"\n{own.items:,} × {DIM} {own.type}, {'beside a busy core' if own.busy else 'alone'}")
print("run  seconds  processor seconds  GiB")
for number, (seconds, used, most) in enumerate(times, start=1):
    print(f"{number:3}  {seconds:7.1f}  {used:17.1f}  {most:.2f}")
