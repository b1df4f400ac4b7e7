"""The old model as its own upgrade: nothing changes, to the bit."""

import numpy as np
import pytest
import torch

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.flips import flip_estimates
from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.generations import adapters
from compatbench.method import Expectation, Role


@pytest.mark.parametrize(("dim", "old_dim"), [(6, 6), (6, 4), (4, 6)])
def test_nothing_changes(pairs, dim, old_dim):
    new, old, labels = pairs(dim, old_dim, count=60)
    identity = adapters.fit("identity", old, new)
    ids = torch.arange(60)

    def search(queries, gallery):
        return evaluate(Vectors(queries, labels, ids), Vectors(gallery, labels, ids))

    status_quo = search(adapters.unit(old), adapters.unit(old))
    cross = search(identity.query(new, old), identity.gallery(old))
    own = search(identity.new(new, old), identity.new(new, old))
    for system in (cross, own):
        assert np.array_equal(system.average_precision, status_quo.average_precision)
        assert np.array_equal(system.first_rank, status_quo.first_rank)
        flips = flip_estimates({"": [(status_quo, system)]}, (1,))[""]
        assert flips == dict.fromkeys(("NFR@1", "PFR@1", "relative_NFR@1"), Estimate(0, 0, 0))
    assert 0 < status_quo.metrics()["mAP"] < 1


def test_it_is_a_control_that_expects_just_that(catalogue):
    cls = catalogue.get("identity").cls
    assert cls.role is Role.CONTROL
    assert cls.expects == {Expectation.CROSS_EQUALS_OLD}
