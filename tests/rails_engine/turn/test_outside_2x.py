"""What comes from outside as events, and what goes out as events: rails see it, whichever way it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from rails_engine.errors import InvalidRequestError

SOURCE = """
import core
flow main
  activate talking
  activate looking up
  activate showing
  match Never()
flow talking
  user said something as $said
  bot say "you said {$said.transcript}"
flow looking up
  match Ask() as $asked
  await lookup $asked.word
flow lookup $word
  $found = await LookupAction(word=$word)
  bot say "found {$found}"
flow showing
  match VisualFormSceneAction.InputUpdated() as $typed
  bot say "typed {$typed.interim_inputs[0].value}"

flow no secret in
  global $user_message
  if search("SECRET", $user_message)
    bot say "no"
    abort
  $user_message = await MaskAction(text=$user_message)
flow no leak out
  global $bot_message
  if search("LEAK", $bot_message)
    bot say "not that"
    abort
flow no bad results
  global $tool_messages
  if search("EVIL", "{$tool_messages}")
    bot say "bad result"
    abort
  $tool_messages = await MaskAllAction(messages=$tool_messages)
flow no bad calls
  global $tool_calls
  if search("EVIL", "{$tool_calls}")
    bot say "bad call"
    abort
  if search("mask", "{$tool_calls}")
    $tool_calls = await RenameAction(calls=$tool_calls)
"""
YAML = """
colang_version: "2.x"
models: []
rails:
  input: {flows: [no secret in]}
  output: {flows: [no leak out]}
  tool_input: {flows: [no bad results]}
  tool_output: {flows: [no bad calls]}
"""


def mask(text: str) -> str:
    return text.replace("name", "****")


def mask_all(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**message, "content": mask(message["content"])} for message in messages]


def rename(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**call, "function": {**call["function"], "arguments": {"word": "****"}}} for call in calls]


def app(flows: str = "", yaml: str = YAML) -> LLMRails:
    rails = LLMRails(RailsConfig.from_content(SOURCE + flows, yaml))
    for name, action in (("MaskAction", mask), ("MaskAllAction", mask_all), ("RenameAction", rename)):
        rails.register_action(action, name)
    return rails


class Host:
    """A host that plays the interactive system by hand: it keeps the state, and ends what the bot says."""

    def __init__(self, rails: LLMRails) -> None:
        self.rails = rails
        self.state: Any = None
        self.started: list[dict[str, Any]] = []

    async def tell(self, *events: dict[str, Any]) -> list[str]:
        """What the bot says for these events."""
        said: list[str] = []
        waiting = list(events)
        while waiting or self.state is None:
            outputs, self.state = await self.rails.process_events_async(
                waiting or [{"type": "Begin"}], self.state
            )
            self.started += [event for event in outputs if event["type"].startswith("Start")]
            spoken = [event for event in outputs if event["type"] == "StartUtteranceBotAction"]
            said += [event["script"] for event in spoken]
            waiting = [ended(event) for event in spoken]
        return said

    def order(self, kind: str) -> dict[str, Any]:
        return next(event for event in self.started if event["type"] == kind)


def ended(start: dict[str, Any], **more: Any) -> dict[str, Any]:
    action = start["type"].removeprefix("Start")
    return {
        "type": f"{action}Finished",
        "action_uid": start["action_uid"],
        "action_finished_at": "2026-01-01T00:00:00+00:00",
        "is_success": True,
        "final_script": start.get("script", ""),
        **more,
    }


def found(start: dict[str, Any], value: Any, **more: Any) -> dict[str, Any]:
    event = ended(start, return_value=value, **more)
    del event["final_script"]
    return event


# --- results of tools ------------------------------------------------------------------------------------------------


async def asked(host: Host, word: str = "x") -> dict[str, Any]:
    await host.tell({"type": "Ask", "word": word})
    return host.order("StartLookupAction")


async def test_the_result_of_an_action_that_the_host_ran_is_judged() -> None:
    host = Host(app())
    assert await host.tell(found(await asked(host), "a fact")) == ["found a fact"]


async def test_a_result_is_what_the_rails_leave_of_it() -> None:
    host = Host(app())
    assert await host.tell(found(await asked(host), "a name")) == ["found a ****"]


@pytest.mark.parametrize(
    "more",
    [
        {"return_value": "EVIL"},
        {"return_value": {"deep": ["EVIL"]}},
        {"return_value": "fine", "comment": "EVIL"},
        {"return_value": None, "is_success": False, "failure_reason": "EVIL"},
    ],
)
async def test_a_refused_result_never_came_and_its_flow_fails(more: dict[str, Any]) -> None:
    host = Host(app())
    start = await asked(host)
    assert await host.tell({**found(start, ""), **more}) == ["bad result"]
    # The conversation goes on.
    assert await host.tell({"type": "UtteranceUserActionFinished", "final_transcript": "hi"}) == [
        "you said hi"
    ]


HEARING = """
@active
flow hearing
  match LookupAction.Updated() as $news
  bot say "so far {$news.part}"
