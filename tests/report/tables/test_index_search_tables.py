"""The two tables of index search, by hand."""

import pytest

from compatbench.records.parts import IndexSearch
from compatbench.report.render.table import TableCell
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.suite.scenarios import GenerationSpec
from compatbench.vocabulary import Status

SCORES = {"oo": [0.5], "no": [0.5], "nn": [0.5], "ss": [0.5]}


def search(index, at, recall, seconds=1.0):
    """`at` is the generation of the queries, of the vectors, and of those that the index was trained on."""
    query, gallery, trained = at
    return IndexSearch(
        index=index,
        query_generation=query,
        gallery_generation=gallery,
        trained_generation=trained,
        k=10,
        queries=1000,
        repeats=3,
        recall=recall,
        queries_per_second=100 * recall,
        p50_ms=recall,
        p99_ms=2 * recall,
        build_seconds=seconds,
        bytes_per_vector=64,
    )


def rows(table, key):
    return {row.cells[key].value: row.cells for group in table.groups for row in group.rows}


@pytest.fixture
def report(bench):
    records = [
        bench.record("a", seed, SCORES, search=[
            search("hnsw", "000", 0.9), search("hnsw", "100", recall),
            search("ivfpq", "111", 0.5), search("ivfpq", "110", recall / 2),
        ])
        for seed, recall in enumerate((0.5, 0.75, 0.625))
    ]  # fmt: skip
    records.append(
        bench.record("own", 0, SCORES, needs=["own first generation"], search=[search("hnsw", "100", 0.25, 3.0)])
    )
    records.append(bench.record("none", 0, SCORES, role="control"))
    records.append(bench.record("gone", 0, status=Status.OOM))
    return scenario_reports(records, bench.folder)[0]


def test_recall_by_method(report):
    found = rows(report.tables["recall"], "method")
    assert list(found) == ["a", "own"]
    assert found["a"]["hnsw_noo"] == TableCell(0.625, 0.5, 0.75)
    assert found["a"]["hnsw_ooo"] == TableCell(0.9, 0.9, 0.9)
    assert found["a"]["ivfpq_nnn"] == TableCell(0.5, 0.5, 0.5)
    assert found["a"]["ivfpq_nno"] == TableCell(0.3125, 0.25, 0.375)
    assert found["a"]["ivfpq_ooo"] == TableCell()
    assert found["own"]["hnsw_noo"] == TableCell(0.25)
    assert found["own"]["method"].marks == tuple(report.tables["recall"].footnotes) == ("†",)
    titles = {column.key: column.title for column in report.tables["recall"].columns}
    assert titles["ivfpq_nno"] == "IVF-PQ n,n refilled"
    assert " ".join(titles) == "method hnsw_ooo hnsw_noo hnsw_nnn ivfpq_ooo ivfpq_noo ivfpq_nnn ivfpq_nno"


def test_speed_by_kind_of_index(report):
    table = report.tables["indexes"]
    assert [group.title for group in table.groups] == ["HNSW", "IVF-PQ"]
    hnsw, ivfpq = (
        {row.cells["searched"].value: row.cells for row in group.rows} for group in table.groups
    )  # fmt: skip
    assert list(hnsw) == ["old queries on old vectors", "new queries on old vectors"]
    cross = hnsw["new queries on old vectors"]
    assert cross["recall"] == TableCell(0.5625, 0.25, 0.75)
    assert cross["queries_per_second"] == TableCell(56.25, 25.0, 75.0)
    assert cross["p99_ms"] == TableCell(1.125, 0.5, 1.5)
    assert cross["build_seconds"] == TableCell(1.0, 1.0, 3.0)
    assert cross["bytes_per_vector"] == TableCell(64)
    assert len(ivfpq) == 2
    assert "1,000 queries, each number the median of 3 repeats" in table.caption


def test_in_a_chain_the_newest_is_new(bench):
    generations = (GenerationSpec(backbone="small", dim=8),) * 3
    record = bench.record("a", 0, SCORES, search=[search("hnsw", "211", 0.5)])
    for entry in record.arrays:
        for name in ("query_generation", "gallery_generation"):
            setattr(entry, name, getattr(entry, name).replace("1", "2"))
    steps = [entry.model_copy(update={"query_generation": "1", "gallery_generation": gallery})
             for entry in record.arrays[:1] for gallery in "01"]  # fmt: skip
    steps += [record.arrays[0].model_copy(update={"query_generation": "2", "gallery_generation": "1"})]
    record.arrays.extend(steps)
    record.spec.generations = generations
    report = scenario_reports([record], bench.folder)[0]
    assert rows(report.tables["recall"], "method")["a"]["hnsw_noo"] == TableCell(0.5)


def test_records_without_searches_have_no_tables(golden):
    names = [table.name for table in golden.tables.values()]
    assert names == ["extended_data", "extended_data-flips", "extended_data-costs"]
