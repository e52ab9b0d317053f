"""One turn of a conversation: configuration, actions, prompts, models, rails, retrieval and their loop.

`rails` is the front: `LLMRails` takes messages or events; `assembly` puts a configuration together once. Then comes one
file for each dialect: `colang1`, over the loop in `canonical`, and `colang2`, over `engine`, which opens a conversation's
state, runs a `turn` on a fork of it, and keeps the fork if the turn succeeded. A turn alternates the machine's steps with
effects: `effects` finds what carries out an action, `registered` runs the actions of the configuration and the caller,
`dialog` the runtime's own, `services` asks models; `scene` is what an effect may see of its turn.

What comes in is looked over by `messages`, and what clients say was said before by `incoming`, `external_events` and
`admission`. What goes out passes `streaming`: `windows` lets an answer out as far as its rails allow, `cut_points` finds
where it may be cut, `teller` follows what a turn of 2.x says, and `judge` asks the rails of 2.x beside the conversation.
`parallel_rails` runs rails side by side; `speculation` and `speculative_calls` ask the model while input rails judge.
`rail_checks` is what `check` answers, `lint` the command of that name.

A conversation between two turns is `state` (2.x), `saved` and `stories` (1.0); `turn_variables` is what a turn of 1.0
begins with beside it. `umim`, `chat`, `replies`, `options` and `response` are the borders to events, messages and
callers, and `trace` is the record that `explain()` and logs read. Users' code alone needs `context`,
`generation`, `helpers`, `buffers`, `streaming_handler`, `registration`, `runtime`, `guardrails` and `testing`.

Underneath lie `errors` and `error_boundary`, `values` (made often), `lru` (kept), `loops` and `background` (event loops),
`patterns`, `naming` and `spelling`, `content_parts`, what a message is made of, and `message_digest`, what tells lists of
them apart. `knowledge` joins a configuration to `retrieval`, and `redaction` takes the texts out of a response that others
may see.

The names below are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rails_engine.buffers import BufferStrategy, ChunkBatch, RollingBuffer, get_buffer_strategy
    from rails_engine.context import (
        LLMStats,
        explain_info_var,
        generation_options_var,
        get_and_clear_reasoning_trace_contextvar,
        get_and_clear_response_metadata_contextvar,
        get_and_clear_tool_calls_contextvar,
        llm_call_info_var,
        llm_response_metadata_var,
        llm_stats_var,
        raw_llm_request,
        reasoning_trace_var,
        streaming_handler_var,
        tool_calls_var,
    )
    from rails_engine.generation import LLMGenerationActions
    from rails_engine.guardrails import Guardrails
    from rails_engine.helpers import (
        EnhancedJsonEncoder,
        compute_hash,
        ensure_valid_event,
        get_or_create_event_loop,
        init_random_seed,
        is_valid_event,
        new_event_dict,
        new_readable_uuid,
        new_uuid,
        new_var_uuid,
        safe_eval,
    )
    from rails_engine.lint import Finding, findings_of
    from rails_engine.message_digest import digest
    from rails_engine.naming import camelcase_to_snakecase, snake_to_camelcase
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
    from rails_engine.verbose import configure_logging, set_verbose

_HOMES = {
    "BufferStrategy": "buffers",
    "ChunkBatch": "buffers",
    "RollingBuffer": "buffers",
    "get_buffer_strategy": "buffers",
    "get_and_clear_reasoning_trace_contextvar": "context",
    "get_and_clear_response_metadata_contextvar": "context",
    "get_and_clear_tool_calls_contextvar": "context",
    "LLMStats": "context",
    "explain_info_var": "context",
    "generation_options_var": "context",
    "llm_call_info_var": "context",
    "llm_response_metadata_var": "context",
    "llm_stats_var": "context",
    "raw_llm_request": "context",
    "reasoning_trace_var": "context",
    "streaming_handler_var": "context",
    "tool_calls_var": "context",
    "EnhancedJsonEncoder": "helpers",
    "camelcase_to_snakecase": "naming",
    "compute_hash": "helpers",
    "ensure_valid_event": "helpers",
    "get_or_create_event_loop": "helpers",
    "init_random_seed": "helpers",
    "is_valid_event": "helpers",
    "new_event_dict": "helpers",
    "new_readable_uuid": "helpers",
    "new_uuid": "helpers",
    "new_var_uuid": "helpers",
    "safe_eval": "helpers",
    "snake_to_camelcase": "naming",
    "END_OF_STREAM": "streaming_handler",
    "ActivatedRail": "response",
    "ExecutedAction": "response",
    "ExplainInfo": "response",
    "Finding": "lint",
    "GenerationLog": "response",
    "GenerationLogOptions": "options",
    "GenerationOptions": "options",
    "GenerationRailsOptions": "options",
    "GenerationResponse": "response",
    "GenerationStats": "response",
    "Guardrails": "guardrails",
    "LLMGenerationActions": "generation",
    "LLMCallInfo": "response",
    "LLMCallSummary": "response",
    "LLMRails": "rails",
    "RailStatus": "options",
    "RailType": "options",
    "RailsResult": "options",
    "State": "state",
    "StreamingHandler": "streaming_handler",
    "TestChat": "testing",
    "configure_logging": "verbose",
    "digest": "message_digest",
    "findings_of": "lint",
    "from_json": "state",
    "seeded": "state",
    "set_verbose": "verbose",
    "to_json": "state",
}
"""Public name to the module that has it."""

__all__ = [
    "END_OF_STREAM",
    "ActivatedRail",
    "BufferStrategy",
    "ChunkBatch",
    "EnhancedJsonEncoder",
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
    "LLMGenerationActions",
    "LLMRails",
    "LLMStats",
    "RailStatus",
    "RailType",
    "RailsResult",
    "RollingBuffer",
    "State",
    "StreamingHandler",
    "TestChat",
    "camelcase_to_snakecase",
    "compute_hash",
    "configure_logging",
    "digest",
    "ensure_valid_event",
    "explain_info_var",
    "findings_of",
    "from_json",
    "generation_options_var",
    "get_and_clear_reasoning_trace_contextvar",
    "get_and_clear_response_metadata_contextvar",
    "get_and_clear_tool_calls_contextvar",
    "get_buffer_strategy",
    "get_or_create_event_loop",
    "init_random_seed",
    "is_valid_event",
    "llm_call_info_var",
    "llm_response_metadata_var",
    "llm_stats_var",
    "new_event_dict",
    "new_readable_uuid",
    "new_uuid",
    "new_var_uuid",
    "raw_llm_request",
    "reasoning_trace_var",
    "safe_eval",
    "seeded",
    "set_verbose",
    "snake_to_camelcase",
    "streaming_handler_var",
    "to_json",
    "tool_calls_var",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
