"""Compares 2,000,000 items of 512 dimensions in float16, and prints the most memory that it took.

    python scripts/examples/large_compare.py FOLDER [options of compare]

Makes large_old.npy, large_new.npy (2 GB each) and large_labels.npy in FOLDER where they are missing: 1,000 classes,
seen by two random maps through more and less noise. Then runs `compatbench compare` on them and prints its largest
resident set, which Linux counts in kilobytes.
"""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

ITEMS, DIM, CLASSES, HIDDEN, BLOCK = 2_000_000, 512, 1000, 64, 50_000
NOISE = {"old": 1.2, "new": 0.5}

folder, options = Path(sys.argv[1]), sys.argv[2:]
folder.mkdir(parents=True, exist_ok=True)
files = {side: folder / f"large_{side}.npy" for side in NOISE}
labels_file = folder / "large_labels.npy"
if not labels_file.exists():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, ITEMS)
    centres = generator.standard_normal((CLASSES, HIDDEN), dtype=np.float32)
    turns = {side: generator.standard_normal((HIDDEN, DIM), dtype=np.float32) / 8 for side in NOISE}
    matrices = {side: np.lib.format.open_memmap(path, "w+", np.float16, (ITEMS, DIM)) for side, path in files.items()}
    for begin in range(0, ITEMS, BLOCK):
        rows = slice(begin, begin + BLOCK)
        hidden = centres[labels[rows]] + generator.standard_normal((BLOCK, HIDDEN), dtype=np.float32)
        for side, noise in NOISE.items():
            matrices[side][rows] = hidden @ turns[side] + noise * generator.standard_normal((BLOCK, DIM), np.float32)
    np.save(labels_file, labels)
words = [str(files["old"]), str(files["new"]), "--labels", str(labels_file), *options]
subprocess.run([sys.executable, "-m", "compatbench", "compare", *words], check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(f"largest resident set: {peak / 2**20:.2f} GiB")
