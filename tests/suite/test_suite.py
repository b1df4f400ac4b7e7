"""Suites as people write them: right, misspelt, impossible, and not YAML at all."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.errors import RequestError
from compatbench.suite.suite import MethodEntry, Suite, available_suites, load_suite, parse_suite

WRITTEN: dict[str, Any] = {
    "title": "two upgrades",
    "dataset": "digits",
    "image_size": 16,
    "recipe": {"epochs": 1, "augmentation": {"crop_padding": 1}},
    "defaults": {"backbone": "test_vit", "dim": 8},
    "scenarios": {"extended_data": [{"share": 0.1}, {"dim": 16}], "backbone": [{}, {"backbone": "test_resnet"}]},
    "methods": ["independent", {"name": "bct", "params": {"variant": "old_classes", "weight": 2}}],
}


@pytest.mark.parametrize("name", sorted(available_suites()))
def test_built_in_suites_are_valid(name: str) -> None:
    loaded, suite = load_suite(name)
    assert loaded == name
    assert {"independent", "all"} & {entry.name for entry in suite.methods}
    assert all(len(chain) >= 2 for chain in suite.scenarios.values())


def test_every_file_of_the_benchmarks_folder_is_a_suite() -> None:
    folder = Path(__file__).parents[2] / "benchmarks"
    assert {path.stem for path in folder.glob("*.yaml")} == set(available_suites())
    assert {"digits", "fashion"} <= set(available_suites())


def test_defaults_reach_every_generation_that_does_not_say_otherwise() -> None:
    suite = parse_suite(WRITTEN, "here")
    data, backbone = suite.scenarios["extended_data"], suite.scenarios["backbone"]
    assert [(step.backbone, step.dim, step.share) for step in data] == [("test_vit", 8, 0.1), ("test_vit", 16, 1.0)]
    assert [(step.backbone, step.dim) for step in backbone] == [("test_vit", 8), ("test_resnet", 8)]


def test_labels_tell_rows_of_one_method_apart_whatever_the_order_of_their_params() -> None:
    assert MethodEntry(name="bct").label == "bct"
    params = {"weight": 2, "variant": "old_classes"}
    assert MethodEntry(name="bct", params=params).label == "bct(variant=old_classes, weight=2)"


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[Any], str]:
    """What loading a suite file says that must not load; given as text, bytes or as a structure to write."""

    def load(content: Any) -> str:
        path = tmp_path / "mine.yaml"
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else yaml.safe_dump(content)).encode()
        path.write_bytes(content)
        with pytest.raises(RequestError) as caught:
            load_suite(str(path))
        message = str(caught.value)
        assert len(message.splitlines()) == 1
        assert message.startswith(f"{path}: ")
        return message.removeprefix(f"{path}: ")

    return load


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The written suite with the value at `path` replaced or added."""
    suite = copy.deepcopy(WRITTEN)
    place: Any = suite
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return suite


CHAIN = ("scenarios", "extended_data")

MISSPELT = [
    (("datset",), "datset: unknown key; did you mean 'dataset'?"),
    (("default",), "default: unknown key; did you mean 'defaults'?"),
    (("recipe", "epoch"), "recipe.epoch: unknown key; did you mean 'epochs'?"),
    (("recipe", "augmentation", "crop"), "recipe.augmentation.crop: unknown key; did you mean 'crop_padding'?"),
    (("defaults", "bakbone"), "defaults: unknown key 'bakbone'; did you mean 'backbone'?"),
    ((*CHAIN, 1, "shard"), "scenarios.extended_data.1.shard: unknown key; did you mean 'share'?"),
    (("methods", 1, "parms"), "methods.1.parms: unknown key; did you mean 'params'?"),
    (("two\nlines",), "two lines: unknown key; "),
]


@pytest.mark.parametrize(("path", "message"), MISSPELT, ids=[message.split(":")[0] for _, message in MISSPELT])
def test_a_misspelt_key_is_named_with_the_right_one(
    refusal: Callable[[Any], str], path: tuple[str | int, ...], message: str
) -> None:
    said = refusal(changed(*path, to="mistake"))
    assert said == message or (message.endswith("; ") and said.startswith(message))


