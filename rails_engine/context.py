"""Context variables of the current call, for users' code that reads them: actions, models, streaming helpers.

The engine hands everything on as arguments. It sets these for the length of a call, and reads three that users' code may
have set: the description of a model call, and the records that a call is added to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from rails_engine.options import GenerationOptions
from rails_engine.response import ExplainInfo, LLMCallInfo

T = TypeVar("T")

streaming_handler_var: ContextVar[Any] = ContextVar("streaming_handler", default=None)
"""Where an action of a streamed turn may write; it goes through the output rails like all else."""
generation_options_var: ContextVar[GenerationOptions | None] = ContextVar("generation_options", default=None)
"""The options of the call."""
raw_llm_request: ContextVar[Sequence[Mapping[str, Any]] | None] = ContextVar("raw_llm_request", default=None)
"""The messages of the call as the caller gave them."""
explain_info_var: ContextVar[ExplainInfo | None] = ContextVar("explain_info", default=None)
"""Set it to an `ExplainInfo`, and the model calls of this task are added there."""
llm_stats_var: ContextVar[Any] = ContextVar("llm_stats", default=None)
"""Set it to an `LLMStats`, and the model calls of this task are counted there."""
llm_call_info_var: ContextVar[LLMCallInfo | None] = ContextVar("llm_call_info", default=None)
"""Set it before `llm_call`: its `task` names the call in logs."""
reasoning_trace_var: ContextVar[str | None] = ContextVar("reasoning_trace", default=None)
"""The reasoning of the last `llm_call`."""
tool_calls_var: ContextVar[list[dict[str, Any]] | None] = ContextVar("tool_calls", default=None)
"""The tool calls of the last `llm_call`."""
llm_response_metadata_var: ContextVar[dict[str, Any] | None] = ContextVar(
    "llm_response_metadata", default=None
)
"""What the provider of the last `llm_call` said beside the answer."""


def get_and_clear_reasoning_trace_contextvar() -> str | None:
    """The reasoning of the last `llm_call`, once."""
    return _taken(reasoning_trace_var)


def get_and_clear_tool_calls_contextvar() -> list[dict[str, Any]] | None:
    """The tool calls of the last `llm_call`, once."""
    return _taken(tool_calls_var)


def get_and_clear_response_metadata_contextvar() -> dict[str, Any] | None:
    """What the provider of the last `llm_call` said beside the answer, once."""
    return _taken(llm_response_metadata_var)


def _taken(variable: ContextVar[T | None]) -> T | None:
    value = variable.get()
    variable.set(None)
    return value


class call_context:  # noqa: N801 -- used as a function
    """What users' code reads during a call; afterwards everything is as it was."""

    __slots__ = ("_before", "_messages", "_options")

    def __init__(self, options: GenerationOptions | None, messages: Sequence[Mapping[str, Any]]) -> None:
        self._options = options
        self._messages = messages

    def __enter__(self) -> None:
        self._before = generation_options_var.set(self._options), raw_llm_request.set(self._messages)

    def __exit__(self, *_: object) -> None:
        generation_options_var.reset(self._before[0])
        raw_llm_request.reset(self._before[1])


class reading_along:  # noqa: N801 -- used as a function
    """`handler` is where actions may write while somebody reads along."""

    __slots__ = ("_before", "_handler")

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def __enter__(self) -> None:
        self._before = streaming_handler_var.set(self._handler)

    def __exit__(self, *_: object) -> None:
        streaming_handler_var.reset(self._before)


def read_along() -> bool:
    """Whether somebody reads along already: the turn in which this one runs is streamed."""
    return streaming_handler_var.get() is not None


class LLMStats:
    """Counts of model calls by name: calls, seconds, tokens."""

    def __init__(self) -> None:
        self._stats: dict[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        """All counts to zero."""
        counts = (
            "total_calls",
            "total_time",
            "total_tokens",
            "total_prompt_tokens",
            "total_completion_tokens",
        )
        self._stats = {**dict.fromkeys((*counts, "cache_hits"), 0), "latencies": []}

    def inc(self, name: str, value: float = 1) -> None:
        """Add to a count; a latency is added to the list of them."""
        if name == "latencies":
            self._stats[name].append(value)
        else:
            self._stats[name] = self._stats.get(name, 0) + value

    def get_stat(self, name: str) -> Any:
        """A count by name; None for one that was never counted."""
        return self._stats.get(name)

    def get_stats(self) -> dict[str, Any]:
        """All counts by name, times in seconds; the table itself, not a copy."""
        return self._stats

    def __str__(self) -> str:
        return (
            f"{self._stats['total_calls']} total calls, {self._stats['total_time']} total time, "
            f"{self._stats['total_tokens']} total tokens"
        )


def tell(calls: Sequence[LLMCallInfo], colang_history: str | None) -> None:
    """Add the model calls of a call to the records that the caller's task has set."""
    info, stats = explain_info_var.get(), llm_stats_var.get()
    if info is not None:
        info.llm_calls.extend(calls)
        info.colang_history = colang_history
    if stats is not None:
        for call in calls:
            _count(stats, call)


def recorded() -> bool:
    """Whether somebody wants to hear of model calls."""
    return explain_info_var.get() is not None or llm_stats_var.get() is not None


def _count(stats: Any, call: LLMCallInfo) -> None:
    stats.inc("total_calls")
    stats.inc("total_time", call.duration or 0)
    stats.inc("latencies", call.duration or 0)
    stats.inc("total_tokens", call.total_tokens or 0)
    stats.inc("total_prompt_tokens", call.prompt_tokens or 0)
    stats.inc("total_completion_tokens", call.completion_tokens or 0)
    stats.inc("cache_hits", int(call.from_cache))
