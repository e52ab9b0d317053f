"""Messages that a client supplies: each is checked once, wherever it stands, and shown to models as rails left it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from rails_engine.prompts import HIDDEN

COLANG = """
define bot no in
  "no in"
define bot no tool
  "no tool"

define subflow gate in
  $ok = execute look(text=$user_message, where="in")
  if not $ok
    bot no in
    stop
  $user_message = $user_message.replace("secret", "xxx")

define subflow gate out
  $ok = execute look(text=$bot_message, where="out")
  if not $ok
    bot no in
    stop
  $bot_message = $bot_message.replace("secret", "xxx")

define subflow gate tool
  $ok = execute look(text=$tool_message, where="tool")
  if not $ok
    bot no tool
    stop
"""
RAILS = "rails: {input: {flows: [gate in]%s}, output: {flows: [gate out]}, tool_input: {flows: [gate tool]}}"


class Talk:
    """A configuration with a gate on each side; `seen` is what the gates judged, `prompts` what the model saw."""

    def __init__(self, passthrough: bool = False, more: str = "") -> None:
        yaml = f"models: []\npassthrough: {str(passthrough).lower()}\n{RAILS % more}\n"
        self.prompts: list[str] = []
        self.seen: list[tuple[str, str]] = []
        talk = self

        class Model(FakeLLMModel):
            async def generate_async(self, prompt: Any, **given: Any) -> Any:
                talk.prompts.append("\n".join(f"{m.role.value}: {m.content}" for m in prompt))
                return await super().generate_async(prompt, **given)

            async def stream_async(self, prompt: Any, **given: Any) -> Any:
                talk.prompts.append("\n".join(f"{m.role.value}: {m.content}" for m in prompt))
                async for chunk in super().stream_async(prompt, **given):
                    yield chunk

        self.app = LLMRails(RailsConfig.from_content(COLANG, yaml), llm=Model(responses=["answer"] * 40))
        self.app.register_action(self.look)

    async def look(self, text: Any, where: str) -> bool:
        self.seen.append((where, str(text)))
        if text == "raise":
            raise RuntimeError("down")
        return "bad" not in str(text)

    async def say(self, *messages: dict[str, Any], **given: Any) -> str:
        reply = await self.app.generate_async(messages=list(messages), **given)
        return str(reply["content"] if isinstance(reply, dict) else reply.response[0]["content"])


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def result(text: str) -> dict[str, Any]:
    return {"role": "tool", "name": "f", "tool_call_id": "c1", "content": text}


OLDER = [
    ([user("bad news"), bot("fine")], "bad news"),
    ([user("hello"), bot("a bad answer")], "bad answer"),
]
TOOLS = [([user("look"), CALLING, result("a bad result"), bot("fine")], "bad result")]


@pytest.mark.parametrize("passthrough", [False, True])
@pytest.mark.parametrize(("older", "hidden"), OLDER)
async def test_an_older_message_that_fails_is_hidden_from_the_model(
    passthrough: bool, older: Sequence[dict[str, Any]], hidden: str
) -> None:
    talk = Talk(passthrough)
    assert await talk.say(*older, user("next")) == "answer"
    (prompt,) = talk.prompts
    assert hidden not in prompt
    assert HIDDEN in prompt
    assert "next" in prompt


@pytest.mark.parametrize(("older", "hidden"), TOOLS)
async def test_an_older_result_of_a_tool_too(older: Sequence[dict[str, Any]], hidden: str) -> None:
    talk = Talk(passthrough=True)
    assert await talk.say(*older, user("next")) == "answer"
    assert ("tool", "a bad result") in talk.seen
    assert hidden not in talk.prompts[0]
    assert f"tool: {HIDDEN}" in talk.prompts[0]


async def test_a_message_since_the_last_answer_blocks() -> None:
    talk = Talk()
    assert await talk.say(user("hello"), bot("fine"), user("bad"), user("good")) == "no in"
    assert await talk.say(user("look"), CALLING, result("bad")) == "no tool"
    assert talk.prompts == []


@pytest.mark.parametrize("passthrough", [False, True])
async def test_what_rails_rewrite_is_shown_as_rewritten(passthrough: bool) -> None:
    talk = Talk(passthrough)
    older = [user("my secret"), bot("your secret")]
    await talk.say(*older, user("a secret"))
    await talk.say(*older, user("a secret"), bot("answer"), user("last secret"))
    assert "secret" not in "\n".join(talk.prompts)
    assert talk.prompts[-1].count("xxx") == 4


@pytest.mark.parametrize("passthrough", [False, True])
async def test_what_was_refused_once_is_never_shown_later(passthrough: bool) -> None:
    talk = Talk(passthrough)
    messages = [user("bad")]
    assert await talk.say(*messages) == "no in"
    messages += [bot("no in"), user("good")]
    assert await talk.say(*messages) == "answer"
    messages += [bot("answer"), user("more")]
    assert await talk.say(*messages) == "answer"
    assert "bad" not in "\n".join(talk.prompts)


@pytest.mark.parametrize("passthrough", [False, True])
async def test_each_message_is_judged_once_however_long_the_conversation_grows(passthrough: bool) -> None:
    talk = Talk(passthrough)
    messages = [user("from elsewhere"), bot("said elsewhere")]
    for turn in range(8):
        messages.append(user(f"turn {turn}"))
        messages.append(bot(await talk.say(*messages)))
    given = [("in", "from elsewhere"), ("out", "said elsewhere")]
    own = [entry for turn in range(8) for entry in (("in", f"turn {turn}"), ("out", "answer"))]
    assert sorted(talk.seen) == sorted(given + own)


async def test_another_engine_judges_what_it_did_not_say_itself() -> None:
    first, second = Talk(), Talk()
    messages = [user("hello"), bot(await first.say(user("hello"))), user("next")]
    await second.say(*messages)
    assert second.seen == [("in", "hello"), ("out", "answer"), ("in", "next"), ("out", "answer")]


async def test_a_rail_that_fails_over_an_older_message_hides_it_and_is_asked_again() -> None:
    talk = Talk()
    for _ in range(2):
        assert await talk.say(user("raise"), bot("fine"), user("next"), state={}) == "answer"
    assert [entry for entry in talk.seen if entry == ("in", "raise")] == [("in", "raise")] * 2
    assert "raise" not in "\n".join(talk.prompts)


async def test_rails_that_are_switched_off_for_a_request_check_nothing() -> None:
    talk = Talk()
    older = [user("bad"), bot("bad")]
    await talk.say(*older, user("next"), options={"rails": ["dialog"]})
    assert talk.seen == []


@pytest.mark.parametrize(("more", "shown"), [("", True), (", check_system_messages: true", False)])
async def test_system_messages_are_the_applications_unless_the_configuration_says_otherwise(
    more: str, shown: bool
) -> None:
    talk = Talk(passthrough=True, more=more)
    await talk.say({"role": "system", "content": "be bad"}, user("hello"), bot("fine"), user("next"))
    assert ("be bad" in talk.prompts[0]) is shown


async def test_a_stream_hides_the_same() -> None:
    talk = Talk(passthrough=True)
    messages = [user("bad news"), bot("a bad answer"), user("my secret")]
    pieces = [str(piece) async for piece in talk.app.stream_async(messages=messages)]
    assert "".join(pieces) == "answer"
    (prompt,) = talk.prompts
    assert "bad" not in prompt
    assert "secret" not in prompt


async def test_the_callers_messages_stay_as_they_are() -> None:
    talk = Talk(passthrough=True)
    messages = [user("bad news"), bot("my secret"), user("my secret")]
    before = [dict(message) for message in messages]
    await talk.say(*messages)
    assert messages == before


# --- calls that an assistant is said to have made
# ------------------------------------------------------------------------

CALLS = """
define flow gate calls
  $ok = execute harmless(calls=$tool_calls)
  if not $ok
    bot refuse to respond
    stop
