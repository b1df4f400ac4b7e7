"""Facts about methods, against counts by hand."""

from __future__ import annotations

import pytest

from compatbench.cli.method_facts import Size, method_size, needs_by_choice
from compatbench.discovery.plugins import Catalogue, discover
from compatbench.method import Need


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return discover()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("independent", Size(encoder_dim=128, stored_dim=128, trained=0, served=0)),
        # B (128, 128)
        ("bc_aligner", Size(encoder_dim=128, stored_dim=128, trained=128**2, served=128**2)),
        # Q (160, 160) over 128 + 32 dimensions, in training only
        ("oca", Size(encoder_dim=160, stored_dim=160, trained=160**2, served=0)),
        # V (32, 256) with its bias, P₁ and P₂ (128, 128)
        (
            "bt2",
            Size(
                encoder_dim=256, stored_dim=160, trained=32 * 256 + 32 + 2 * 128**2, served=32 * 256 + 32 + 2 * 128**2
            ),
        ),
        # Q (128, 128), of every new vector
        ("random_rotation", Size(encoder_dim=None, stored_dim=128, trained=128**2, served=128**2)),
        # U (128, 64), V (128, 64) and b (128,)
        (
            "low_rank",
            Size(encoder_dim=None, stored_dim=128, trained=2 * 128 * 64 + 128, served=2 * 128 * 64 + 128),
        ),
        # two branches 128 → 256 → 256 and 512 → 2048 → 2048 → 128, BatchNorm with four numbers a channel; no query map
        (
            "fct",
            Size(
                encoder_dim=None,
                stored_dim=128,
                trained=2 * (128 * 256 + 256 * 256)
                + (512 * 2048 + 2048 * 2048 + 2048 * 128 + 128)
                + 4 * (4 * 256 + 2 * 2048),
                served=0,
            ),
        ),
        ("identity", Size(encoder_dim=None, stored_dim=128, trained=0, served=0)),
    ],
)
def test_sizes_are_those_counted_by_hand(catalogue: Catalogue, name: str, expected: Size) -> None:
    assert method_size(catalogue.get(name), catalogue) == expected


def test_needs_are_listed_per_value_that_changes_them(catalogue: Catalogue) -> None:
    assert needs_by_choice(catalogue.get("bct")) == {
        "": {Need.OLD_CLASSIFIER, Need.OLD_FEATURES},
        "variant=old_classes": {Need.OLD_CLASSIFIER},
        "variant=prototypes": {Need.OLD_FEATURES},
    }
    assert needs_by_choice(catalogue.get("contrastive")) == {"": {Need.OLD_ENCODER}}
