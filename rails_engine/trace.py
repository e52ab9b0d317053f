"""The record of one call: every event, action and model call in order. `explain()`, the log and spans read it alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from colang import History
from rails_engine.actions import public_value
from rails_engine.llm import LLMCall, plain_metadata
from rails_engine.options import GenerationLogOptions
from rails_engine.response import (
    ActivatedRail,
    ExecutedAction,
    GenerationLog,
    GenerationStats,
    LLMCallInfo,
)
from rails_engine.umim import EventDict

SIDE_BY_SIDE: Final = "RailsSideBySideAction"
"""Runs rails at once; the actions of each are in the record by themselves."""


@dataclass(slots=True)
class ActionRun:
    """One action that was carried out here. Times are seconds since the epoch."""

    name: str
    arguments: Mapping[str, Any]
    started_at: float
    llm_calls: list[LLMCall] = field(default_factory=list)
    value: Any = None
    finished_at: float | None = None
    failure: BaseException | None = None
    direction: str = ""
    rail: str = ""
    """Colang 2.x: the rail that it ran for, and its direction; empty for other flows, and where nobody reads the record."""

    @property
    def blocks(self) -> bool:
        """Whether it was asked for a verdict and did not let pass."""
        return failed(self.value, self.failure) or (
            isinstance(self.value, dict) and self.value.get("is_blocked") is True
        )


class Trace:
    """Filled by one turn, read after it. `is_read`: somebody will read every event, so that all are to be there.

    `started_at` is in seconds since the epoch.
    """

    def __init__(self, started_at: float | None = None, is_read: bool = False) -> None:
        self.started_at = time.time() if started_at is None else started_at
        self.is_read = is_read
        self.events: list[EventDict] = []
        self.actions: list[ActionRun] = []
        self.llm_calls: list[LLMCall] = []
        self.history: Sequence[History] = ()
        self.story: Sequence[EventDict] = ()
        """Colang 1.0: the events of the whole conversation."""
        self.deciders: dict[str, str] = {}
        """Colang 1.0: an event's uid to the flow that decided it."""
        self.beside: dict[str, Sequence[ActionRun]] = {}
        """Colang 1.0: what a rail that ran beside others executed, by the uid of the event that it began with."""
        self.heard_beside: frozenset[str] = frozenset()
        """Colang 1.0: the uids of what such a rail heard itself; the flows of the conversation do not hear it again."""
        self.has_failed = False
        """Colang 1.0: an action has raised, or one of a rail could not judge."""

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the provider of the last model call told beside its answer."""
        return plain_metadata(self.llm_calls[-1].completion.metadata) if self.llm_calls else None


def failed(value: Any, failure: BaseException | None) -> bool:
    """True for what an action gave that raised, or that belongs to a rail and could not judge."""
    return failure is not None or (isinstance(value, dict) and bool(value.get("failed")))


def history_text(history: Iterable[History]) -> str:
    """The interaction so far, a line for each intent and action."""
    return "\n".join(_history_line(line) for line in history)


def _history_line(line: History) -> str:
    label = line.kind.replace("_", " ")
    argument = f' "{line.parameter}"' if line.parameter is not None else ""
    return f"{label}: {line.flow_id}{argument}"


def call_info(call: LLMCall) -> LLMCallInfo:
    """A model call as callers see it."""
    usage = call.completion.usage
    return LLMCallInfo(
        task=call.task,
        duration=call.duration_s,
        total_tokens=usage.total_tokens if usage else 0,
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
        started_at=call.started_at,
        finished_at=call.started_at + call.duration_s,
        id=call.uid,
        request_id=call.completion.request_id,
        prompt=call.prompt_text,
        completion=(call.completion.text or None)
        if isinstance(call.error, Exception)
        else call.completion.text,
        llm_model_name=call.model_name,
        llm_provider_name=call.provider_name,
        from_cache=call.completion.cached,
    )


def executed(run: ActionRun) -> ExecutedAction:
    """An action as the log shows it."""
    duration = run.finished_at - run.started_at if run.finished_at is not None else None
    return ExecutedAction(
        action_name=run.name,
        action_params=dict(run.arguments),
        return_value=public_value(run.value),
        llm_calls=[call_info(call) for call in run.llm_calls],
        started_at=run.started_at,
        finished_at=run.finished_at,
        duration=duration,
    )


def executed_rails(trace: Trace) -> list[ActivatedRail]:
    """The actions of a Colang 2.x turn by the rails that ran them; what other flows ran is the dialog's."""
    told = (run for run in trace.actions if run.name != SIDE_BY_SIDE)
    runs = groupby(told, key=lambda run: (run.direction or "dialog", run.rail or "main"))
    return [_rail(direction, name, list(actions)) for (direction, name), actions in runs]