"""


async def test_news_of_an_action_are_judged_before_its_end() -> None:
    host = Host(app(HEARING))
    start = await asked(host)
    news = {"type": "LookupActionUpdated", "action_uid": start["action_uid"]}
    assert await host.tell({**news, "part": "EVIL"}) == ["bad result"]


async def test_an_end_and_news_before_it_are_told_apart() -> None:
    host = Host(app(HEARING))
    start = await asked(host)
    news = {"type": "LookupActionUpdated", "action_uid": start["action_uid"], "part": "one"}
    assert await host.tell(news, found(start, "a fact")) == ["so far one", "found a fact"]


async def test_results_may_come_all_at_once_as_they_do_from_messages() -> None:
    flows = """
@active
flow hearing
  match UserToolMessages() as $results
  bot say "got {$results.tool_messages[0].content}"
"""
    host = Host(app(flows))
    results = [{"tool_call_id": "c", "name": "f", "content": "a name"}]
    assert await host.tell({"type": "UserToolMessages", "tool_messages": results}) == ["got a ****"]
    results[0]["content"] = "EVIL"
    assert await host.tell({"type": "UserToolMessages", "tool_messages": results}) == ["bad result"]


async def test_event_messages_are_judged_as_events_are() -> None:
    rails = app()
    first = await rails.generate_async(
        messages=[{"role": "event", "event": {"type": "Ask", "word": "x"}}], state={}, options={}
    )
    (call,) = first.tool_calls
    finished = {
        "type": "LookupActionFinished",
        "action_uid": call["id"],
        "is_success": True,
        "return_value": "EVIL",
    }
    second = await rails.generate_async(
        messages=[{"role": "event", "event": finished}], state=first.state, options={}
    )
    assert second.response[0]["content"] == "bad result"


async def test_a_state_that_skipped_rails_does_not_skip_them_for_ever() -> None:
    rails = app()
    skipping = {"rails": {"tool_input": False}}
    message = {"role": "event", "event": {"type": "Ask", "word": "x"}}
    first = await rails.generate_async(messages=[message], state={}, options=skipping)
    result = {
        "role": "tool",
        "tool_call_id": first.tool_calls[0]["id"],
        "name": "LookupAction",
        "content": "EVIL",
    }
    second = await rails.generate_async(messages=[result], state=first.state, options={})
    assert second.response[0]["content"] == "bad result"


async def test_the_interactive_system_tells_of_its_own_actions_unjudged() -> None:
    flows = """
@active
flow waving
  match WaveHand()
  await GestureBotAction(gesture="wave") as $g
  bot say "waved"
