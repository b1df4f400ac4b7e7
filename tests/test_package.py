"""What `import compatbench` and `import compatbench.cli` do to the process that imports them, in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("numpy", "torch", "timm", "scipy", "pandas", "PIL", "pyarrow", "faiss", "sklearn")
"""Each takes longer to import than the whole command line may take to answer."""


def imported(module: str) -> dict[str, object]:
    """The environment before and after the import, the modules that it added, and the seconds that it took."""
    code = f"""
import json, os, sys, time
environment, modules = dict(os.environ), set(sys.modules)
begun = time.perf_counter()
import {module}
seconds = time.perf_counter() - begun
added = sorted(set(sys.modules) - modules)
print(json.dumps({{"same": environment == dict(os.environ), "modules": added, "seconds": seconds}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_importing_the_package_changes_nothing_and_takes_no_time() -> None:
    found = imported("compatbench")
    assert found["same"]
    assert found["modules"] == ["compatbench"]
    assert float(str(found["seconds"])) < 0.1


def test_the_command_line_imports_nothing_heavy_before_it_is_told_what_to_do() -> None:
    found = imported("compatbench.cli")
    assert found["same"]
    assert not set(HEAVY) & set(found["modules"])  # type: ignore[call-overload]