"""


def called(name: str, arguments: str = "{}") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }


async def calls_shown(
    message: dict[str, Any], after: Sequence[dict[str, Any]], **given: Any
) -> tuple[list[tuple[str, Any]], int]:
    """The calls that the model is shown in two requests that are alike, and how often the rail judged."""
    shown: list[tuple[str, Any]] = []
    judged: list[Any] = []

    class Model(FakeLLMModel):
        async def generate_async(self, prompt: Any, **given: Any) -> Any:
            shown[:] = [(c.function.name, c.function.arguments) for m in prompt for c in m.tool_calls or ()]
            return await super().generate_async(prompt, **given)

    async def harmless(calls: Any) -> bool:
        judged.append(calls)
        return "evil" not in str(calls)

    yaml = "models: []\npassthrough: true\nrails: {tool_output: {flows: [gate calls]}}\n"
    rails = LLMRails(RailsConfig.from_content(CALLS, yaml), llm=Model(responses=["ok", "ok"]))
    rails.register_action(harmless)
    result = {
        "role": "tool",
        "tool_call_id": "c",
        "name": message["tool_calls"][0]["function"]["name"],
        "content": "r",
    }
    for _ in range(2):
        told = [{"role": "user", "content": "q"}, message, result, *after]
        await rails.generate_async(messages=told, **given)
    return shown, len(judged)


ANSWERED = [{"role": "assistant", "content": "a"}, {"role": "user", "content": "then?"}]


@pytest.mark.parametrize("after", [[], ANSWERED], ids=["now", "before"])
async def test_calls_of_a_client_are_shown_once_their_rails_have_let_them_pass(
    after: list[dict[str, Any]],
) -> None:
    assert await calls_shown(called("look", '{"a": 1}'), after) == ([("look", {"a": 1})], 1)


async def test_a_caller_may_leave_out_the_rails_over_calls() -> None:
    shown = await calls_shown(called("evil"), [], options={"rails": {"tool_output": False}})
    assert shown == ([("evil", {})], 0)


async def test_calls_that_nobody_has_answered_are_judged_too() -> None:
    seen: list[str] = []

    class Model(FakeLLMModel):
        async def generate_async(self, prompt: Any, **given: Any) -> Any:
            seen.append(str(prompt))
            return await super().generate_async(prompt, **given)

    async def harmless(calls: Any) -> bool:
        return "evil" not in str(calls)

    yaml = "models: []\npassthrough: true\nrails: {tool_output: {flows: [gate calls]}}\n"
    rails = LLMRails(RailsConfig.from_content(CALLS, yaml), llm=Model(responses=["ok"]))
    rails.register_action(harmless)
    await rails.generate_async(messages=[user("q"), called("evil")])
    assert len(seen) == 1
    assert "evil" not in seen[0]


@pytest.mark.parametrize("after", [[], ANSWERED], ids=["now", "before"])
@pytest.mark.parametrize(
    "message", [called("evil"), called("look", '{"a": "evil"}')], ids=["name", "arguments"]
)
async def test_refused_calls_of_a_client_are_hidden(
    message: dict[str, Any], after: list[dict[str, Any]]
) -> None:
    assert await calls_shown(message, after) == ([("hidden", {})], 1)


async def test_an_answer_behind_the_question_is_checked_before_a_model_goes_on_from_it() -> None:
    talk = Talk(passthrough=True)
    assert await talk.say(user("hi"), bot("so bad")) == "answer"
    assert "bad" not in talk.prompts[-1]
    assert HIDDEN in talk.prompts[-1]
    assert await talk.say(user("hi"), bot("a secret")) == "answer"
    assert talk.prompts[-1] == "user: hi\nassistant: a xxx"


@pytest.mark.parametrize("behind", [False, True])
async def test_a_system_message_behind_the_question_is_checked_where_clients_write_such(behind: bool) -> None:
    talk = Talk(passthrough=True, more=", check_system_messages: true")
    told = [user("hi"), {"role": "system", "content": "be bad"}]
    assert await talk.say(*(told if behind else told[::-1])) == "no in"
    assert talk.prompts == []


async def test_a_model_is_shown_of_a_message_what_belongs_to_its_role() -> None:
    seen: list[Any] = []

    class Model(FakeLLMModel):
        async def generate_async(self, prompt: Any, **given: Any) -> Any:
            seen.extend(prompt)
            return await super().generate_async(prompt, **given)

    call = {"id": "c", "type": "function", "function": {"name": "bad", "arguments": "{}"}}
    yaml = "models: []\npassthrough: true\nrails: {input: {flows: [gate in]}}\n"
    app = LLMRails(RailsConfig.from_content(COLANG, yaml), llm=Model(responses=["answer"]))
    app.register_action(Talk().look)
    old = {**user("hi"), "tool_calls": [call], "tool_call_id": "bad", "name": "now be bad"}
    await app.generate_async(messages=[old, bot("answer"), {**user("ho"), "name": "ann-1"}])
    assert [(m.content, m.name, m.tool_calls, m.tool_call_id) for m in seen] == [
        ("hi", None, None, None),
        ("answer", None, None, None),
        ("ho", "ann-1", None, None),
    ]


async def test_a_question_is_shown_as_the_rails_left_it_though_a_system_message_follows() -> None:
    talk = Talk(passthrough=True)
    told = [user("old secret"), bot("answer"), user("a secret"), {"role": "system", "content": "be kind"}]
    assert await talk.say(*told) == "answer"
    assert talk.prompts == ["user: old xxx\nassistant: answer\nuser: a xxx\nsystem: be kind"]


# --- messages beside what a turn answers ---------------------------------------------------------------------------


def event(kind: str, **given: Any) -> dict[str, Any]:
    return {"role": "event", "event": {"type": kind, **given}}


@pytest.mark.parametrize(
    "messages",
    [
        [result("found"), user("so bad")],
        [user("so bad"), result("found")],
        [user("look"), CALLING, result("found"), user("so bad")],
        [user("so bad"), event("UserMessage", text="hi")],
        [user("so bad"), event("BotIntent", intent="general response")],
    ],
)
async def test_a_question_beside_what_is_answered_is_judged(messages: list[dict[str, Any]]) -> None:
    talk = Talk(passthrough=True)
    assert await talk.say(*messages) == "no in"
    assert talk.prompts == []


async def test_a_question_that_was_beside_a_result_is_shown_later() -> None:
    talk = Talk(passthrough=True)
    assert await talk.say(user("hi"), result("found")) == "answer"
    await talk.say(user("hi"), result("found"), bot("answer"), user("ho"))
    assert talk.prompts[-1] == "user: hi\ntool: found\nassistant: answer\nuser: ho"


async def test_a_rail_that_changes_its_mind_does_not_let_pass_what_nobody_has_judged() -> None:
    talk = Talk(passthrough=True)
    verdicts = iter([False])

    async def look(text: Any, where: str) -> bool:
        return next(verdicts, True) if where == "in" else "bad" not in str(text)

    talk.app.register_action(look)
    assert await talk.say(user("hi"), result("a bad result")) == "answer"
    assert talk.prompts == ["user: hi"]


async def test_parts_of_an_answer_are_judged_as_the_text_that_they_are() -> None:
    talk = Talk(passthrough=True)
    parts = [{"type": "text", "text": "a secret"}]
    await talk.say(user("q"), {"role": "assistant", "content": parts}, user("then?"))
    assert ("out", "a secret") in talk.seen
    assert talk.prompts == ["user: q\nassistant: a xxx\nuser: then?"]


async def test_an_exception_that_answered_before_is_no_models_to_read() -> None:
    talk = Talk(passthrough=True)
    told = {"role": "exception", "content": {"type": "InputRailException", "message": "no"}}
    assert await talk.say(user("q"), told, user("then?")) == "answer"
    assert talk.prompts == ["user: q\nuser: then?"]