IMPOSSIBLE = [
    (("image_size",), 3, "image_size: must be at least 4, or 0 for texts and vectors (got 3)"),
    (("image_size",), "big", "image_size: input should be a valid integer"),
    (("title",), ["a"], "title: input should be a valid string"),
    (("seeds",), [], "seeds: tuple should have at least 1 item"),
    (("seeds",), [0, 1, 0], "seeds: a seed is listed twice in [0, 1, 0]; remove one of the two"),
    (("timeout_minutes",), float("inf"), "timeout_minutes: input should be a finite number"),
    (("recipe", "lr"), float("inf"), "recipe.lr: input should be a finite number"),
    (("recipe", "lr"), float("nan"), "recipe.lr: input should be "),
    (("recipe", "epochs"), 0, "recipe.epochs: input should be greater than or equal to 1 (got 0)"),
    (("recipe", "optimizer"), "adam", "recipe.optimizer: input should be 'sgd' or 'adamw' (got 'adam')"),
    (("recipe", "schedule"), "step", "recipe: schedule 'step' needs steps"),
    (("recipe", "steps"), [0.5], "recipe: steps are for schedule 'step', not 'cosine'"),
    (("defaults",), ["backbone"], "defaults: input should be a valid dictionary"),
    (("scenarios",), {}, "scenarios: dictionary should have at least 1 item"),
    (CHAIN, [{"document_encoder": "previous"}, {}], "scenarios: scenario 'extended_data': no generation is before the"),
    ((*CHAIN, 1, "document_encoder"), "next", "scenarios.extended_data.1.document_encoder"),
    (CHAIN, [{"frozen": True}, {}], "scenarios: scenario 'extended_data': old and new models see the same views"),
    ((*CHAIN, 0, "stages"), [3], "scenarios.extended_data.0: stages are for frozen backbones"),
    (CHAIN, [{}], "scenarios: scenario 'extended_data' needs at least two generations, old and new"),
    (("scenarios", "a/b"), [{}, {}], "scenarios.a/b.[key]: string should match pattern"),
    (("scenarios", ".."), [{}, {}], "scenarios....[key]: string should match pattern"),
    ((*CHAIN, 0, "share"), 0, "scenarios.extended_data.0.share: must be above 0 and at most 1, or a range"),
    ((*CHAIN, 0, "share"), [0.5, 0.5], "scenarios.extended_data.0.share: must be above 0 and at most 1, or a range"),
    ((*CHAIN, 0, "share"), [0, 1.5], "scenarios.extended_data.0.share: must be above 0 and at most 1, or a range"),
    ((*CHAIN, 0, "share"), "all", "scenarios.extended_data.0.share: must be above 0 and at most 1, or a range"),
    ((*CHAIN, 0, "classes"), [3, 2], "scenarios.extended_data.0.classes: must be a number of classes, a share of them"),
    ((*CHAIN, 0, "classes"), True, "scenarios.extended_data.0: classes is a number, and not true"),
    (("recipe", "lr"), True, "recipe: lr is a number, and not true"),
    (("recipe", "epochs"), True, "recipe: epochs is a number, and not true"),
    (("recipe", "lr"), 1e308, "recipe.lr: input should be less than or equal to"),
    (("recipe", "epochs"), 10**30, "recipe.epochs: input should be less than or equal to"),
    (("recipe", "augmentation"), {"crop_padding": True}, "recipe.augmentation: crop_padding is a number, and not true"),
    ((*CHAIN, 0, "head"), {"mlp": [True]}, "scenarios.extended_data.0.head: mlp is a number, and not true"),
    (("seeds",), [0, False], "seeds is a number, and not false"),
    (("timeout_minutes",), True, "timeout_minutes is a number, and not true"),
    (("timeout_minutes",), 1e308, "timeout_minutes: input should be less than or equal to 525600"),
    ((*CHAIN, 0, "imbalance"), 1, "scenarios.extended_data.0.imbalance: input should be greater than 1 (got 1"),
    (("test_on_unseen_classes",), ["extended"], "test_on_unseen_classes: no scenario 'extended'; did you mean"),
    ((*CHAIN, 0, "share"), 1.5, "scenarios.extended_data.0.share: must be above 0 and at most 1, or a range"),
    ((*CHAIN, 0, "loss"), "triplet", "scenarios.extended_data.0.loss: input should be 'softmax'"),
    (("methods",), [], "methods: tuple should have at least 1 item"),
    (("methods",), ["bct", "bct"], "methods: 'bct' is listed twice; remove one of the two"),
    (("methods", 0), 7, "methods.0: input should be a valid dictionary"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    IMPOSSIBLE,
    ids=[f"{message.split(':')[0]}={value}" for _, value, message in IMPOSSIBLE],
)
def test_an_impossible_value_is_named_with_what_is_possible(
    refusal: Callable[[Any], str], path: tuple[str | int, ...], value: Any, message: str
) -> None:
    assert refusal(changed(*path, to=value)).startswith(message)


@pytest.mark.parametrize("key", ["title", "dataset", "recipe", "scenarios", "methods"])
def test_a_missing_key_is_named(refusal: Callable[[Any], str], key: str) -> None:
    assert refusal({name: value for name, value in WRITTEN.items() if name != key}) == f"{key}: is required"


def test_a_key_given_twice_is_refused_at_every_depth(refusal: Callable[[Any], str]) -> None:
    said = refusal("title: a\ndataset: digits\ntitle: b\n")
    assert said == "not valid YAML: line 3: key 'title' is given twice"
    assert "line 1: key 'lr' is given twice" in refusal("recipe: {epochs: 1, lr: 0.1, lr: 0.2}\n")


BOMB = "\n".join([f"a0: &a0 {['x'] * 10}", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))])
NOT_YAML = {
    "billion laughs": (BOMB, "its aliases unfold to more than 100000 values"),
    "merged laughs": (
        "a0: &a0 {k: 1}\n" + "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 10)),
        "its aliases unfold to more than 100000 values",
    ),
    "an alias of itself": ("methods: &m [*m]", "its aliases unfold"),
    "deep nesting": ("[" * 5000, "it is too deep: lists and mappings in each other"),
    "deep blocks": ("".join(f"{' ' * depth}a:\n" for depth in range(400)), "it is too deep"),
    "a number in base 60": (f"title: 1{':59' * 300_000}", "line 1: a number of more than 400 characters"),
    "a number in base 16": (f"title: [{{a: -0x{'f' * 5000}}}]", "a number of more than 400 characters"),
    "unclosed": ("title: [", "not valid YAML"),
    "tabs": ("title:\n\t- a", "not valid YAML"),
    "binary": (bytes(range(256)) * 10, "not valid YAML"),
    "utf-16": ("title: a".encode("utf-16"), "not valid YAML"),
    "python object": ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
    "no boolean": ("title: !!bool maybe", "not valid YAML"),
    "no integer": ("title: !!int ''", "not valid YAML"),
    "no time": ("title: !!timestamp soon", "not valid YAML"),
    "no date": ("title: 2020-13-45", "not valid YAML"),
    "list as key": ("? [a]\n: b", "not valid YAML"),
    "empty": ("", "must be a mapping"),
    "list": ("- title", "must be a mapping"),
    "text": ("nothing but words", "must be a mapping"),
    "number": ("7", "must be a mapping"),
}


