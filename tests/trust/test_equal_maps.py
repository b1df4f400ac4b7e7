"""Equal models have equal scores.

Rows that coincide by their formula are no copies: `low_rank` of full rank, and a loss that adds nothing.
"""

from dataclasses import replace

import numpy as np
import pytest

from compatbench.evaluation.arrays import QueryResults
from compatbench.records.parts import ArrayRef
from compatbench.records.record import Record
from compatbench.trust.consistency import Consistency

RESULTS = QueryResults(
    ids=np.arange(40),
    first_rank=np.ones(40, dtype=np.int32),
    average_precision=np.linspace(0.1, 0.9, 40, dtype=np.float32),
    ap_at_r=np.linspace(0.1, 0.8, 40, dtype=np.float32),
    relevant=np.full(40, 9, dtype=np.int32),
)


@pytest.mark.parametrize(
    ("name", "old_dim", "problems"), [("low_rank", 64, 0), ("low_rank", 65, 1), ("procrustes", 64, 1)]
)
def test_a_map_of_full_rank_is_ridge_and_no_copy_of_it(record: Record, name: str, old_dim: int, problems: int) -> None:
    consistency = Consistency(lambda reference: RESULTS)
    found = []
    for method, params in (("ridge", {"epsilon": 1e-4}), (name, {"epsilon": 1e-4, "rank": 64})):
        old, new = record.spec.generations
        info = record.spec.method.model_copy(
            update={"name": method, "label": method, "params": params, "kind": "adapter"}
        )
        generations = (old.model_copy(update={"dim": old_dim}), new.model_copy(update={"dim": 128}))
        spec = record.spec.model_copy(update={"method": info, "generations": generations})
        arrays = [ArrayRef(query_generation="1", gallery_generation="0", array=f"{'a' * 64}#q")]
        found += consistency.conflicts(record.model_copy(update={"spec": spec, "arrays": arrays, "metrics": []}))
    assert len(found) == problems, found
    assert all("query by query, and is of another model" in problem for problem in found)


@pytest.mark.parametrize(("copied", "problems"), [(("1,1", "1,0"), 0), (("1,1",), 1), (("1,0",), 1)])
def test_a_loss_that_adds_nothing_trains_the_baseline(record: Record, copied: tuple[str, ...], problems: int) -> None:
    """Both of its scores are then the baseline's; scores of its own beside copied ones are a forgery."""
    random = np.random.default_rng(0)

    def drawn() -> QueryResults:
        values = random.uniform(0.1, 0.9, (2, 40)).astype(np.float32)
        return replace(RESULTS, average_precision=values[0], ap_at_r=values[1])

    baseline = {at: drawn() for at in ("0,0", "*1,*1", "1,0")}
    baseline["1,1"] = baseline["*1,*1"]
    arrays = {f"independent {at}": results for at, results in baseline.items()}
    arrays |= {f"bct {at}": one if at in copied else drawn() for at, one in baseline.items() if at[0] == "1"}
    arrays |= {f"bct {at}": one for at, one in baseline.items() if at[0] != "1"}
    consistency = Consistency(lambda reference: arrays[reference.partition("#")[2]])
    found = []
    for method in ("independent", "bct"):
        info = record.spec.method.model_copy(update={"name": method, "label": method, "kind": "training", "needs": ()})
        spec = record.spec.model_copy(update={"method": info, "generations": record.spec.generations[:2]})
        refs = [
            ArrayRef(
                query_generation=at.split(",")[0],
                gallery_generation=at.split(",")[1],
                array=f"{'0' * 64}#{method} {at}",
            )
            for at in baseline
        ]
        parents = {"0": "a" * 64, "*1": "b" * 64, "1": ("b" if method == "independent" else "c") * 64}
        updates = {"spec": spec, "arrays": refs, "metrics": [], "parents": parents}
        found += consistency.conflicts(record.model_copy(update=updates))
    assert len(found) == problems, found


@pytest.mark.parametrize(("cpu", "problems"), [("EPYC", 1), ("Xeon", 0)])
def test_processors_of_no_named_kind_and_one_name_give_a_model_the_same_scores(
    record: Record, cpu: str, problems: int
) -> None:
    """A best model that is a little worse makes every share of its gain larger."""
    lower = replace(RESULTS, average_precision=RESULTS.average_precision - np.float32(0.016))
    consistency = Consistency(lambda reference: lower if reference.endswith("lower") else RESULTS)
    found = []
    for method, name, array in (("independent", "EPYC", "all"), ("bct", cpu, "lower")):
        info = record.spec.method.model_copy(update={"name": method, "label": method, "kind": "training"})
        arrays = [ArrayRef(query_generation="*1", gallery_generation="*1", array=f"{'0' * 64}#{array}")]
        spec = record.spec.model_copy(update={"method": info, "generations": record.spec.generations[:2]})
        environment = record.environment.model_copy(update={"cpu": name, "cpu_kind": None})
        updates = {"spec": spec, "arrays": arrays, "metrics": [], "environment": environment}
        found += consistency.conflicts(record.model_copy(update={**updates, "parents": {"*1": "b" * 64}}))
    assert len(found) == problems, found
    assert all("mAP differs by 0.0160" in problem for problem in found)
