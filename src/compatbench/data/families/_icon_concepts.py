"""Which concepts designers draw, by the names of their drawings; the rules are in `_iconsets.yaml`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from compatbench.data.families._icon_sets import Icon, IconSet
from compatbench.storage.strict_yaml import read_mapping

Concepts = Mapping[str, Sequence[Icon]]
"""Drawings by what they show."""
NamePair = tuple[str, str]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OtherNames(_Part):
    """Sets that are left out, because they name what is no concept."""

    categories: frozenset[str]
    sets: frozenset[str]


class EmojiRules(_Part):
    """Which drawings are emoji, how many designers a class needs, and who draws the queries."""

    sets: frozenset[str]
    designers: int
    query_designer: str


class Rules(_Part):
    """The content of `_iconsets.yaml`, which explains each rule."""

    licences: frozenset[str]
    style_suffixes: frozenset[str]
    style_prefixes: frozenset[str]
    brand_categories: frozenset[str]
    other_names: OtherNames
    brand_sets: int
    designers: int
    synonym_sets: int
    shortest: int
    kept_drawings: int
    kept_designers: int
    synonyms: tuple[tuple[str, ...], ...]
    vague: frozenset[str]
    emoji: EmojiRules

    @classmethod
    def read(cls) -> Rules:
        """From the file beside this one."""
        return cls.model_validate(read_mapping(Path(__file__).with_name("_iconsets.yaml")))

    @cached_property
    def group_of(self) -> dict[str, int]:
        """Names to the number of their group of synonyms."""
        return {name: number for number, names in enumerate(self.synonyms) for name in names}

    def concept(self, name: str, icon_set: IconSet) -> str:
        """`name` without what tells how it is drawn, by words of the set itself and by words that all use."""
        before = None
        while name != before:
            before = name
            for affix in sorted(icon_set.prefixes + icon_set.suffixes, key=lambda affix: (-len(affix), affix)):
                if affix in icon_set.suffixes:
                    name = name.removesuffix(f"-{affix}")
                if affix in icon_set.prefixes:
                    name = name.removeprefix(f"{affix}-")
            words = name.split("-")
            while len(words) > 1 and (words[-1] in self.style_suffixes or words[-1].removesuffix("px").isdigit()):
                words.pop()
            while len(words) > 1 and words[0] in self.style_prefixes:
                words.pop(0)
            name = "-".join(words)
        return name

    def by_concept(self, sets: Iterable[IconSet]) -> dict[str, list[Icon]]:
        """Drawings of the sets that name concepts, by concept."""
        found = defaultdict(list)
        for one in sets:
            if one.category not in self.other_names.categories and one.prefix not in self.other_names.sets:
                for name, icon in one.icons.items():
                    found[self.concept(name, one)].append(icon)
        return found

    def brands(self, sets: Iterable[IconSet]) -> set[str]:
        """Names that several sets of brands have."""
        counts = Counter(name for one in sets for name in {self.concept(name, one) for name in one.icons})
        return {name for name, count in counts.items() if count >= self.brand_sets}

    def same(self, sets: Iterable[IconSet], candidates: Concepts) -> dict[str, set[str]]:
        """To each candidate those names that several sets use for the same: as an alias, or for the same drawing."""
        counts = Counter(pair for one in sets for pair in self._said_to_be_same(one, candidates))
        others: dict[str, set[str]] = defaultdict(set)
        for (first, second), count in counts.items():
            if count >= self.synonym_sets:
                others[first].add(second)
                others[second].add(first)
        return others

    def _said_to_be_same(self, one: IconSet, candidates: Concepts) -> set[NamePair]:
        named = {name: self.concept(name, one) for name in one.icons}
        by_body: dict[str, set[str]] = defaultdict(set)
        for name, concept in named.items():
            if concept in candidates:
                by_body[one.icons[name].body].add(concept)
        pairs = {pair for concepts in by_body.values() for pair in combinations(sorted(concepts), 2)}
        aliases = (sorted((self.concept(name, one), self.concept(parent, one))) for name, parent in one.aliases)
        return pairs | {(first, second) for first, second in aliases if first != second}


class Taken:
    """The names that have been used, with all that means the same."""

    def __init__(self, rules: Rules, same: Mapping[str, set[str]]) -> None:
        self.rules, self.same = rules, same
        self._known: set[object] = set()

    def take(self, name: str) -> bool:
        """Whether no name that means the same was taken before: a synonym, the same words, a plural."""
        words = tuple(sorted(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in name.split("-")))
        keys: set[object] = {name, words}
        if name in self.rules.group_of:
            keys.add(self.rules.group_of[name])
        free = self._known.isdisjoint(keys | self.same.get(name, set()))
        self._known |= keys
        return free


def choose_concepts(rules: Rules, sets: Sequence[IconSet]) -> tuple[Concepts, Concepts]:
    """Concepts, and emoji that are none of them: each with all its drawings under open licences.

    The commonest comes first. Brands are known by name, whatever the licence of their drawings.
    """
    brands = rules.brands(one for one in sets if one.category in rules.brand_categories)
    drawn = [one for one in sets if one.licence in rules.licences and one.category not in rules.brand_categories]
    candidates = _common(rules.by_concept(drawn), rules.designers)
    taken = Taken(rules, rules.same(drawn, candidates))
    usable = {
        name: icons
        for name, icons in candidates.items()
        if len(name) >= rules.shortest and not name.isdigit() and name not in brands | rules.vague
    }
    concepts = {name: icons for name, icons in usable.items() if taken.take(name)}
    emoji: dict[str, list[Icon]] = defaultdict(list)
    for one in drawn:
        if one.prefix in rules.emoji.sets:
            for name, icon in one.icons.items():
                emoji[name].append(icon)
    common = _common(emoji, rules.emoji.designers)
    return concepts, {name: icons for name, icons in common.items() if taken.take(name)}


def designers(icons: Iterable[Icon]) -> set[str]:
    """Who drew them."""
    return {icon.designer for icon in icons}


def _common(found: Concepts, least: int) -> Concepts:
    """Those that `least` designers draw, the commonest first."""
    counts = {name: len(designers(icons)) for name, icons in found.items()}
    order = sorted((name for name in found if counts[name] >= least), key=lambda name: (-counts[name], name))
    return {name: found[name] for name in order}
