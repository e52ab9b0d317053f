"""Chat messages to events and back, for Colang 2.x: pure functions, no state.

A list of messages is cut into turns: each assistant message ends one. What a turn sent out becomes one reply: texts of
finished utterances, actions that the caller has to carry out as tool calls, and whatever else was sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from uuid import uuid4

from rails_engine.errors import InvalidRequestError
from rails_engine.external_events import INTERNAL, TOOL_RESULTS, results_of, with_content
from rails_engine.umim import EventDict, started_action

ChatMessage: TypeAlias = Mapping[str, Any]

POLLING_TIMER: Final = "llm_response_polling"
"""A timer of the library that asks the host to call again; it is no tool of the caller's."""

TOOL_CALLS: Final = "BotToolCalls"
"""The calls of a model that have passed their rails, on their way to whoever runs the tools."""

_TECHNICAL = {"type", "uid", "event_created_at", "source_uid", "action_uid"}


@dataclass(frozen=True, slots=True)
class TurnInput:
    """What one turn of a conversation begins with, and where it stood in the list: `messages[:end]` lead up to it.

    `results` are what tools returned, as `{tool_call_id, name, content}`; the events tell of them too.
    """

    events: tuple[EventDict, ...]
    end: int
    results: tuple[dict[str, Any], ...] = ()

    def with_results(self, results: Sequence[Mapping[str, Any]]) -> TurnInput:
        """The same turn with these results instead, found by their ids; one that is not among them never came."""
        kept = _by_call(results)
        ids = _by_call(self.results)
        events: list[EventDict] = []
        for event in self.events:
            uid = str(event.get("action_uid"))
            if event["type"] == TOOL_RESULTS:
                asked = (str(old.get("tool_call_id")) for old in results_of(event))
                events.append({**event, "tool_messages": [kept[uid][-1] for uid in asked if uid in kept]})
            elif uid not in ids or not ("action_name" in event or results_of(event)):
                events.append(event)
            elif uid in kept:
                told = kept[uid].popleft() if len(kept[uid]) > 1 else kept[uid][0]
                events.append(with_content(event, told.get("content")))
        return replace(self, events=tuple(events), results=tuple(map(dict, results)))


def _by_call(results: Iterable[Mapping[str, Any]]) -> dict[str, deque[Mapping[str, Any]]]:
    """Results by the ids of their calls; an action may tell of its progress before its end."""
    found: dict[str, deque[Mapping[str, Any]]] = {}
    for result in results:
        found.setdefault(str(result.get("tool_call_id")), deque()).append(result)
    return found


def turn_of(events: Iterable[Mapping[str, Any]]) -> TurnInput:
    """The turn of a host that gives events instead of messages."""
    given = tuple(dict(event) for event in events)
    return TurnInput(given, 0, tuple(result for event in given for result in results_of(event)))


def turns_of(messages: Sequence[ChatMessage]) -> list[TurnInput]:
    """The messages cut behind each assistant message; the last turn is the one that wants an answer.

    Raises:
        InvalidRequestError: a message is no mapping, or lacks what its role needs.
    """
    turns: list[TurnInput] = []
    events: list[EventDict] = []
    results: list[dict[str, Any]] = []
    brought: list[dict[str, Any]] = []
    calls: dict[str, Mapping[str, Any]] = {}

    def end(place: int) -> None:
        asked = [result for result in results if not str(result["name"]).endswith("Action")]
        told = [_results_event(asked, calls)] if asked else []
        turns.append(TurnInput((*events, *told), place, (*results, *brought)))
        events.clear()
        results.clear()
        brought.clear()

    for number, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise InvalidRequestError(f"messages[{number}] is no mapping but {type(message).__name__}")
        if message.get("role") == "assistant":
            end(number)
            calls |= {str(call.get("id")): call for call in message.get("tool_calls") or ()}
        elif message.get("role") == "tool":
            results.append(_tool_result(message, number, calls))
            events.extend(_action_ends(results[-1]))
        else:
            events.extend(told := events_of(message, number))
            brought.extend(result for event in told for result in results_of(event))
    end(len(messages))
    return turns


def events_of(message: ChatMessage, number: int) -> list[EventDict]:
    """The events that one message stands for; roles that flows know nothing of give none.

    Raises:
        InvalidRequestError: the message lacks what its role needs.
    """
    role = message.get("role")
    if role == "user":
        return [{"type": "UtteranceUserActionFinished", "final_transcript": text_content(message, number)}]
    if role == "context":
        return [{"type": "ContextUpdate", "data": dict(_mapping(message, "content", number))}]
    if role == "event":
        event = dict(_mapping(message, "event", number))
        if event["type"] in INTERNAL:
            raise InvalidRequestError(
                f"messages[{number}].event: `{event['type']}` is an event between flows; send it from a flow"
            )
        return [event]
    return []


