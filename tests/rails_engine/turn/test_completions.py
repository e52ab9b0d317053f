"""What is taken from a model's text, task by task."""

from __future__ import annotations

from typing import Any

import pytest

from rails_engine.dialog import completions
from rails_engine.errors import LlmResponseError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5),
        ("5;", 5),
        ('"five"', "five"),
        ("\n\n7\n8", 7),
        ("$guests = 4", 4),
        ('{"a": [1, None]}', {"a": [1, None]}),
        ("  -3  ", -3),
    ],
)
def test_a_value_is_the_literal_on_the_first_line(text: str, expected: Any) -> None:
    assert completions.value(text, "guests") == expected


@pytest.mark.parametrize(
    "text", ["five", "", "true", "2+3", "`5`", "__import__('os')", '"a" + "b"', "(" * 500]
)
def test_text_that_is_no_literal_is_refused(text: str) -> None:
    with pytest.raises(LlmResponseError):
        completions.value(text)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("user asked a", "user asked a"),
        ("  user intent: user asked a ", "user asked a"),
        ('"user asked a."', "user asked a"),
        ("user asked b and c", "user asked b_and_c"),
        ("user wants as a-b 5 times!", "user wants_as_a_b _5_ times"),
        ("bot intent: user asked a", "user was unclear"),
        ("user asked a:", "user was unclear"),
        ("", "user was unclear"),
    ],
)
def test_an_intent_becomes_a_legal_flow_name(text: str, intent: str) -> None:
    assert completions.user_intent(text) == intent


def test_a_continuation_names_its_intent_and_its_first_action() -> None:
    answer = completions.continuation('bot respond x\nbot action: bot say "one"\nbot action: bot say "two"')
    assert (answer.intent, answer.action) == ("bot respond x", 'bot say "one"')


def test_a_continuation_without_an_intent_is_named_after_its_action() -> None:
    assert completions.continuation('bot action: bot say "q"').intent == "bot say q"


def test_an_action_goes_on_over_an_open_quotation_and_over_groups() -> None:
    lines = ['bot action: bot say "a', 'b"', '  and bot gesture "wave"', "user action: none"]
    assert completions.bot_action(lines) == 'bot say "a\\nb"  and bot gesture "wave"'


def test_a_continuation_without_an_action_is_refused() -> None:
    with pytest.raises(LlmResponseError):
        completions.continuation('bot say "plain"')


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ('bot say "a"', ['  bot say "a"']),
        ('  bot say "a"\n  bot say "b"', ['  bot say "a"', '  bot say "b"']),
        ('bot say "a"\n...', ['  bot say "a"', "  wait user input", "  ..."]),
        ("wait user input\n...", ["  wait user input", "  ..."]),
        ('$x = await Foo()\nbot say "q"', ["  $x = await Foo()", "  ..."]),
        ("", []),
    ],
)
def test_a_body_is_cut_where_the_model_has_to_be_asked_again(text: str, body: list[str]) -> None:
    assert completions.flow_body(text) == body
