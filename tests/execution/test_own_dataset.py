"""A dataset of one's own reaches a worker of a cluster that does not have its file."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

from compatbench.cli.bench import prepare
from compatbench.execution.cell import RunContext
from compatbench.execution.code_version import code_version
from compatbench.execution.ray import WorkerInputs, run_on_worker
from compatbench.plan.cells import Selection
from compatbench.records.record import read_record
from compatbench.records.store import Store
from compatbench.vocabulary import Status

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-dataset.md").read_text(encoding="utf-8")


def test_a_worker_elsewhere_gets_the_file(tmp_path: Path) -> None:
    folder, suite = tmp_path / "mine", tmp_path / "stripes.yaml"
    folder.mkdir()
    for path, language in ((folder / "stripes.py", "python"), (suite, "yaml")):
        path.write_text(re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)[0])
    bench = prepare(str(suite), Selection(("independent",)), Store(tmp_path / "runs"), tmp_path, (), print, (folder,))
    code = {"datasets/0/stripes.py": (folder / "stripes.py").read_bytes()}
    (folder / "stripes.py").unlink()
    context = RunContext(tmp_path / "runs", tmp_path, dataset_folders=(folder,))
    mailbox = SimpleNamespace(put=SimpleNamespace(remote=lambda *message: None))
    spec = bench.cells[0].spec
    (text, log), files = run_on_worker(
        spec.model_dump_json(), WorkerInputs(code_version(), context, 250, code), {}, mailbox
    )
    (tmp_path / "record.json").write_text(text)
    record = read_record(tmp_path / "record.json")
    assert record.status is Status.OK, f"{record.reason}{record.error}{log}"
    assert record.spec == spec
    assert any(name.startswith("models/") for name in files)
