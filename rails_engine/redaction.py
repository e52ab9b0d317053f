"""A response that may be shown to whoever may not see what the rails refused.

The log tells a Python caller everything, a refused answer among it. Who serves others asks for a redacted one: which
rails ran, how they decided, what it took; none of the texts of the conversation, and nothing that a model wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rails_engine.response import (
    ActivatedRail,
    ExecutedAction,
    GenerationLog,
    GenerationResponse,
    LLMCallInfo,
)

_MESSAGES: Final = frozenset(
    {
        "bot_message",
        "bot_thinking",
        "event",
        "i_full_message",
        "last_bot_message",
        "last_user_message",
        "relevant_chunks",
        "relevant_chunks_sep",
        "tool_calls",
        "tool_message",
        "tool_messages",
        "user_message",
    }
)
"""Variables in which the engine keeps what was said, thought, called and found, refused or not."""


def redacted(response: GenerationResponse, wanted: Any) -> GenerationResponse:
    """The response with a log without texts, and without what a model or its server told beside the answer.

    `wanted` is what was asked for as `output_vars`: of the variables only those that it names are shown, and none in
    which the engine keeps messages.
    """
    data, log = response.output_data, response.log
    return response.model_copy(
        update={
            "llm_output": None,
            "llm_metadata": None,
            "output_data": _named(data, wanted) if data is not None else None,
            "log": _log(log) if log is not None else None,
        }
    )


def _named(data: Mapping[str, Any], wanted: Any) -> dict[str, Any]:
    names = wanted if isinstance(wanted, list) else ()
    return {name: data[name] for name in names if name in data and name not in _MESSAGES}


def _log(log: GenerationLog) -> GenerationLog:
    events = log.internal_events
    return GenerationLog(
        activated_rails=[_rail(rail) for rail in log.activated_rails],
        stats=log.stats,
        llm_calls=[_call(call) for call in log.llm_calls] if log.llm_calls is not None else None,
        internal_events=[{"type": event["type"]} for event in events] if events is not None else None,
    )


def _rail(rail: ActivatedRail) -> ActivatedRail:
    """Of its decisions those that are no intents: a model may have worded these."""
    decided = [each for each in rail.decisions if each == "stop" or each.startswith("execute ")]
    actions = [_action(action) for action in rail.executed_actions]
    return rail.model_copy(
        update={"decisions": decided, "executed_actions": actions, "additional_info": None}
    )


def _action(action: ExecutedAction) -> ExecutedAction:
    calls = [_call(call) for call in action.llm_calls]
    return action.model_copy(update={"action_params": {}, "return_value": None, "llm_calls": calls})


def _call(call: LLMCallInfo) -> LLMCallInfo:
    return call.model_copy(update={"prompt": None, "completion": None, "raw_response": None})
