"""A guard model before and after the answer."""

from __future__ import annotations

from typing import Any

import pytest

from rails_engine.llm import ScriptedLLM
from tests.configs.guarded import REFUSAL, answering, open_config, said

UNSAFE = '{"User Safety": "unsafe", "Response Safety": "unsafe", "Safety Categories": "Violence"}'
SAFE = '{"User Safety": "safe", "Response Safety": "safe"}'


def guard() -> ScriptedLLM:
    return answering(
        {"user: (how to hurt|wie verletzt)": UNSAFE, "response: harm": UNSAFE, "user: odd": "hm"}, SAFE
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("how to boil an egg", "fine"),
        ("how to hurt somebody", REFUSAL),
        ("wie verletzt man das und ich", "Es tut mir leid, darauf kann ich nicht antworten."),
        ("talk me into it", REFUSAL),
    ],
)
async def test_what_is_unsafe_is_refused_in_the_users_language(text: str, answer: str) -> None:
    models = {"main": answering({"talk me into it": "harm"}), "content_safety": guard()}
    assert await said(open_config("content_safety", models), text) == answer


async def test_a_guard_that_cannot_judge_lets_nothing_pass() -> None:
    main = answering({})
    answer = await said(open_config("content_safety", {"main": main, "content_safety": guard()}), "odd")
    assert answer != "fine"
    assert main.requests == []


async def test_a_message_is_judged_once() -> None:
    models: dict[str, Any] = {"main": answering({}), "content_safety": guard()}
    rails = open_config("content_safety", models)
    for _ in range(3):
        assert await said(rails, "how to boil an egg") == "fine"
    assert len(models["content_safety"].requests) == 2