"""
    host = Host(app(flows))
    await host.tell({"type": "WaveHand"})
    start = host.order("StartGestureBotAction")
    assert await host.tell(ended(start, comment="EVIL")) == ["waved"]


# --- calls of tools --------------------------------------------------------------------------------------------------


async def test_a_call_goes_out_once_its_rails_have_let_it_pass() -> None:
    host = Host(app())
    assert (await asked(host))["word"] == "x"


async def test_a_refused_call_never_goes_out() -> None:
    host = Host(app())
    assert await host.tell({"type": "Ask", "word": "EVIL"}) == ["bad call"]
    assert not [event for event in host.started if event["type"] == "StartLookupAction"]


async def test_a_call_has_the_arguments_that_the_rails_leave() -> None:
    assert (await asked(Host(app()), "mask me"))["word"] == "****"


async def test_calls_of_a_reply_are_judged_too() -> None:
    message = {"role": "event", "event": {"type": "Ask", "word": "EVIL"}}
    reply = await app().generate_async(messages=[message])
    assert (reply["content"], reply.get("tool_calls")) == ("bad call", None)


async def test_a_call_that_its_flow_gives_up_meanwhile_is_not_made() -> None:
    flows = """
@active
flow asking
  match Go()
  when lookup "x"
    pass
  or when Stop()
    bot say "stopped"
"""
    host = Host(app(flows))
    assert await host.tell({"type": "Go"}, {"type": "Stop"}) == ["stopped"]
    assert not [event for event in host.started if "Lookup" in event["type"]]


async def test_what_flows_call_by_name_needs_no_declaration() -> None:
    yaml = YAML.replace("no bad calls", "tool call validation").replace(
        "no bad results", "tool result validation"
    )
    host = Host(app(yaml=yaml))
    assert await host.tell(found(await asked(host), "a fact")) == ["found a fact"]
    stranger = {
        "type": "LookupActionFinished",
        "action_uid": "nobody's",
        "is_success": True,
        "return_value": "x",
    }
    assert await host.tell(stranger) == ["I'm sorry, I can't respond to that."]


async def test_calls_of_a_model_that_a_flow_sends_on_by_itself_are_judged() -> None:
    flows = """
@active
flow calling
  match Call() as $call
  send BotToolCalls(tool_calls=[{"id": "c", "type": "function", "function": {"name": $call.tool, "arguments": {}}}])
  match Never()
"""
    for name, reply in (("EVIL", ("bad call", [])), ("fine", ("", ["fine"]))):
        message = {"role": "event", "event": {"type": "Call", "tool": name}}
        answer = await app(flows).generate_async(messages=[message])
        calls = [call["function"]["name"] for call in answer.get("tool_calls") or ()]
        assert (answer["content"], calls) == reply


# --- what the bot says without `bot say` -------------------------------------------------------------------------------

BY_ITSELF = {
    "await": 'await UtteranceBotAction(script="a {$text}")',
    "start": 'start UtteranceBotAction(script="a {$text}")',
    "send": 'send StartUtteranceBotAction(script="a {$text}")',
}


@pytest.mark.parametrize("statement", BY_ITSELF.values(), ids=BY_ITSELF)
async def test_an_utterance_that_a_flow_starts_by_itself_is_judged(statement: str) -> None:
    flows = f"""
@active
flow by itself
  match Go() as $go
  $text = $go.text
  {statement}
  match Never()
"""
    rails = app(flows)
    for text, reply in (("LEAK", "not that"), ("fact", "a fact")):
        message = {"role": "event", "event": {"type": "Go", "text": text}}
        assert (await rails.generate_async(messages=[message]))["content"] == reply
        assert await Host(rails).tell({"type": "Go", "text": text}) == [reply]


async def test_a_flow_cannot_tell_of_an_utterance_that_nobody_judged() -> None:
    flows = """
@active
flow hearsay
  match Go()
  send UtteranceBotActionFinished(final_script="LEAK", action_uid="u", action_finished_at="now", is_success=True)
  bot say "done"
"""
    reply = await app(flows).generate_async(messages=[{"role": "event", "event": {"type": "Go"}}])
    assert reply["content"] == "done"


# --- forms -----------------------------------------------------------------------------------------------------------


def typed(text: str) -> dict[str, Any]:
    inputs = [{"id": "SECRET field", "value": text}]
    return {"type": "VisualFormSceneActionInputUpdated", "action_uid": "f", "interim_inputs": inputs}


@pytest.mark.parametrize(
    ("text", "said"), [("hi", "typed hi"), ("SECRET", "no"), ("my name", "typed my ****")]
)
async def test_what_users_type_into_forms_goes_past_the_input_rails(text: str, said: str) -> None:
    assert await Host(app()).tell(typed(text)) == [said]
    reply = await app().generate_async(messages=[{"role": "event", "event": typed(text)}])
    assert reply["content"] == said


async def test_a_field_of_a_form_that_is_refused_by_itself_never_came() -> None:
    exact = """
