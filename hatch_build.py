"""Compiles the counting of scores where there is a C compiler. Without one the package counts with numpy, slower."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/compatbench/evaluation/counting.c")
# products and sums are not fused: a score and an equal threshold must round alike
OPTIONS = ["-O3", "-fPIC", "-shared", "-ffp-contract=off"]


class Counting(BuildHookInterface):
    """Puts the library beside its source, by the name that `evaluation/compiled.py` looks for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as one for this system."""
        source = Path(self.root) / SOURCE
        library = source.with_name(f"counting-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.so")
        compiler = shutil.which(os.environ.get("CC", "cc"))
        for stale in source.parent.glob("counting-*.so"):
            stale.unlink()
        if compiler is None:
            return
        done = subprocess.run(
            [compiler, *OPTIONS, str(source), "-o", str(library)], check=False, capture_output=True, text=True
        )
        if done.returncode:
            print(f"{SOURCE} could not be compiled, numpy counts in its place: {done.stderr.strip()}", file=sys.stderr)
            return
        if version == "standard":
            build_data["artifacts"].append(str(library.relative_to(self.root)))
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data.update(pure_python=False, tag=f"py3-none-{platform}")
