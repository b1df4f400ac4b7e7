"""Lists of flips, by hand. A query whose AP is 0.5 or more has its first hit at rank 1, any other at rank 7."""

import io

import pandas as pd
import pytest

from compatbench.errors import RequestError
from compatbench.records.parts import WorstFlip
from compatbench.report.rows.flips import WORST
from compatbench.report.site.flip_files import flip_csv
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.vocabulary import Status

OLD, CROSS, NEW = [0.75, 0.75, 0.5, 0.25], [0.25, 0.75, 0.125, 1.0], [0.75, 0.25, 1.0, 0.25]


class Samples:
    def label(self, sample):
        return ["=evil", "two"][sample % 2]

    def name(self, sample):
        return f"image {sample}" if sample != 2 else None

    def pixels(self, sample):
        raise AssertionError("a list has no pictures")


def worst(*ids, gallery="0"):
    return [
        WorstFlip(
            query_generation="1",
            gallery_generation=gallery,
            id=sample,
            old_top=[1],
            old_right=[True],
            new_top=[2],
            new_right=[False],
        )
        for sample in ids
    ]


def lists(bench, *records):
    return {one.row.label: one for one in scenario_reports(records, bench.folder)[0].flip_lists}


def record(bench, label="m", seed=0, cross=CROSS, **changes):
    return bench.record(label, seed, {"oo": OLD, "no": cross, "nn": NEW, "ss": NEW}, **changes)


def test_every_flip_is_listed_once_by_system_the_largest_loss_first(bench):
    found = lists(bench, record(bench))["m"].flips
    columns = ["query", "queries", "gallery", "flip@1", "flip@10", "old_rank", "new_rank", "ap_change"]
    assert found[columns].to_numpy().tolist() == [
        [0, 1, 0, "negative", "", 1, 7, -0.5],
        [2, 1, 0, "negative", "", 1, 7, -0.375],
        [3, 1, 0, "positive", "", 7, 1, 0.75],
        [1, 1, 1, "negative", "", 1, 7, -0.5],
    ]


def test_seeds_share_a_list_and_rows_without_a_finished_seed_have_none(bench):
    found = lists(
        bench, record(bench), record(bench, seed=1, cross=OLD), bench.record("gone", 0, status=Status.TIMEOUT)
    )
    assert set(found) == {"m"}
    assert found["m"].flips[["seed", "query", "gallery"]].to_numpy().tolist() == [
        [0, 0, 0], [0, 2, 0], [0, 3, 0], [0, 1, 1], [1, 1, 1],
    ]  # fmt: skip


def test_the_csv_names_queries_and_holds_no_formula(bench):
    found = lists(bench, record(bench))["m"]
    frame = pd.read_csv(io.StringIO(flip_csv(found, Samples())), keep_default_na=False)
    assert frame["label"].tolist() == ["'=evil", "'=evil", "two", "two"]
    assert frame["name"].tolist() == ["image 0", "", "image 3", "image 1"]
    assert frame["ap_change"].tolist() == [-0.5, -0.375, 0.75, -0.5]
    assert set(frame) - set(pd.read_csv(io.StringIO(flip_csv(found, None)))) == {"label", "name"}


def test_the_worst_of_all_seeds_are_kept_with_their_numbers(bench):
    deep = [*worst(2, 0), *worst(1, gallery="1")]
    found = lists(bench, record(bench, worst_flips=deep), record(bench, seed=1, worst_flips=worst(0)))["m"].worst
    assert [(query, gallery) for query, gallery, _ in found] == [("1", "0"), ("1", "1")]
    first, second = (several for _, _, several in found)
    assert [(one.seed, one.flip.id, one.new_rank, one.old_ap, one.new_ap) for one in first] == [
        (0, 0, 7, 0.75, 0.25),
        (1, 0, 7, 0.75, 0.25),
        (0, 2, 7, 0.5, 0.125),
    ]
    assert [one.flip.id for one in second] == [1]


def test_no_more_are_kept_than_are_shown(bench):
    scores = {"oo": [0.75] * 30, "no": [0.25] * 30, "nn": [0.75] * 30, "ss": [0.75] * 30}
    found = lists(bench, bench.record("m", 0, scores, worst_flips=worst(*range(30))))["m"].worst
    assert [one.flip.id for one in found[0][2]] == list(range(WORST))


def test_a_worst_flip_that_is_none_is_refused(bench):
    with pytest.raises(RequestError, match=r"m--seed0--.*\.json: query 3 does not flip; run its cell again"):
        lists(bench, record(bench, worst_flips=worst(3)))
