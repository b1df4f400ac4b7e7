import sys

import pytest
import torch


def reverse(features, coefficient):
    return sys.modules["compatbench_methods._gradient_reversal"].reverse_gradient(features, coefficient)


@pytest.mark.parametrize("coefficient", [0.0, 0.3, 1.0])
def test_identity_forwards_and_the_opposite_backwards(catalogue, coefficient):
    features = torch.randn(5, 3, requires_grad=True)
    weights = torch.randn(5, 3)
    found = reverse(features, coefficient)
    assert torch.equal(found, features)
    (found * weights).sum().backward()
    assert torch.allclose(features.grad, -coefficient * weights)


def test_ascends_for_what_follows_descends(catalogue):
    """A step along the reversed gradient raises the loss that the discriminator lowers."""
    torch.manual_seed(0)
    features, row = torch.randn(8, 3, requires_grad=True), torch.randn(3, requires_grad=True)

    def loss(f, w):
        return torch.nn.functional.softplus(f @ w).mean()

    before = loss(reverse(features, 1.0), row)
    before.backward()
    assert loss(features - 0.1 * features.grad, row) > before
    assert loss(features, row - 0.1 * row.grad) < before
