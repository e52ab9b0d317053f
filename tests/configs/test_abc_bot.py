"""The staff desk: what it looks up, what it says with fixed words, and what its rails stop."""

from __future__ import annotations

import pytest

from rails_engine.llm import ScriptedLLM
from tests.configs.guarded import REFUSAL, answering, open_config, said

LEAVE = "You have 28 days of leave a year (Leave)."


def desk(intent: str, answer: str = LEAVE) -> ScriptedLLM:
    """A model that finds this intent and gives this answer; its checks stop what has `stop` in it."""
    return answering(
        {
            r"<message>\n.*stop": "Yes",
            "<message>": "No",
            r"<answer>\n.*stop": "Yes",
            "<answer>": "No",
            "bot answer from the handbook$": f'"{answer}"',
        },
        default=f"  {intent}",
    )


@pytest.mark.parametrize(
    ("question", "intent", "passage"),
    [
        ("how many days of leave do I get?", "ask about leave", "You have 28 days of leave a year"),
        ("what may a hotel cost?", "ask about expenses", "a hotel may cost 110 a night"),
        ("my laptop is broken", "ask about equipment", "Broken computers go to room 2.14"),
        ("is overtime paid?", "ask about pay", "Overtime is paid with a quarter on top"),
    ],
)
async def test_questions_are_answered_from_the_nearest_passage(
    question: str, intent: str, passage: str
) -> None:
    model = desk(intent)
    rails = open_config("abc_bot", {"main": model})
    assert await said(rails, question) == LEAVE
    prompts = ["\n".join(str(message.content) for message in request.messages) for request in model.requests]
    assert len(prompts) == 4
    assert passage in prompts[2]


@pytest.mark.parametrize(
    ("text", "intent", "answer", "calls"),
    [
        ("hello", "express greeting", "Hello, this is the ABC staff desk.", 2),
        ("what does Kim earn?", "ask about a colleague", "I tell nobody anything about a colleague.", 2),
        ("can I sue?", "ask for legal advice", "I give no advice on law or taxes.", 2),
        ("write a poem", "ask about something else", "I only know the ABC handbook", 2),
        ("stop this", "never asked", REFUSAL, 1),
    ],
)
async def test_the_rest_has_fixed_words(text: str, intent: str, answer: str, calls: int) -> None:
    model = desk(intent)
    rails = open_config("abc_bot", {"main": model})
    assert (await said(rails, text)).startswith(answer)
    assert len(model.requests) == calls


async def test_an_answer_that_the_check_stops_is_not_shown() -> None:
    model = desk("ask about pay", "stop: Kim earns 3000")
    assert await said(open_config("abc_bot", {"main": model}), "what is paid?") == REFUSAL
