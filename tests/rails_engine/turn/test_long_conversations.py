"""Long lists of messages that go on where the engine has answered: taken over at once, and not one message unseen."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from rails_engine.context import raw_llm_request
from rails_engine.errors import InvalidRequestError
from rails_engine.stories import LONG

COLANG = """
define subflow gate
  $ok = execute look(text=$user_message)
  if not $ok
    bot refuse
    stop

define bot refuse
  "no"
"""
YAML = "models: []\nrails: {input: {flows: [gate]}}\n%s"


class Talk:
    """A conversation by growing messages; `seen` is what the gate judged, `prompts` how many messages the model saw."""

    def __init__(self, more: str = "") -> None:
        self.seen: list[str] = []
        self.prompts: list[list[str]] = []
        self.messages: list[Any] = []
        talk = self

        class Model(FakeLLMModel):
            async def generate_async(self, prompt: Any, **given: Any) -> Any:
                talk.prompts.append([message.content for message in prompt if message.role.value != "system"])
                return await super().generate_async(prompt, **given)

        config = RailsConfig.from_content(COLANG, YAML % more)
        self.rails = LLMRails(config, llm=Model(responses=[f"answer {number}" for number in range(60)]))
        self.rails.register_action(self.look)

    async def look(self, text: str) -> bool:
        self.seen.append(text)
        return "bad" not in text

    async def say(self, text: str) -> dict[str, Any]:
        self.messages.append({"role": "user", "content": text})
        reply = await self.rails.generate_async(messages=self.messages)
        assert isinstance(reply, dict)
        self.messages.append(reply)
        return reply

    async def chat(self, turns: int) -> None:
        for number in range(turns):
            await self.say(f"message {number}")


@pytest.fixture
async def talk() -> Talk:
    """A conversation that is long enough to be compared."""
    result = Talk()
    await result.chat(LONG)
    return result


async def test_each_message_is_judged_once_and_all_are_shown(talk: Talk) -> None:
    assert talk.seen == [f"message {number}" for number in range(LONG)]
    assert talk.prompts[-1] == [message["content"] for message in talk.messages[:-1]]


async def test_a_message_that_was_changed_since_is_judged(talk: Talk) -> None:
    talk.seen.clear()
    talk.messages[0]["content"] = "something bad"
    await talk.say("and now")
    assert "something bad" in talk.seen
    assert "something bad" not in talk.prompts[-1]


async def test_an_answer_that_was_changed_is_shown_as_the_caller_says(talk: Talk) -> None:
    talk.messages[1]["content"] = "never said"
    await talk.say("and now")
    assert talk.prompts[-1][1] == "never said"


@pytest.mark.parametrize("wrong", [7, "text", {"role": "user"}, {"role": "user", "content": "a\x00b"}, {}])
async def test_what_is_no_message_is_refused_wherever_it_stands(talk: Talk, wrong: object) -> None:
    talk.messages[2] = wrong
    with pytest.raises(InvalidRequestError, match=r"messages\[2\]"):
        await talk.say("and now")


async def test_the_new_message_is_numbered_by_its_place(talk: Talk) -> None:
    with pytest.raises(InvalidRequestError, match=rf"messages\[{2 * LONG}\]"):
        await talk.say("a\x00b")


async def test_the_texts_of_all_messages_count() -> None:
    talk = Talk("limits: {max_characters: 300}")
    await talk.chat(LONG)
    with pytest.raises(InvalidRequestError, match="max_characters"):
        await talk.say("x" * 200)


async def test_a_value_that_cannot_be_compared_is_refused_as_any_other(talk: Talk) -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("no truth")

        __hash__ = None  # type: ignore[assignment]

    talk.messages[0] = {"role": "user", "content": Odd()}
    with pytest.raises(InvalidRequestError, match=r"messages\[0\]"):
        await talk.say("and now")


async def test_a_value_that_equals_everything_is_not_taken_for_a_text(talk: Talk) -> None:
    class Same:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    talk.messages[0] = {"role": "user", "content": Same()}
    await talk.say("and now")
    assert talk.prompts[-1][0] == "message 0"


async def test_one_conversation_may_go_on_in_two_ways(talk: Talk) -> None:
    begun = list(talk.messages)
    first = await talk.say("left")
    talk.messages = begun
    second = await talk.say("right")
    assert (first["content"], second["content"]) == (f"answer {LONG}", f"answer {LONG + 1}")
    assert "left" not in talk.prompts[-1]


async def test_what_actions_do_to_the_messages_of_a_call_changes_no_later_one(talk: Talk) -> None:
    async def meddle(text: str) -> bool:
        del text
        given = raw_llm_request.get()
        assert given is talk.messages
        for message in given[:-1]:
            message["content"] = "meddled"
        return True

    talk.rails.register_action(meddle, "look")
    kept = [dict(message) for message in talk.messages]
    await talk.say("and now")
    talk.messages = kept
    await talk.say("and then")
    assert "meddled" not in talk.prompts[-1]
