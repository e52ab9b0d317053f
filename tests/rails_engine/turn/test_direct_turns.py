"""A turn whose events nobody reads is answered as one whose every event is written down, and runs each action once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import action
from nemoguardrails.actions.actions import ActionResult
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, ToolCall, ToolCallFunction

FLOWS = """
define bot refuse to respond
  "No."

define bot warn
  "Careful."

define subflow look at input
  $count = $count + 1
  $found = execute look(text=$user_message)
  if $found == "refuse"
    bot refuse to respond
    stop
  if $found == "rewrite"
    $user_message = "rewritten"
  if $found == "warn"
    bot warn

define subflow look twice
  $first = execute look(text=$user_message)
  $second = execute look(text="again")
  if $first == "refuse twice"
    bot refuse to respond
    stop

define subflow shorten output
  $length = execute measure(text=$bot_message)
  if $length > 5
    $bot_message = "short"

define subflow call the host
  $seen = execute told(text=$bot_message)
"""
YAML = """
models: []
rails:
  input: {flows: [look at input, look twice]}
  output: {flows: [shorten output]}
"""
HOSTED = YAML.replace("shorten output", "shorten output, call the host")
VERDICTS = ("fine", "refuse", "refuse twice", "rewrite", "warn", "raise", "shrug", "speak up", "assign")


class World:
    """Rails over a model that always gives a long answer, with actions that count."""

    def __init__(self, more: str = "", answer: Any = "a long answer", yaml: str = YAML) -> None:
        config = RailsConfig.from_content(colang_content=FLOWS + more, yaml_content=yaml)
        self.calls: Counter[str] = Counter()
        self.prompts: list[Any] = []
        is_text = isinstance(answer, str)
        self.model = FakeLLMModel(**{"responses" if is_text else "llm_responses": [answer] * 10})
        self.rails = LLMRails(config, llm=self.model)
        self.register()

    def register(self) -> None:
        @action(is_system_action=True)
        async def look(text: str) -> Any:
            self.calls["look"] += 1
            if text == "raise":
                raise RuntimeError("nothing to be seen")
            if text == "shrug":
                return RailOutcome.failure(reason="who knows")
            if text == "speak up":
                return ActionResult(text, events=[{"type": "BotIntent", "intent": "warn"}])
            return ActionResult(text, context_updates={"count": 7}) if text == "assign" else text

        @action(is_system_action=True)
        async def measure(text: str) -> int:
            self.calls["measure"] += 1
            return len(text)

        async def told(text: str) -> str:
            self.calls["told"] += 1
            return text

        @action(is_system_action=True)
        async def remember(prompt: Any) -> None:
            self.prompts.append(prompt)

        for each in (look, measure, told, remember):
            self.rails.register_action(each)

    async def ask(self, text: str, **options: Any) -> tuple[Any, dict[str, int], int]:
        """The answer, what each action did, and the variable that a rail counts with."""
        before = self.calls.copy()
        messages = [{"role": "context", "content": {"count": 0}}, {"role": "user", "content": text}]
        answer = await self.rails.generate_async(messages=messages, **options)
        given = answer if isinstance(answer, dict) else answer.response[0]
        return given, dict(self.calls - before), self.model.inference_count


@pytest.mark.parametrize("text", VERDICTS)
@pytest.mark.parametrize("yaml", [YAML, HOSTED], ids=["own actions", "host's"])
async def test_the_answer_is_the_same_whether_or_not_somebody_reads_the_events(text: str, yaml: str) -> None:
    unread = await World(yaml=yaml).ask(text)
    read = await World(yaml=yaml).ask(text, options={"log": {"activated_rails": True}})
    assert unread == read


LISTENING = {
    "to what is said": """
define flow notice
  event UserMessage
  bot warn
""",
    "to what the model answers": """
define flow notice
  priority 200
  event BotMessage
  if not $warned
    $warned = True
    bot warn
""",
    "to the end of an action": """
define flow notice
  execute look
  bot warn
""",
    "behind an assignment": """
define flow notice
  $noticed = True
  event UserMessage
  bot warn
""",
    "in place of a flow of the system": """
define subflow run input rails
  bot warn
""",
    "in place of another": """
define subflow generate user intent
  create event BotMessage(text="mine")
