"""What is told of a model's text while it comes is what is said once it is whole."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rails_engine.dialog.completions import continuation
from rails_engine.dialog.readers import Quotation, literal, statement

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def told(reader: Quotation, text: str, sizes: list[int]) -> str:
    pieces, place = [], 0
    for size in [*sizes, len(text)]:
        pieces.append(reader.feed(text[place : place + size]))
        place += size
    return "".join(pieces)


@given(TEXTS, st.lists(st.integers(1, 5), max_size=40), st.sampled_from(["", "  ", "$v = ", "\n$v="]))
def test_a_literal_is_told_as_python_reads_it(text: str, sizes: list[int], before: str) -> None:
    assert told(literal("v"), before + repr(text), sizes) == ast.literal_eval(repr(text))


@given(TEXTS.filter(lambda text: not set(text) & set('{}"\\\n\r')), st.lists(st.integers(1, 5), max_size=40))
def test_a_statement_is_told_as_it_is_run(text: str, sizes: list[int]) -> None:
    answer = f'bot intent: bot told\nbot action: bot say "{text}"'
    assert told(statement("say"), answer, sizes) == text
    assert continuation(answer).action == f'bot say "{text}"'


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("5", ""),
        ("['a']", ""),
        ('"""a"""', ""),
        ("'a' + 'b'", "a"),
        (r'"a\N{BULLET}b"', "a"),
        ("I think 'a'", ""),
        ('"a\nb"', "a"),
        ("x" * 3000 + '"a"', ""),
    ],
)
def test_of_what_cannot_be_told_for_certain_nothing_more_is_told(text: str, heard: str) -> None:
    assert told(literal("v"), text, []) == heard


def test_a_statement_is_told_up_to_what_is_filled_in() -> None:
    assert told(statement("say|ask"), 'bot action: bot ask "You, {$name}?"', [3, 4]) == "You, "
    assert told(statement("say"), 'bot action: bot gesture "wave"', []) == ""