@pytest.mark.parametrize(("content", "message"), NOT_YAML.values(), ids=NOT_YAML)
def test_a_file_that_is_no_mapping_is_refused(
    refusal: Callable[[Any], str], content: str | bytes, message: str
) -> None:
    assert message in refusal(content)


def test_aliases_and_merges_of_ordinary_size_work(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        yaml.safe_dump({key: value for key, value in WRITTEN.items() if key not in ("defaults", "scenarios")})
        + "scenarios:\n"
        "  one: [&old {backbone: test_vit, dim: 8, share: 0.5}, &new {<<: *old, share: 1.0}]\n"
        "  two: [*old, *new]\n"
    )
    suite = load_suite(str(path))[1]
    assert suite.scenarios["one"] == suite.scenarios["two"]
    assert [(step.backbone, step.dim, step.share) for step in suite.scenarios["one"]] == [
        ("test_vit", 8, 0.5),
        ("test_vit", 8, 1.0),
    ]


def test_a_suite_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no suite 'digts'; did you mean 'digits'\?; or give a path"):
        load_suite("digts")
    with pytest.raises(RequestError, match=r"none\.yaml: cannot be read: No such file"):
        load_suite(str(tmp_path / "none.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(RequestError, match=r"folder\.yaml: cannot be read: Is a directory"):
        load_suite(str(tmp_path / "folder.yaml"))


def loads_or_refuses(path: Path) -> None:
    """Passes where loading gives a suite or a RequestError in one line; any other exception goes through."""
    refusal = None
    try:
        name, suite = load_suite(str(path))
    except RequestError as error:
        refusal = str(error)
    if refusal is not None:
        assert len(refusal.splitlines()) == 1
        assert str(path) in refusal
    else:
        assert name == path.stem
        assert isinstance(suite, Suite)


KEYS = [*Suite.model_fields, "epochs", "lr", "share", "backbone", "name", "params", "extended_data", "<<", "!!bool"]
WORDS = st.sampled_from(
    [*KEYS, "&a", "*a", "{", "}", "[", "]", ":", "- ", ", ", "\n", "\n  ", " ", "'", '"', "1", ".inf"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.integers() | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [(key,) for key in WRITTEN] + [(*CHAIN, 0), (*CHAIN, 1, "classes"), ("methods", 1, "params"), ("recipe", "steps")]
)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60) | st.lists(WORDS, max_size=20).map("".join))
def test_any_text_is_a_suite_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    loads_or_refuses(path)


@settings(max_examples=150, deadline=None)
@given(place=PLACES, value=VALUES)
def test_any_value_anywhere_gives_a_suite_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str | int, ...], value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_text(
        yaml.safe_dump(changed(*place, to=value), allow_unicode=True), encoding="utf-8", errors="surrogatepass"
    )
    loads_or_refuses(path)