""",
}


@pytest.mark.parametrize("more", LISTENING.values(), ids=LISTENING)
async def test_flows_that_listen_have_their_say_whether_or_not_somebody_reads(more: str) -> None:
    unread = await World(more).ask("fine")
    assert unread == await World(more).ask("fine", options={"log": {"activated_rails": True}})
    assert unread[0] != (await World().ask("fine"))[0]


CALL = ToolCall("c1", "function", ToolCallFunction("order", {"tea": "green"}))
ANSWERS = {
    "thought about": LLMResponse(content="a long answer", reasoning="hm"),
    "a call of a tool": LLMResponse(content="", tool_calls=[CALL]),
    "nothing": LLMResponse(content=""),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("mode", ["", "passthrough: true"])
async def test_every_kind_of_answer_is_the_same_whether_or_not_somebody_reads(
    answer: LLMResponse, mode: str
) -> None:
    unread = await World(answer=answer, yaml=YAML + mode).ask("fine", options={"llm_output": True})
    read = await World(answer=answer, yaml=YAML + mode).ask(
        "fine", options={"log": {"activated_rails": True}}
    )
    assert unread == read


WAITING = """
define flow notice
  event Bell
  event BotMessage
  $noticed = True
"""
BELL = {"role": "event", "event": {"type": "Bell"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CONVERSATIONS: dict[str, list[list[dict[str, Any]]]] = {
    "a flow is under way": [[BELL], [{"role": "user", "content": "fine"}]],
    "an event comes first": [[BELL, {"role": "user", "content": "fine"}]],
    "nobody has read what is said": [
        [{"role": "user", "content": [{"type": "text", "text": "fine"}, IMAGE]}],
        [{"role": "user", "content": "fine"}],
    ],
    "output rails are skipped once": [
        [{"role": "context", "content": {"skip_output_rails": True}}, {"role": "user", "content": "fine"}],
        [{"role": "user", "content": "fine"}],
    ],
}


@pytest.mark.parametrize("turns", CONVERSATIONS.values(), ids=CONVERSATIONS)
async def test_what_is_more_than_an_utterance_is_heard_whether_or_not_somebody_reads(
    turns: list[list[dict[str, Any]]],
) -> None:
    heard = []
    for options in (None, {"log": {"activated_rails": True}}):
        world = World(WAITING)
        state: dict[str, Any] = {"events": []}
        for turn in [[{"role": "context", "content": {"count": 0}}], *turns]:
            response = await world.rails.generate_async(messages=turn, state=state, options=options)
            state = response.state
            known = state["events"][-1]["machine"]["variables"]
            heard.append((response.response, known.get("noticed"), world.calls.copy()))
    half = len(heard) // 2
    assert heard[:half] == heard[half:]
    assert heard[0] != heard[-1]


@pytest.mark.parametrize("is_system", [True, False])
async def test_an_action_in_the_place_of_the_answer_is_remembered_whether_or_not_somebody_reads(
    *, is_system: bool
) -> None:
    told = []
    for options in (None, {"log": {"activated_rails": True}}):
        world = World()

        @action(is_system_action=is_system)
        async def generate_user_intent() -> ActionResult:
            said = {"type": "BotMessage", "text": "mine"}
            return ActionResult(events=[said], context_updates={"by": "hand"})

        world.rails.register_action(generate_user_intent)
        messages = [{"role": "context", "content": {"count": 0}}, {"role": "user", "content": "fine"}]
        state: dict[str, Any] = {"events": []}
        for wanted in (options, {"log": {"colang_history": True}}):
            response = await world.rails.generate_async(messages=messages, state=state, options=wanted)
            state = response.state
        known = state["events"][-1]["machine"]["variables"]
        told.append((response.response, response.log.colang_history, known["by"]))
    assert told[0] == told[1]
    assert told[0][0][0]["content"] == "mine"


async def test_a_rail_that_asks_for_a_value_names_its_variable_whether_or_not_somebody_reads() -> None:
    asking = """
define subflow look at output
  # Is it rude?
  $rudeness = ...
"""
    prompts = []
    for options in ({}, {"options": {"log": {"activated_rails": True}}}):
        world = World(asking, yaml=YAML.replace("shorten output", "look at output"))
        given = await world.ask("fine", **options)
        info = world.rails.explain()
        prompts.append((given, [call.prompt for call in info.llm_calls]))
    assert prompts[0] == prompts[1]
    assert "rudeness" in prompts[0][1][1]


GUARDED = """
define subflow look at output
  $prompt_seen = execute remember(prompt=$_last_bot_prompt)
  $verdict = execute look(text=$bot_message)
  if $verdict == "refuse"
    bot refuse to respond
    stop
