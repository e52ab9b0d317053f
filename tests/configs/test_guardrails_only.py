"""Rails round a model and nothing else."""

from __future__ import annotations

import pytest

from tests.configs.guarded import REFUSAL, answering, open_config, said

RULES = {
    "<message>\ninsult": "Yes",
    "<message>": "No",
    "<answer>\nrude": "Yes",
    "<answer>": "No",
    "be rude": "rude words",
    "card": "pay with 4111 1111 1111 1111",
}


@pytest.mark.parametrize(
    ("text", "answer", "calls"),
    [
        ("what is due today?", "fine", 3),
        ("my password: hunter2", REFUSAL, 0),
        ("insult my boss", REFUSAL, 1),
        ("be rude", REFUSAL, 3),
        ("which card?", REFUSAL, 2),
    ],
)
async def test_each_rail_stops_its_own(text: str, answer: str, calls: int) -> None:
    model = answering(RULES)
    assert await said(open_config("guardrails_only", {"main": model}), text) == answer
    assert len(model.requests) == calls


async def test_a_pasted_wall_of_text_is_refused() -> None:
    model = answering(RULES)
    answer = await said(open_config("guardrails_only", {"main": model}), "word after word " * 1000)
    assert answer.startswith("Your message appears oversized")
    assert model.requests == []
