"""One turn of a conversation: configuration, actions, prompts, models, rails, retrieval and their loop.

`rails` is the front: `LLMRails` takes messages or events. `assembly` puts a configuration together once; `engine` opens
a conversation's state, runs a turn on a fork of it and keeps the fork if the turn succeeded. `turn` alternates the
machine's steps with effects: `effects` finds what carries out an action, `registered` runs the actions of the
configuration and the caller, `dialog` the runtime's own, `services` asks models. `umim`, `chat`, `options` and
`response` are the borders to events, messages and callers; `trace` is the record that `explain()` and logs read.

The names below are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rails_engine.checking import Finding, findings_of
    from rails_engine.guardrails import Guardrails
    from rails_engine.options import (
        GenerationLogOptions,
        GenerationOptions,
        GenerationRailsOptions,
        RailsResult,
        RailStatus,
        RailType,
    )
    from rails_engine.rails import LLMRails
    from rails_engine.response import (
        ActivatedRail,
        ExecutedAction,
        ExplainInfo,
        GenerationLog,
        GenerationResponse,
        GenerationStats,
        LLMCallInfo,
        LLMCallSummary,
    )
    from rails_engine.state import State, from_json, seeded, to_json
    from rails_engine.streaming_handler import END_OF_STREAM, StreamingHandler
    from rails_engine.testing import TestChat
    from rails_engine.verbose import set_verbose

_HOMES = {
    "END_OF_STREAM": "streaming_handler",
    "ActivatedRail": "response",
    "ExecutedAction": "response",
    "ExplainInfo": "response",
    "Finding": "checking",
    "GenerationLog": "response",
    "GenerationLogOptions": "options",
    "GenerationOptions": "options",
    "GenerationRailsOptions": "options",
    "GenerationResponse": "response",
    "GenerationStats": "response",
    "Guardrails": "guardrails",
    "LLMCallInfo": "response",
    "LLMCallSummary": "response",
    "LLMRails": "rails",
    "RailStatus": "options",
    "RailType": "options",
    "RailsResult": "options",
    "State": "state",
    "StreamingHandler": "streaming_handler",
    "TestChat": "testing",
    "findings_of": "checking",
    "from_json": "state",
    "seeded": "state",
    "set_verbose": "verbose",
    "to_json": "state",
}
"""Public name to the module that has it."""

__all__ = [
    "END_OF_STREAM",
    "ActivatedRail",
    "ExecutedAction",
    "ExplainInfo",
    "Finding",
    "GenerationLog",
    "GenerationLogOptions",
    "GenerationOptions",
    "GenerationRailsOptions",
    "GenerationResponse",
    "GenerationStats",
    "Guardrails",
    "LLMCallInfo",
    "LLMCallSummary",
    "LLMRails",
    "RailStatus",
    "RailType",
    "RailsResult",
    "State",
    "StreamingHandler",
    "TestChat",
    "findings_of",
    "from_json",
    "seeded",
    "set_verbose",
    "to_json",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
