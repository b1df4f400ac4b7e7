"""Records of every earlier schema version stay readable, with every number that they held."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from compatbench.evaluation.arrays import QueryResults
from compatbench.records.migrations import MIGRATIONS, migrate
from compatbench.records.record import SCHEMA_VERSION, read_record

HISTORIC = Path(__file__).parents[1] / "historic"
"""A folder of runs for each schema version, as the CompatBench of that time wrote it."""
RECORDS = sorted(HISTORIC.glob("version_*/*/records/*/*.json"))


def test_every_earlier_version_has_a_migration_and_records_that_try_it() -> None:
    earlier = list(range(1, SCHEMA_VERSION))
    assert sorted(MIGRATIONS) == earlier
    assert {json.loads(path.read_text())["schema_version"] for path in RECORDS} >= set(earlier)


def lost(before: Any, after: Any, at: str = "record") -> list[str]:
    """Where `after` lacks, or tells otherwise, what `before` said; it may say more, and leave out what was open."""
    if isinstance(before, dict) and isinstance(after, dict):
        said = {key: value for key, value in before.items() if value is not None or key in after}
        return [place for key, value in said.items() for place in lost(value, after.get(key, "gone"), f"{at}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [place for row, (one, other) in pairs for place in lost(one, other, f"{at}.{row}")]
    return [] if before == after else [at]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parts[-5]}-{path.name.partition('--')[0]}")
def test_a_historic_record_is_read_with_all_that_it_said(path: Path) -> None:
    stored, record = json.loads(path.read_text()), read_record(path)
    assert record.schema_version == SCHEMA_VERSION
    assert {(one.name, one.direction) for one in record.metrics} == {
        (one["name"], one["direction"]) for one in stored["metrics"]
    }
    renamed = {**stored, "metrics": [{**one} for one in stored["metrics"]]}
    for entry in renamed["metrics"]:
        del entry["direction"]
    for part in ("arrays", "backfill", "backfilled", "verification", "protocols", "pairs"):
        renamed[part] = [{**one, "array": one["sha256"]} for one in stored.get(part, [])]
        for entry in renamed[part]:
            del entry["sha256"]
    assert lost(renamed, json.loads(record.model_dump_json())) == ["record.schema_version"]
    [first] = [entry for entry in record.arrays if (entry.query_generation, entry.distance) == ("0", "cosine")]
    mean = QueryResults.read(path.parents[3] / "arrays", first.array).metrics()["mAP"]
    found = record.metric("mAP", "0", "0")
    assert found is not None
    assert found.value == pytest.approx(mean, abs=1e-12)


def test_version_2_says_what_was_true_of_version_1() -> None:
    first = json.loads(next(path for path in RECORDS if "version_1" in path.parts).read_text())
    untouched = copy.deepcopy(first)
    second = migrate(first, 2)
    assert (second["schema_version"], second["log"], second["environment"]["processes"]) == (2, "", 1)
    assert first == untouched, "a migration changes nothing in place"
    assert migrate(second, 2) == second
