"""Specs of encoders: later fields leave earlier names alone, and weights and heads have one spelling each."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from compatbench.suite.encoder_spec import EmbeddingHeadSpec, EncoderSpec
from compatbench.suite.scenarios import GenerationSpec

FIRST_ENCODER = {
    "backbone": "test_vit",
    "dim": 8,
    "image_size": 16,
    "channels": 1,
    "pretrained": False,
    "small_image_stem": False,
    "batch_norm": False,
}
"""What the JSON of an encoder was before it could be frozen."""

FIRST_GENERATION = {
    "backbone": "test_vit",
    "dim": 64,
    "share": 1.0,
    "loss": "softmax",
    "pretrained": False,
    "small_image_stem": False,
    "batch_norm": False,
}


def generation(**spec: Any) -> GenerationSpec:
    return GenerationSpec.model_validate({"backbone": "test_vit", **spec})


def test_fields_at_their_default_are_not_in_the_json() -> None:
    encoder = EncoderSpec(backbone="test_vit", dim=8, image_size=16, channels=1)
    assert encoder.model_dump(mode="json") == FIRST_ENCODER
    assert generation().model_dump(mode="json") == FIRST_GENERATION
    assert generation(head="linear", weights=None).model_dump(mode="json") == FIRST_GENERATION
    assert generation(head={"mlp": []}) == generation(head="linear") == generation()


def test_other_values_are_in_the_json_and_come_back() -> None:
    spec = generation(weights="package", head={"mlp": [32, 16], "batch_norm": True, "dropout": 0.1})
    dumped = spec.model_dump(mode="json")
    assert dumped == FIRST_GENERATION | {
        "pretrained": True,
        "weights": "package",
        "head": {"mlp": [32, 16], "batch_norm": True, "dropout": 0.1},
    }
    assert GenerationSpec.model_validate(dumped) == spec
    encoder = spec.encoder(channels=3, image_size=64)
    assert (encoder.pretrained, encoder.weights) == (True, "package")
    assert encoder.head == EmbeddingHeadSpec(mlp=(32, 16), batch_norm=True, dropout=0.1)


def test_weights_of_the_hub_are_the_older_word_pretrained() -> None:
    assert generation(weights="hub") == generation(pretrained=True)
    assert generation(weights="hub").encoder(3, 32) == generation(pretrained=True).encoder(3, 32)


def test_a_tower_takes_the_weights_of_its_generation_unless_it_names_its_own() -> None:
    def weights(**tower: Any) -> tuple[bool, str | None]:
        encoder = generation(weights="package", query_encoder=tower).encoder(3, 32)
        return encoder.pretrained, encoder.weights

    assert weights(backbone="test_resnet") == (True, "package")
    assert weights(weights="hub") == weights(pretrained=True) == (True, None)
    assert weights(pretrained=False) == (False, None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"weights": "zip"}, "weights: 'zip' must be hub (timm's own) or package"),
        ({"weights": "package", "pretrained": False}, "pretrained: false takes no weights"),
        ({"head": "deep"}, "must be linear, none, or hidden layers such as {mlp: [512]}"),
        ({"head": {"mlp": [0]}}, "widths of hidden layers are positive"),
        ({"head": {"dropout": 0.5}}, "batch_norm and dropout belong to hidden layers"),
        ({"head": {"mlp": [8], "dropout": 1}}, "less than 1"),
    ],
)
def test_what_makes_no_sense_is_named(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        generation(**spec)
    assert message in str(caught.value)
