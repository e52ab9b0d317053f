"""Tool calls that the model asks for, and results that tools return, held to what was declared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.external_events import ACTION_CALL
from rails_engine.library.actions.schemas import SchemaFaultError, instance_fault

MAX_RESULT_CHARS = 200_000


@action(is_system_action=True)
async def tool_call_validation(
    context: Mapping[str, Any],
    tool_calls: Sequence[Mapping[str, Any]] | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> RailOutcome:
    """Whether each call names a declared tool and its arguments fit the tool's schema.

    Actions that the flows themselves call are of type `action`: nobody declares those to a model.
    """
    calls = tool_calls if tool_calls is not None else context.get("tool_calls") or ()
    declared = {name: spec for spec in declared_tools(context, tools) if (name := spec.get("name"))}
    reason = next((fault for call in calls if (fault := call_fault(call, declared))), None)
    return RailOutcome.block(reason=reason) if reason else RailOutcome.allow()


def declared_tools(
    context: Mapping[str, Any], tools: Sequence[Mapping[str, Any]] | None
) -> list[Mapping[str, Any]]:
    """The functions that the caller offered the model: given, or in the request's options."""
    options = context.get("generation_options") or {}
    params = (
        options.get("llm_params") if isinstance(options, Mapping) else getattr(options, "llm_params", None)
    )
    offered = tools or context.get("tools") or (params or {}).get("tools") or ()
    return [tool.get("function") or tool for tool in offered]


def call_fault(call: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What is wrong with a call; None if nothing is."""
    function = call.get("function") or call
    name = str(function.get("name"))
    if call.get("type") == ACTION_CALL:
        return None
    if name not in declared:
        return f"the tool {name!r} was not offered"
    given = function.get("arguments", function.get("args"))
    try:
        arguments = json.loads(given or "{}") if isinstance(given, str) else given or {}
    except ValueError:
        return f"the arguments of {name!r} are no JSON"
    if not isinstance(arguments, Mapping):
        return f"the arguments of {name!r} are no object"
    return _schema_fault(name, dict(arguments), declared[name])


def _schema_fault(name: str, arguments: dict[str, Any], tool: Mapping[str, Any]) -> str | None:
    schema = dict(tool.get("parameters") or {})
    if not schema.get("properties") and not schema.get("additionalProperties"):
        return f"{name!r} takes no arguments" if arguments else None
    if tool.get("strict"):
        schema.setdefault("additionalProperties", False)
    try:
        fault = instance_fault(arguments, schema)
    except SchemaFaultError as error:
        return f"the schema of {name!r} is invalid: {error}"
    return f"the arguments of {name!r}: {fault}" if fault else None


@action(is_system_action=True)
async def tool_result_validation(
    context: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]] = (),
    tool_messages: Sequence[Mapping[str, Any]] | None = None,
    tool_calls: Sequence[Mapping[str, Any]] | None = None,
) -> RailOutcome:
    """Whether each result answers exactly one call that was made, under its name, with content of a legal shape."""
    results = tool_messages if tool_messages is not None else context.get("tool_messages") or ()
    made = calls_made(context, events) if tool_calls is None else tool_calls
    names = {str(call.get("id")): (call.get("function") or call).get("name") for call in made}
    seen: set[str] = set()
    for result in results:
        fault = result_fault(result, names, seen)
        if fault:
            return RailOutcome.block(reason=fault)
        seen.add(str(result.get("tool_call_id")))
    return RailOutcome.allow()


def calls_made(context: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every call that the bot made in the conversation."""
    told = (event.get("tool_calls") or () for event in events if event.get("type") == "BotToolCalls")
    return [call for calls in (*told, context.get("tool_calls") or ()) for call in calls]


def result_fault(result: Mapping[str, Any], names: Mapping[str, Any], seen: set[str]) -> str | None:
    """What is wrong with a result; None if nothing is. `names` are those of the calls, by id."""
    call_id = result.get("tool_call_id")
    if not call_id or str(call_id) not in names:
        return f"no call has the id {call_id!r}"
    if str(call_id) in seen:
        return f"a second result for the call {call_id!r}"
    name = result.get("name")
    if name and name != names[str(call_id)]:
        return f"the result for {call_id!r} is of {name!r}, the call was of {names[str(call_id)]!r}"
    content = result.get("content")
    if not isinstance(content, str | list) or (isinstance(content, str) and len(content) > MAX_RESULT_CHARS):
        return f"the result for {call_id!r} has no content of a legal shape and size"
    return None