flow no secret alone
  global $user_message
  if $user_message == "SECRET"
    bot say "no"
    abort
  $user_message = await MaskAction(text=$user_message)
"""
    fields = [{"id": "a", "value": "my name"}, {"id": "b", "value": "SECRET"}]
    event = {"type": "VisualFormSceneActionInputUpdated", "action_uid": "f", "interim_inputs": fields}
    assert await Host(app(exact, YAML.replace("no secret in", "no secret alone"))).tell(event) == ["no"]


# --- what never comes from outside
# ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["StartFlow", "FinishFlow", "StopFlow", "FlowFinished", "UnhandledEvent", "BotIntentLog"]
)
async def test_events_of_the_flows_own_are_refused(kind: str) -> None:
    event = {"type": kind, "flow_id": "run input rails"}
    with pytest.raises(InvalidRequestError, match=f"`{kind}`"):
        await app().process_events_async([event])
    with pytest.raises(InvalidRequestError, match=f"`{kind}`"):
        await app().generate_async(messages=[{"role": "event", "event": event}])


@pytest.mark.parametrize("name", ["_rails_skipped", "_streamed_answer"])
async def test_variables_of_the_engine_are_not_set_from_outside(name: str) -> None:
    update = {name: ["input", "output"]}
    for message in (
        {"role": "context", "content": update},
        {"role": "event", "event": {"type": "ContextUpdate", "data": update}},
    ):
        with pytest.raises(InvalidRequestError, match=name):
            await app().generate_async(messages=[message, {"role": "user", "content": "SECRET"}])
    with pytest.raises(InvalidRequestError, match=name):
        await app().process_events_async([{"type": "ContextUpdate", "data": update}])


@pytest.mark.parametrize("name", ["Flow", "UtteranceUserAction"])
async def test_a_tool_message_tells_neither_of_flows_nor_of_what_users_say(name: str) -> None:
    message = {"role": "tool", "tool_call_id": "c", "name": name, "content": "SECRET"}
    assert (await app().generate_async(messages=[message]))["content"] == ""


# --- two texts at once -----------------------------------------------------------------------------------------------

TWO_LISTENERS = """
import core
flow main
  activate greeting
  activate cancelling
  match Never()
flow greeting
  user said "hello" as $said
  bot say "greeted {$said.transcript}"
flow cancelling
  user said (regex("cancel.*")) as $said
  bot say "cancelled {$said.transcript}"
flow no secret in
  global $user_message
  $bad = await LookAction(text=$user_message)
  if $bad
    bot say "no"
    abort
"""


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["hello", "cancel it"], {"greeted hello", "cancelled cancel it"}),
        (["hello", "cancel SECRET"], {"greeted hello", "no"}),
        (["cancel SECRET", "hello"], {"greeted hello", "no"}),
        (["cancel it", "hello"], {"greeted hello", "cancelled cancel it"}),
    ],
)
@pytest.mark.parametrize("parallel", ["false", "true"])
async def test_a_text_does_not_pass_in_place_of_another(
    texts: list[str], said: set[str], parallel: str
) -> None:
    yaml = f"""
colang_version: "2.x"
models: []
rails: {{input: {{parallel: {parallel}, flows: [no secret in, no secret in]}}}}
"""
    rails = LLMRails(RailsConfig.from_content(TWO_LISTENERS, yaml))
    rails.register_action(looked_for, "LookAction")
    reply = await rails.generate_async(messages=[{"role": "user", "content": text} for text in texts])
    assert set(reply["content"].split("\n")) == said


async def looked_for(text: str) -> bool:
    await asyncio.sleep(0)
    return "SECRET" in text
