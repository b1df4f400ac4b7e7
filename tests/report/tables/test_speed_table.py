import json

import pytest

from compatbench.errors import RequestError
from compatbench.report.render.to_markdown import to_markdown
from compatbench.report.tables.speed import speed_table


def entry(name, group, median, iqr, rounds, **extra):
    return {
        "name": name, "group": group, "extra_info": extra,
        "stats": {"median": median, "iqr": iqr, "rounds": rounds, "mean": 99.0},
    }  # fmt: skip


def test_a_benchmark_run_becomes_a_table(tmp_path):
    path = tmp_path / "speed.json"
    run = {
        "machine_info": {"node": "secret-host"},
        "benchmarks": [
            entry("test_exact[10000]", "search", 0.0125, 0.0005, 20, ratio=3.5, queries=1000, recall=0.98765),
            entry("test_loss", None, 2.0, 0.25, 5),
            entry("test_hnsw", "search", 0.001, 0.0, 7),
        ],
    }
    path.write_text(json.dumps(run))
    table = speed_table(path)
    assert [group.title for group in table.groups] == ["speed", "search"]
    text = to_markdown(table)
    assert "secret-host" not in text
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "test_" in line]
    assert lines == [
        ["test_loss", "2,000", "250", "5", "–", "–"],
        [r"test_exact\[10000\]", "12.5", "0.5", "20", "×3.50", "queries 1000, recall 0.988"],
        ["test_hnsw", "1", "0", "7", "–", "–"],
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"benchmarks": [{"name": "a", "group": null}]}', '{"benchmarks": 3}'])
def test_what_is_no_benchmark_run_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "speed.json"
    path.write_text(content)
    with pytest.raises(RequestError, match="no pytest-benchmark JSON") as error:
        speed_table(path)
    assert "\n" not in str(error.value)
