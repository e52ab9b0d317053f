"""Property: whatever the rails do, a conversation that nobody reads goes as one whose every event is written down."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import action
from nemoguardrails.testing import FakeLLMModel

STEPS = (
    "$count = $count + 1",
    "$found = execute look(text=$MESSAGE)",
    '$found = execute look(text="ring")',
    "$seen = execute missing(text=$MESSAGE)",
    "$known = execute look(text=$last_user_message)",
    'if $found == "ring"\n    bot refuse to respond\n    stop',
    'if $found == "tea"\n    $MESSAGE = "coffee"',
    "if $count > 2\n    bot warn",
    "if $count > 3\n    stop",
    "while $count < 2\n    $count = $count + 1",
    "do helper",
    "$MESSAGE = None",
    "create event Bell(loud=True)",
    "create event RailException(message=$found)",
    "$count = $nothing.length",
    "bot warn",
)
SYSTEM = """
define bot refuse to respond
  "No."

define bot warn
  "Careful."

define subflow helper
  $helped = True
  bot warn
"""
FIRST = (
    "event UtteranceUserActionFinished",
    "event UserMessage",
    "event StartInputRails",
    "event StartInputRail",
    "event InputRailFinished",
    "event InputRailsFinished",
    "event BotMessage",
    "event OutputRailsFinished",
    "event StartUtteranceBotAction",
    "event ContextUpdate",
    "event Listen",
    "execute look",
    "$noticed = 1\n  event UserMessage",
)
LISTENING = st.none() | st.sampled_from(FIRST)
WORDS = st.sampled_from(["tea", "ring", "raise", "sound a bell", ""])
BODY = st.lists(st.sampled_from(STEPS), min_size=1, max_size=4)
RAILS = st.lists(BODY, max_size=2)
STAMPED = frozenset({"uid", "event_created_at", "source_uid"})
SHOWN = ("count", "found", "seen", "known", "helped", "user_message", "bot_message", "last_user_message",
    "last_bot_message", "triggered_input_rail", "triggered_output_rail")  # fmt: skip


def rails_of(
    inputs: list[list[str]], outputs: list[list[str]], answers: list[str], listening: str | None
) -> tuple[LLMRails, list[str]]:
    """Rails with these bodies over a model that gives these answers, and what their actions are asked."""
    flows = {f"input {place}": (body, "user_message") for place, body in enumerate(inputs)}
    flows |= {f"output {place}": (body, "bot_message") for place, body in enumerate(outputs)}
    colang = SYSTEM + "".join(
        f"\ndefine subflow {name}\n  " + "\n  ".join(body).replace("MESSAGE", message) + "\n"
        for name, (body, message) in flows.items()
    )
    if listening is not None:
        colang += f"\ndefine flow notice\n  {listening}\n  $helped = True\n"
    listed = {
        kind: {"flows": [name for name in flows if name.startswith(kind)]} for kind in ("input", "output")
    }
    config = RailsConfig.from_content(colang_content=colang, config={"models": [], "rails": listed})
    rails, asked = LLMRails(config, llm=FakeLLMModel(responses=answers * 4)), list[str]()

    @action(is_system_action=True)
    async def look(text: Any) -> Any:
        asked.append(str(text))
        if text == "raise":
            raise RuntimeError("nothing to be seen")
        return text

    rails.register_action(look)
    return rails, asked


async def conversation(rails: LLMRails, said: list[str], options: dict[str, Any] | None) -> list[Any]:
    """What each message is answered with, or how it fails, and what is known afterwards."""
    state: dict[str, Any] = {}
    heard: list[Any] = []
    for text in said:
        messages = [{"role": "context", "content": {"count": 0}}, {"role": "user", "content": text}]
        try:
            response = await rails.generate_async(messages=messages, state=state, options=options)
        except Exception as error:  # noqa: BLE001 -- whatever is raised, it must be the same
            heard.append((type(error).__name__, str(error)))
            continue
        state = response.state
        variables = state["events"][-1]["machine"]["variables"]
        heard.append(
            (list(map(_unstamped, response.response)), {name: variables.get(name) for name in SHOWN})
        )
    return heard


def _unstamped(message: dict[str, Any]) -> dict[str, Any]:
    """A message; of an exception what no two turns have in common is left out."""
    content = message["content"]
    if isinstance(content, dict):
        content = {name: value for name, value in content.items() if name not in STAMPED}
    return {**message, "content": content}


@settings(max_examples=60, deadline=None)
@given(
    inputs=RAILS,
    outputs=RAILS,
    answers=st.lists(WORDS, min_size=3, max_size=3),
    said=st.lists(WORDS, min_size=1, max_size=3),
    listening=LISTENING,
)
def test_a_conversation_goes_the_same_whether_or_not_somebody_reads(
    inputs: list[list[str]],
    outputs: list[list[str]],
    answers: list[str],
    said: list[str],
    listening: str | None,
) -> None:
    told = []
    for options in (None, {"log": {"activated_rails": True}}):
        rails, asked = rails_of(inputs, outputs, answers, listening)
        told.append((asyncio.run(conversation(rails, said, options)), asked, rails.llm.inference_count))
    assert told[0] == told[1]
