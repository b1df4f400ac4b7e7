"""Prints the methods whose files differ from a commit, comma-separated: what a change has to run again.

.venv/bin/python scripts/changed_methods.py origin/main
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from compatbench.discovery.source import source_files

ROOT = Path(__file__).parents[1]


def changed_methods(folder: Path, changed: Iterable[Path]) -> list[str]:
    """Names of the method files in `folder` that are among `changed`, or import one of them."""
    files = {path.resolve() for path in changed}
    methods = sorted(path.resolve() for path in folder.glob("*.py") if not path.name.startswith("_"))
    return [path.stem for path in methods if files & set(source_files(path))]


def main() -> None:
    """Compare the working tree with the commit that the command names."""
    command = ["git", "-C", str(ROOT), "diff", "--name-only", sys.argv[1], "--", "methods"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    print(",".join(changed_methods(ROOT / "methods", [ROOT / name for name in names])))


if __name__ == "__main__":
    main()
