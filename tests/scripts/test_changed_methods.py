"""Which methods a change touches."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "changed_methods.py"


def test_a_method_changes_with_its_file_and_with_what_it_imports(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("changed_methods", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    (tmp_path / "_shared.py").write_text("x = 1\n")
    (tmp_path / "_deeper.py").write_text("from ._shared import x\n")
    (tmp_path / "one.py").write_text("from ._deeper import x\n")
    (tmp_path / "two.py").write_text("import torch\n")

    def changed(*names: str) -> list[str]:
        return script.changed_methods(tmp_path, [tmp_path / name for name in names])

    assert changed() == []
    assert changed("two.py") == ["two"]
    assert changed("_shared.py") == ["one"]
    assert changed("_deeper.py", "two.py", "gone.py") == ["one", "two"]
