"""The rules that choose drawings, one by one, on sets of a few names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from compatbench.data.families._icon_concepts import Rules, Taken, choose_concepts
from compatbench.data.families._icon_sets import IconSet

RULES = Rules.read()


def icon_set(
    prefix: str, names: Sequence[str] = (), aliases: Mapping[str, object] | None = None, bodies: str = "", **more: Any
) -> IconSet:
    """By a designer of its own; every name has a drawing of its own, or that of `bodies`."""
    info = {"author": {"name": f"designer of {prefix}"}, "license": {"spdx": more.pop("licence", "MIT")}}
    return IconSet.of(
        {
            "prefix": prefix,
            "info": info | {"category": more.pop("category", "UI 24px")},
            "icons": {name: {"body": bodies or f"<{name}/>"} for name in names},
            "aliases": aliases or {},
            **more,
        }
    )


def chosen(*sets: IconSet, designers: int = 2, **others: object) -> list[str]:
    return list(choose_concepts(RULES.model_copy(update={"designers": designers, **others}), sets)[0])


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("home", "home"),
        ("home-outline", "home"),
        ("home-24-filled", "home"),
        ("home-24px", "home"),
        ("home-duotone-thin", "home"),
        ("baseline-home", "home"),
        ("arrow-left", "arrow-left"),
        ("fill", "fill"),  # a name keeps its last word
        ("bold-24", "bold"),
        ("my-home-x", "home"),  # what the set itself says
        ("home-x-outline", "home"),
        ("x-home", "x-home"),
        ("outline-o", "outline"),
    ],
)
def test_names_are_stripped_of_how_something_is_drawn(name: str, concept: str) -> None:
    own = icon_set("a", prefixes={"": "Plain", "my": "Mine"}, suffixes={"": "Plain", "x": "Crossed"})
    assert RULES.concept(name, own) == concept


def test_a_concept_needs_many_designers_and_the_commonest_comes_first() -> None:
    sets = [icon_set("a", ["home", "bell", "star"]), icon_set("b", ["bell", "star-fill"]), icon_set("c", ["star"])]
    assert chosen(*sets) == ["star", "bell"]
    assert chosen(*sets, designers=3) == ["star"]


def test_two_sets_of_one_designer_count_once() -> None:
    twice = [icon_set(prefix, ["home"]) for prefix in ("a", "a")]
    assert chosen(*twice) == []


@pytest.mark.parametrize("licence", ["GPL-3.0", "CC-BY-NC-4.0", "CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", ""])
def test_drawings_under_other_licences_are_left_out(licence: str) -> None:
    assert chosen(icon_set("a", ["home"]), icon_set("b", ["home"], licence=licence)) == []
    assert chosen(icon_set("a", ["home"]), icon_set("b", ["home"], licence="CC-BY-4.0")) == ["home"]


def test_brands_are_names_that_sets_of_brands_share_whatever_their_licence() -> None:
    plain = [icon_set(prefix, ["home", "acme"]) for prefix in ("a", "b")]
    logos = [icon_set(f"l{i}", ["acme-color"], category="Logos", licence="CC-BY-SA-4.0") for i in range(4)]
    assert chosen(*plain, *logos) == ["home"]
    assert chosen(*plain, *logos[:3]) == ["acme", "home"]


def test_sets_of_other_proper_names_are_left_out() -> None:
    assert chosen(icon_set("a", ["home"]), icon_set("b", ["home"], category="Programming")) == []
    assert chosen(icon_set("a", ["home"]), icon_set("cryptocurrency", ["home"])) == []


def test_hidden_drawings_are_left_out() -> None:
    hidden = icon_set("b", icons={"home": {"body": "", "hidden": True}})
    assert chosen(icon_set("a", ["home"]), hidden) == []


@pytest.mark.parametrize("name", ["at", "007", "chart", "text"])
def test_short_and_vague_names_and_numbers_are_left_out(name: str) -> None:
    assert chosen(icon_set("a", [name, "home"]), icon_set("b", [name, "home"])) == ["home"]


def test_of_a_group_of_synonyms_the_commonest_stays() -> None:
    sets = [icon_set("a", ["trash", "delete"]), icon_set("b", ["trash", "delete"]), icon_set("c", ["trash"])]
    assert chosen(*sets) == ["trash"]
    assert chosen(*sets[:2]) == ["delete"]  # as common: by name


def test_plurals_and_words_in_another_order_are_one_concept() -> None:
    names = ["clouds-rain", "rain-cloud", "bus", "buses", "setting", "settings"]
    assert chosen(icon_set("a", names), icon_set("b", names)) == ["bus", "buses", "clouds-rain", "setting"]


def test_an_alias_in_two_sets_makes_one_concept_of_two_names() -> None:
    sets = [icon_set(prefix, ["rook", "castle"]) for prefix in ("a", "b")]
    said = [icon_set(prefix, ["rook"], {"castle": {"parent": "rook"}}) for prefix in ("c", "d")]
    assert chosen(*sets, said[0]) == ["rook", "castle"]
    assert chosen(*sets, *said) == ["rook"]
    turned = [icon_set(p, ["rook"], {"castle": {"parent": "rook", "hFlip": True}}) for p in ("c", "d")]
    assert chosen(*sets, *turned) == ["rook", "castle"]


def test_the_same_drawing_under_two_names_in_two_sets_makes_them_one_concept() -> None:
    sets = [icon_set(prefix, ["rook", "castle"], bodies="<path/>") for prefix in ("a", "b")]
    assert chosen(*sets) == ["castle"]
    assert chosen(sets[0], icon_set("b", ["rook", "castle"])) == ["castle", "rook"]


def test_emoji_are_what_several_designers_draw_and_no_concept_means() -> None:
    emoji = [icon_set(p, ["trash", "heart", "buses", "bin"]) for p in ("noto", "twemoji")] + [
        icon_set("fxemoji", ["x"])
    ]
    rules = RULES.model_copy(update={"designers": 3, "emoji": RULES.emoji.model_copy(update={"designers": 2})})
    concepts, found = choose_concepts(rules, [icon_set("a", ["trash", "bus", "buses"]), *emoji])
    assert list(concepts) == ["buses", "trash"]
    assert list(found) == ["heart"]
    assert {icon.set for icon in found["heart"]} == {"noto", "twemoji"}


def test_no_name_stands_in_two_groups_of_synonyms() -> None:
    names = [name for group in RULES.synonyms for name in group]
    assert len(names) == len(set(names)) == len(RULES.group_of)
    assert all(len(group) > 1 for group in RULES.synonyms)


def test_a_name_is_taken_once() -> None:
    taken = Taken(RULES, {"rook": {"castle"}})
    assert [taken.take(name) for name in ("castle", "castle", "rook", "tower")] == [True, False, False, True]
