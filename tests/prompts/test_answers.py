"""Readers of answers and events for users' actions."""

from __future__ import annotations

from typing import Any

import pytest

from rails_engine import prompts

EVENTS: list[dict[str, Any]] = [
    {"type": "UserMessage", "text": "Hi"},
    {"type": "UserIntent", "intent": "greet"},
    {"type": "ContextUpdate", "data": {"relevant_chunks": "CH"}},
    {"type": "BotIntent", "intent": "say hi"},
    {"type": "StartUtteranceBotAction", "script": "Hello"},
    {"type": "BotThinking", "content": "t"},
    {"type": "BotToolCalls", "tool_calls": [{"id": 1}]},
]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("strip_quotes", ['"abc"'], "abc"),
        ("strip_quotes", ["'abc'"], "'abc'"),
        ("get_first_nonempty_line", ["\n\n  a\nb"], "a"),
        ("get_first_nonempty_line", [""], None),
        ("get_top_k_nonempty_lines", ["#x\na\n\nb\nc", 2], ["a", "b"]),
        ("get_multiline_response", ['"a\nb"\nuser x'], '"a\nb"'),
        ("get_first_user_intent", [["user intent: x", "bot intent: y"]], "x"),
        ("get_first_bot_intent", [["user intent: x", "bot intent: y"]], "y"),
        (
            "get_first_bot_action",
            [["bot intent: y", "bot action: bot say", "  and more"]],
            "bot say  and more",
        ),
        ("get_first_bot_action", [["nothing"]], None),
        ("get_initial_actions", [["user intent: x", "bot intent: y"]], ["user intent: x"]),
        ("remove_action_intent_identifiers", [["user intent: x", "bot action: y", "q"]], ["x", "y", "q"]),
        ("escape_flow_name", ["a and b 3 x-y's or c"], "a_and_b _3_ x_ys_or_c"),
        ("from_log_event_to_identifier", ["BotActionLog"], "bot action"),
        ("get_last_user_utterance", [EVENTS], "Hi"),
        ("get_last_user_intent_event", [EVENTS], {"type": "UserIntent", "intent": "greet"}),
        ("get_last_bot_intent_event", [EVENTS], {"type": "BotIntent", "intent": "say hi"}),
        ("get_retrieved_relevant_chunks", [EVENTS], "CH"),
        ("extract_bot_thinking_from_events", [EVENTS], "t"),
        ("extract_tool_calls_from_events", [EVENTS], [{"id": 1}]),
        ("get_last_user_utterance", [[]], None),
        ("get_colang_history", [EVENTS], 'user "Hi"\n  greet\nbot say hi\n  "Hello"\n'),
        ("get_colang_history", [EVENTS, False], "user greet\nbot say hi\n"),
    ],
)
def test_a_reader_finds_its_part_of_an_answer_or_of_events(
    name: str, arguments: list[Any], expected: Any
) -> None:
    assert getattr(prompts, name)(*arguments) == expected