def _rail(direction: str, name: str, runs: Sequence[ActionRun]) -> ActivatedRail:
    ends = [run.finished_at for run in runs if run.finished_at is not None]
    finished_at = max(ends) if len(ends) == len(runs) else None
    return ActivatedRail(
        type=direction,
        name=name,
        decisions=[f"execute {run.name}" for run in runs],
        executed_actions=[executed(run) for run in runs],
        stop=direction != "dialog" and any(run.blocks for run in runs),
        started_at=runs[0].started_at,
        finished_at=finished_at,
        duration=None if finished_at is None else finished_at - runs[0].started_at,
    )


def generation_log(
    wanted: GenerationLogOptions,
    trace: Trace,
    rails: Sequence[ActivatedRail],
    events: Sequence[EventDict],
    history: Callable[[], str],
) -> GenerationLog:
    """The parts of the log that are wanted. `rails` are those that ran, `events` those of the turn."""
    calls = [call_info(call) for call in trace.llm_calls]
    return GenerationLog(
        activated_rails=list(rails) if wanted.activated_rails else [],
        stats=_statistics(calls, trace.started_at, rails),
        llm_calls=calls if wanted.llm_calls else None,
        internal_events=[_public_event(event) for event in events] if wanted.internal_events else None,
        colang_history=history() if wanted.colang_history else None,
    )


def _public_event(event: EventDict) -> EventDict:
    """An event as the log shows it."""
    if event["type"] == "ContextUpdate":
        return {**event, "data": _public_values(event["data"])}
    return _public_values(event) if "return_value" in event else event


def _public_values(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: public_value(value) for name, value in variables.items()}


def wanted_variables(
    wanted: bool | Sequence[str] | None, variables: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The variables that `output_vars` asks for: those named, or all but the engine's own; None where it asks for none."""
    if wanted is True:
        return {name: public_value(value) for name, value in variables.items() if not name.startswith("_")}
    return {name: public_value(variables.get(name)) for name in wanted} if wanted else None


def _statistics(
    calls: Sequence[LLMCallInfo], started_at: float, rails: Sequence[ActivatedRail]
) -> GenerationStats:
    """Sums over one request; a kind of rail that did not run has no duration."""
    spent: dict[str, float] = {}
    for rail in rails:
        spent[rail.type] = spent.get(rail.type, 0.0) + (rail.duration or 0.0)
    return GenerationStats(
        input_rails_duration=spent.get("input"),
        dialog_rails_duration=spent.get("dialog"),
        generation_rails_duration=spent.get("generation"),
        output_rails_duration=spent.get("output"),
        total_duration=time.time() - started_at,
        llm_calls_duration=sum(call.duration or 0 for call in calls),
        llm_calls_count=len(calls),
        llm_calls_total_prompt_tokens=sum(call.prompt_tokens or 0 for call in calls),
        llm_calls_total_completion_tokens=sum(call.completion_tokens or 0 for call in calls),
        llm_calls_total_tokens=sum(call.total_tokens or 0 for call in calls),
    )
