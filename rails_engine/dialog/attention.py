"""How attentive the user was while speaking.

A view of the conversation's attention events is kept in the global variable `_attention`, so it travels with the
state. `UpdateAttentionMaterializedViewAction` adds one event; `GetAttentionPercentageAction` says for what share of
the last utterance the level was one of those asked for. Without any attention event the answer is 1: a system that
does not track attention must not lose its users' words.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import colang
from rails_engine.scene import Outcome, Scene

VIEW: Final = "_attention"
BOUND: Final = 200


async def update_view(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`UpdateAttentionMaterializedViewAction(event, timestamp_offsets)`; offsets in seconds, by the event's name."""
    view = _with(scene, arguments["event"], arguments.get("timestamp_offsets") or {})
    return Outcome(context_updates={VIEW: view[-BOUND:]})


async def percentage(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`GetAttentionPercentageAction(attention_levels, event=None)`: a share from 0 to 1, `event` counted in."""
    view = _with(scene, arguments.get("event"), {})
    return Outcome(share(view, set(arguments["attention_levels"])))


def _with(scene: Scene, event: Any, offsets: Mapping[str, float]) -> list[list[Any]]:
    """The view with one more event."""
    name, fields = _event(event)
    view = list(scene.context.get(VIEW) or ())
    if name == "UtteranceUserActionStarted":
        # A new utterance: what was known before matters only as the level it begins with.
        view = [entry for entry in view if entry[1] == "level"][-1:]
    kind, level = _kind(name, fields)
    return [*view, [_seconds(fields, offsets.get(name, 0.0)), kind, level]] if kind else view


def share(view: Any, wanted: set[str]) -> float:
    """The part of the last utterance during which the level was in `wanted`."""
    levels = [(time, level) for time, kind, level in view if kind == "level"]
    if not levels:
        return 1.0
    starts = [time for time, kind, _ in view if kind == "start"]
    ends = [time for time, kind, _ in view if kind == "end"]
    start = starts[-1] if starts else levels[0][0]
    end = ends[-1] if ends else view[-1][0]
    if end <= start:
        return 1.0 if _level_at(levels, end) in wanted else 0.0
    marks = sorted({start, end, *(time for time, _ in levels if start < time < end)})
    good = sum(b - a for a, b in pairwise(marks) if _level_at(levels, a) in wanted)
    return float(good / (end - start))


def _level_at(levels: list[tuple[float, str]], time: float) -> str:
    before = [level for at, level in levels if at <= time]
    return before[-1] if before else levels[0][1]


def _kind(name: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    if name in {"AttentionUserActionStarted", "AttentionUserActionUpdated"}:
        return "level", str(fields.get("attention_level", ""))
    if name == "AttentionUserActionFinished":
        return "level", ""
    if name == "UtteranceUserActionStarted":
        return "start", ""
    return ("end", "") if name == "UtteranceUserActionFinished" else ("", "")


def _event(event: Any) -> tuple[str, Mapping[str, Any]]:
    """The name and fields of an event, given as a reference or as a UMIM dictionary."""
    if isinstance(event, colang.EventRef):
        return event.name, event.arguments
    if isinstance(event, Mapping):
        return str(event.get("type") or ""), event
    return "", {}


def _seconds(fields: Mapping[str, Any], offset: float) -> float:
    for key in ("action_started_at", "action_updated_at", "action_finished_at", "event_created_at"):
        if isinstance(text := fields.get(key), str):
            try:
                return (datetime.fromisoformat(text) + timedelta(seconds=offset)).timestamp()
            except ValueError:
                continue
    return datetime.now(UTC).timestamp() + offset
