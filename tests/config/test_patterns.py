"""Patterns that are looked for together: what is found is what each would find by itself."""

from __future__ import annotations

import copy

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from rails_engine.patterns import Patterns

_pieces = st.sampled_from(
    ["a", "b", "ä", ".", "[ab]", "a*", "b+", "^", "$", r"\b", "(a|b)", "a{2,3}", "(?i)B", ""]
)
_patterns = st.lists(st.lists(_pieces, max_size=4).map("".join), max_size=6)


@given(_patterns, st.text("abBä \n", max_size=12), st.booleans())
def test_together_they_find_what_each_finds(texts: list[str], text: str, case_insensitive: bool) -> None:
    options = re2.Options()
    options.case_sensitive = not case_insensitive
    alone = [each for each in texts if re2.compile(each, options=options).search(text)]
    assert Patterns(texts, case_insensitive=case_insensitive).found_in([text]) == alone


def test_those_that_do_not_fit_into_one_table_are_searched_for_one_by_one() -> None:
    large, word = r"\pL{1,200}-", "ä" * 200
    patterns = Patterns([large, "secret", "b$"])
    assert patterns.found_in([f"{word}- secret"]) == [large, "secret"]
    assert patterns.found_in([f"{word} b"]) == ["b$"]
    assert patterns.found_in([word]) == []


def test_many_of_them() -> None:
    patterns = Patterns([rf"\bword{number}\b" for number in range(500)])
    assert patterns.found_in(["word7 and word499, and no word500"]) == [r"\bword7\b", r"\bword499\b"]


def test_a_text_that_cannot_be_encoded_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        Patterns(["a"]).found_in(["\ud800"])


def test_a_copy_finds_the_same() -> None:
    assert copy.deepcopy(Patterns(["A"], case_insensitive=True)).found_in(["a"]) == ["A"]


def test_one_that_is_refused_is_named() -> None:
    with pytest.raises(ValueError, match=r"pattern 1 \('\(\?=x\)'\)"):
        Patterns(["a", "(?=x)"])


def test_what_occurs_in_any_form_is_found() -> None:
    assert Patterns(["a", "b", "c"]).found_in(["xc", "a", "x"]) == ["a", "c"]
