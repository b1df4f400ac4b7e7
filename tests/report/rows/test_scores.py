import dataclasses

import numpy as np
import pytest
from synthetic import results

from compatbench.errors import RequestError
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.storage.array_files import array_path

ENTRIES = {"oo": [0.5, 0.25], "no": [0.75, 0.5], "nn": [1.0, 0.25], "ss": [0.875, 0.125]}


def read(bench, *records):
    return ScoreReader(bench.folder).read(scenarios(records)[0].rows[0], "1")


def test_scores_are_aligned_by_seed_entry_and_metric(bench):
    doubled = {pair: [value / 2 for value in values] for pair, values in ENTRIES.items()}
    scores = read(bench, bench.record("a", 5, doubled), bench.record("a", 2, ENTRIES))
    assert scores.seeds == (2, 5)
    np.testing.assert_array_equal(scores.of("mAP", "M(n,o)"), [[0.75, 0.5], [0.375, 0.25]])
    np.testing.assert_array_equal(scores.of("mAP", "M(*,*)"), [[0.875, 0.125], [0.4375, 0.0625]])
    np.testing.assert_array_equal(scores.of("CMC@1", "M(n,o)"), [[1, 1], [0, 0]])


def test_queries_without_a_relevant_item_are_left_out(bench):
    record = bench.record("a", 0, ENTRIES)
    for array in record.arrays:
        one = results([0.5, 0.25])
        one.average_precision[0] = np.nan
        one.first_rank[0] = 0
        array.array = dataclasses.replace(one, relevant=np.array([0, 3], dtype=np.int32)).write(bench.folder)
    scores = read(bench, record)
    assert scores.of("mAP", "M(o,o)").tolist() == [[0.25]]


def test_records_with_different_queries_are_refused(bench):
    with pytest.raises(RequestError, match="a: its records contain different queries"):
        read(bench, bench.record("a", 0, ENTRIES), bench.record("a", 1, {**ENTRIES, "nn": [0.5, 0.5, 0.5]}))


def test_a_missing_entry_and_a_missing_file_are_named(bench):
    partial = {pair: values for pair, values in ENTRIES.items() if pair != "ss"}
    with pytest.raises(RequestError, match=r"a--seed0.*M\(\*1,\*1\)"):
        read(bench, bench.record("a", 0, partial))
    record = bench.record("a", 0, ENTRIES)
    array_path(bench.folder, record.arrays[0].array).unlink()
    with pytest.raises(RequestError, match="run the cell again"):
        read(bench, record)


def test_l2_arrays_are_not_taken_for_cosine(bench):
    record = bench.record("a", 0, ENTRIES)
    record.arrays.insert(0, record.arrays[2].model_copy(update={"distance": "l2", "query_generation": "0"}))
    assert read(bench, record).of("mAP", "M(o,o)").tolist() == [[0.5, 0.25]]