"""


@pytest.mark.parametrize(("answer", "said"), [("refuse", "No."), ("fine", "fine")])
async def test_a_rail_behind_the_answer_knows_what_was_asked_and_the_model_is_asked_once(
    answer: str, said: str
) -> None:
    world = World(GUARDED, answer, YAML.replace("shorten output", "look at output"))
    given, calls, asked = await world.ask("hello")
    assert (given["content"], calls["look"], asked, len(world.prompts)) == (said, 4, 1, 1)
    assert "hello" in str(world.prompts)


async def test_what_comes_with_an_utterance_is_told_and_assigned_whether_or_not_somebody_reads() -> None:
    system = {"role": "system", "content": "Speak like a pirate."}
    context = {"role": "context", "content": {"count": 4}}
    heard = []
    for options in (None, {"log": {"activated_rails": True}}):
        world = World(GUARDED, "fine", YAML.replace("shorten output", "look at output"))
        messages = [system, context, {"role": "user", "content": "fine"}]
        state: dict[str, Any] = {}
        response = await world.rails.generate_async(messages=messages, state=state, options=options)
        variables = response.state["events"][-1]["machine"]["variables"]
        heard.append((response.response, variables["count"], world.prompts))
    assert heard[0] == heard[1]
    assert heard[0][1] == 5
    assert "pirate" in str(heard[0][2])


KNOWN = (
    "count",
    "found",
    "first",
    "length",
    "seen",
    "user_message",
    "bot_message",
    "last_user_message",
    "last_bot_message",
    "triggered_input_rail",
    "triggered_output_rail",
)


async def test_a_refused_turn_leaves_the_conversation_as_one_that_is_read_does() -> None:
    answers = []
    for options in ({}, {"log": {"activated_rails": True}}):
        world, state = World(), {}
        for text in ("fine", "refuse", "rewrite", "warn", "fine"):
            messages = [{"role": "context", "content": {"count": 0}}, {"role": "user", "content": text}]
            response = await world.rails.generate_async(messages=messages, state=state, options=options)
            state = response.state
            variables = state["events"][-1]["machine"]["variables"]
            answers.append((response.response, {name: variables.get(name) for name in KNOWN}))
    assert answers[:5] == answers[5:]


SPEAKING = """
define user tea
  "tea please"

define flow serve
  user tea
  bot describe tea
  bot serve

define flow call a flow
  user tea twice
  do describe
  bot serve

define subflow describe
  bot describe tea
  bot serve

define user tea twice
  "two teas please"

define bot serve
  "Here it is."
"""


@pytest.mark.parametrize("intent", ["tea", "tea twice"])
async def test_what_follows_a_generated_message_is_the_same_whether_or_not_somebody_reads(
    intent: str,
) -> None:
    heard = []
    for options in ({}, {"options": {"log": {"activated_rails": True}}}):
        world = World(SPEAKING)
        world.model.responses = [intent, '"A green one."'] * 2
        heard.append([(await world.ask(text, **options))[0] for text in ("tea", "and another")])
    assert heard[0] == heard[1]
    assert heard[0][0]["content"] == "short"


@pytest.mark.parametrize("text", VERDICTS)
async def test_what_a_rail_assigned_by_the_time_it_objects_is_assigned_once(text: str) -> None:
    world = World()
    state: dict[str, Any] = {}
    messages = [{"role": "context", "content": {"count": 0}}, {"role": "user", "content": text}]
    response = await world.rails.generate_async(messages=messages, state=state)
    saved = response.state["events"][-1]["machine"]["variables"]
    assert saved["count"] == (7 if text == "assign" else 1)


async def test_no_action_runs_twice() -> None:
    for text, looks in {"fine": 3, "refuse": 1, "refuse twice": 3, "warn": 1}.items():
        _, calls, _ = await World().ask(text)
        assert calls["look"] == looks


async def test_a_flow_that_waits_for_a_step_of_the_rails_hears_of_it() -> None:
    waiting = """
define flow count rails
  event InputRailFinished(flow_id="look twice")
  $rail_seen = True
"""
    world = World(waiting)
    messages = [{"role": "context", "content": {"count": 0}}, {"role": "user", "content": "fine"}]
    response = await world.rails.generate_async(messages=messages, state={})
    assert response.state["events"][-1]["machine"]["variables"]["rail_seen"] is True


async def test_an_action_that_takes_the_events_is_handed_all_of_them() -> None:
    world = World()
    seen: list[str] = []

    async def look(text: str, events: list[dict[str, Any]]) -> str:
        seen.extend(event["type"] for event in events)
        return text

    world.rails.register_action(look, "look")
    await world.ask("fine")
    assert {"StartInputRails", "StartInputRail", "StartInternalSystemAction"} <= set(seen)
