"""What a request gives back: the answer and, where asked for, the record of how it came about."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    """Its validator is built when it is first used, so that importing costs nothing."""

    model_config = ConfigDict(defer_build=True)


class LLMCallSummary(_Part):
    """One model call in short. Durations are seconds, times are seconds since the epoch."""

    task: str | None = None
    duration: float | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    started_at: float | None = 0
    finished_at: float | None = 0


class LLMCallInfo(LLMCallSummary):
    """One model call with its prompt and completion."""

    id: str | None = None
    request_id: str | None = None
    prompt: str | None = None
    completion: str | None = None
    raw_response: dict[str, Any] | None = None
    llm_model_name: str | None = "unknown"
    llm_provider_name: str | None = "unknown"
    from_cache: bool = False


class ExplainInfo(_Part):
    """What happened in the last call."""

    llm_calls: list[LLMCallInfo] = Field(default_factory=list)
    colang_history: str | None = None

    def print_llm_calls_summary(self) -> None:
        """Write one line a model call to standard output."""
        seconds = sum(call.duration or 0 for call in self.llm_calls)
        tokens = sum(call.total_tokens or 0 for call in self.llm_calls)
        lines = [f"{len(self.llm_calls)} LLM call(s), {seconds:.2f} s, {tokens} tokens"]
        lines += [
            f"{number}. {call.task or 'call'}: {call.duration or 0:.2f} s, {call.total_tokens or 0} tokens"
            for number, call in enumerate(self.llm_calls, 1)
        ]
        sys.stdout.write("\n".join(lines) + "\n")


class ExecutedAction(_Part):
    """One action that ran for a rail."""

    action_name: str
    action_params: dict[str, Any] = Field(default_factory=dict)
    return_value: Any = None
    llm_calls: list[LLMCallInfo] = Field(default_factory=list)
    started_at: float | None = None
    finished_at: float | None = None
    duration: float | None = None


class ActivatedRail(_Part):
    """One rail that ran: what it decided, what it executed, and whether it ended the turn."""

    type: str
    name: str
    decisions: list[str] = Field(default_factory=list)
    executed_actions: list[ExecutedAction] = Field(default_factory=list)
    stop: bool = False
    additional_info: dict[str, Any] | None = None
    started_at: float | None = None
    finished_at: float | None = None
    duration: float | None = None


class GenerationStats(_Part):
    """Sums over one request; durations in seconds."""

    input_rails_duration: float | None = None
    dialog_rails_duration: float | None = None
    generation_rails_duration: float | None = None
    output_rails_duration: float | None = None
    total_duration: float | None = None
    llm_calls_duration: float | None = 0
    llm_calls_count: int | None = 0
    llm_calls_total_prompt_tokens: int | None = 0
    llm_calls_total_completion_tokens: int | None = 0
    llm_calls_total_tokens: int | None = 0


class GenerationLog(_Part):
    """The parts of the log that were asked for."""

    activated_rails: list[ActivatedRail] = Field(default_factory=list)
    stats: GenerationStats = Field(default_factory=GenerationStats)
    llm_calls: list[LLMCallInfo] | None = None
    internal_events: list[dict[str, Any]] | None = None
    colang_history: str | None = None

    def print_summary(self) -> None:
        """Write the statistics and one line a rail to standard output."""
        stats = self.stats
        calls = f"{stats.llm_calls_count or 0} LLM call(s), {stats.llm_calls_duration or 0:.2f} s"
        lines = [
            f"total {stats.total_duration or 0:.2f} s, {calls}, {stats.llm_calls_total_tokens or 0} tokens"
        ]
        lines += [
            f"{number}. {rail.type} rail `{rail.name}`: {rail.duration or 0:.2f} s{' (stopped)' if rail.stop else ''}"
            for number, rail in enumerate(self.activated_rails, 1)
        ]
        sys.stdout.write("\n".join(lines) + "\n")


class GenerationResponse(_Part):
    """The answer of a call with `options` or `state`: a text for a prompt, messages for messages."""

    response: str | list[dict[str, Any]]
    llm_output: dict[str, Any] | None = None
    output_data: dict[str, Any] | None = None
    log: GenerationLog | None = None
    state: dict[str, Any] | None = None
    tool_calls: list[Any] | None = None
    reasoning_content: str | None = None
    llm_metadata: dict[str, Any] | None = None