def text_content(message: ChatMessage, number: int) -> str:
    """The text of a user message; of a list of parts their texts, one a line."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part if isinstance(part, str) else _mapping_text(part) for part in content]
        return "\n".join(text for text in texts if text is not None)
    raise InvalidRequestError(f"messages[{number}].content must be text or a list of parts")


def _mapping_text(part: Any) -> str | None:
    """The text of a part; None for one of another kind."""
    text = part.get("text") if isinstance(part, Mapping) else None
    return None if text is None else str(text)


def _mapping(message: ChatMessage, key: str, number: int) -> Mapping[str, Any]:
    value = message.get(key)
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"messages[{number}].{key} must be a mapping")
    return value


def _tool_result(message: ChatMessage, number: int, calls: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The answer to a tool call; without a name it goes by that of the call."""
    uid, name = message.get("tool_call_id"), message.get("name")
    if not isinstance(uid, str) or not isinstance(name, str | None):
        raise InvalidRequestError(f"messages[{number}] needs a text `tool_call_id`, and a text `name` if any")
    return {
        "tool_call_id": uid,
        "name": name or call_name(calls.get(uid, {})),
        "content": message.get("content"),
    }


def call_name(call: Mapping[str, Any]) -> str | None:
    """The name of the function that a call is of."""
    name = (call.get("function") or call).get("name")
    return str(name) if name else None


def hidden_call(call: Any) -> dict[str, Any]:
    """What a model may see of a call that its rails refused; it keeps its id, by which a result refers to it."""
    uid = call.get("id") if isinstance(call, Mapping) else None
    return {"id": uid, "type": "function", "function": {"name": "hidden", "arguments": "{}"}}


def _action_ends(result: Mapping[str, Any]) -> list[EventDict]:
    """What a flow hears that waits for an action: the call's id is the action's uid, its name the action's.

    What users say is no tool's to tell, and how flows go neither.
    """
    if (
        result["name"] is None
        or result["name"].endswith("UserAction")
        or f"{result['name']}Finished" in INTERNAL
    ):
        return []
    return [
        {
            "type": f"{result['name']}Finished",
            "action_uid": result["tool_call_id"],
            "action_name": result["name"],
            "is_success": True,
            "return_value": result["content"],
        }
    ]


def _results_event(results: Sequence[Mapping[str, Any]], calls: Mapping[str, Mapping[str, Any]]) -> EventDict:
    """All results of a turn's calls of a model, with these calls, for whoever asks the model to go on."""
    answered = [calls[result["tool_call_id"]] for result in results if result["tool_call_id"] in calls]
    return {"type": TOOL_RESULTS, "tool_messages": list(results), "tool_calls": answered}


def reply_of(outputs: Iterable[EventDict]) -> dict[str, Any]:
    """The assistant message that a turn's outputs amount to."""
    said: list[str] = []
    tools: list[dict[str, Any]] = []
    rest: list[EventDict] = []
    hidden: set[Any] = set()
    for event in outputs:
        kind = event["type"]
        action = started_action(kind)
        if kind == "UtteranceBotActionFinished":
            said.append(str(event.get("final_script", "")))
        elif kind == TOOL_CALLS:
            tools.extend(event.get("tool_calls") or ())
        elif event.get("timer_name") == POLLING_TIMER:
            hidden.add(event.get("action_uid"))
        elif action is not None:
            tools.append(_tool_call(action, event))
        elif event.get("action_uid") not in hidden:
            rest.append(event)
    reply: dict[str, Any] = {"role": "assistant", "content": "\n".join(said)}
    if tools:
        reply["tool_calls"] = tools
    if rest:
        reply["events"] = rest
    return reply


def _tool_call(action: str, event: EventDict) -> dict[str, Any]:
    return {
        "id": event.get("action_uid") or str(uuid4()),
        "type": "function",
        "function": {"name": action, "arguments": call_arguments(event)},
    }


def call_arguments(event: Mapping[str, Any]) -> dict[str, Any]:
    """What an order to start an action asks of it."""
    return {key: value for key, value in event.items() if key not in _TECHNICAL}


def last_exchange(messages: Sequence[ChatMessage]) -> tuple[list[str], str]:
    """What the user said since the last answer but one, and the answer; empty where nobody spoke.

    Raises:
        InvalidRequestError: a message is malformed.
    """
    turns = turns_of(messages)
    answered = bool(messages) and messages[-1].get("role") == "assistant"
    turn = turns[-2] if answered else turns[-1]
    said = [str(event["final_transcript"]) for event in turn.events if event["type"] == _UTTERANCE]
    return said, str(messages[-1].get("content") or "") if answered else ""


_UTTERANCE: Final = "UtteranceUserActionFinished"
