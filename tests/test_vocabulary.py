"""The vocabulary: every word has a sentence, and the league of a row is that of its hardest demand."""

import copy
import itertools
import pickle

import pytest

from compatbench import vocabulary
from compatbench.discovery.plugins import discover
from compatbench.vocabulary import (
    League,
    Need,
    ParameterSetting,
    Role,
    Status,
    Word,
    league,
    plain_label,
    row_label,
)

WORDS = [word for kind in Word.__subclasses__() for word in kind]


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_a_word_is_its_string_and_has_a_sentence(word: Word) -> None:
    assert (str(word), f"{word}", word.value) == (word, word, word)
    assert repr(word) == repr(str(word))
    assert word.sentence.endswith(".")
    assert word.sentence[0].isupper()
    assert word.heading
    assert type(word)(str(word)) is word
    assert copy.deepcopy(word) is word
    assert pickle.loads(pickle.dumps(word)) is word


def test_every_enumeration_is_one_of_words() -> None:
    kinds = {kind for kind in vars(vocabulary).values() if isinstance(kind, type) and issubclass(kind, Word)}
    assert kinds - {Word} == set(Word.__subclasses__())


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match="'broken' is not a valid Status"):
        Status("broken")


@pytest.mark.parametrize("size", range(4))
def test_a_league_is_that_of_the_hardest_demand(size: int) -> None:
    demands = {
        Need.OWN_FIRST_GENERATION: League.PLANNED_AHEAD,
        Need.BOTH_ENCODERS_ONLINE: League.TWO_ENCODERS,
        Need.GALLERY_REWRITE: League.INDEX_REWRITTEN,
    }
    others = set(Need) - set(demands)
    for needs in itertools.combinations(demands, size):
        hardest = next((demands[need] for need in demands if need in needs), League.INDEX_UNTOUCHED)
        assert league(Role.METHOD, needs) is league(Role.METHOD, {*needs, *others}) is hardest


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bct", League.INDEX_UNTOUCHED),
        ("fct", League.INDEX_REWRITTEN),
        ("rank_merge", League.TWO_ENCODERS),
        ("hoc", League.PLANNED_AHEAD),
        ("independent", None),
        ("identity", None),
    ],
)
def test_leagues_of_built_in_methods(name: str, expected: League | None) -> None:
    method = discover().get(name).cls
    assert league(method.role, method.needs) is expected


@pytest.mark.parametrize("plain", ["bct", "bct(variant=old_classes)"])
def test_a_setting_in_a_label_is_put_there_and_taken_away_in_one_place(plain: str) -> None:
    tuned, published = (row_label(plain, one) for one in (ParameterSetting.TUNED, ParameterSetting.PUBLISHED))
    assert (tuned, published) in {
        ("bct(tuned)", "bct(published)"),
        ("bct(variant=old_classes, tuned)", "bct(variant=old_classes, published)"),
    }
    assert {plain_label(label) for label in (plain, tuned, published)} == {plain}
    assert {row_label(plain, one) for one in (None, ParameterSetting.BOTH, ParameterSetting.UNTUNED)} == {plain}
