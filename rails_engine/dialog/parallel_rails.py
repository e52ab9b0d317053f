"""Rails that run at once: each beside the conversation, on a fork of it; the first refusal ends the others.

What rails that let pass have assigned is taken over in the order of their list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rails_engine.config import asks_elsewhere
from rails_engine.dialog.refusals import refused, spoken
from rails_engine.judge import CONTENT, Judgement
from rails_engine.parallel_rails import ParallelRails
from rails_engine.scene import Outcome, RunningRail, Scene

SKIPPED: Final = "_rails_skipped"
"""The global variable with what the current request does not want to run, as the flows of `guardrails` read it."""

_NOT_TAKEN_OVER: Final = frozenset(
    {*CONTENT.values(), "failed_rail", "last_bot_message", "last_user_message"}
)


async def rails_side_by_side(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`RailsSideBySideAction(direction, rails)`: the listed rails of a direction, all at once.

    Where one refuses, what it said is said, and the flow that asked fails.
    """
    direction = str(arguments["direction"])
    skipped = scene.context.get(SKIPPED) or ()
    numbers = [number for number, rail in enumerate(arguments["rails"]) if rail not in skipped]
    content = scene.context.get(CONTENT[direction])
    rails: ParallelRails[int, Judgement] = ParallelRails(
        ask=lambda number, current: scene.judge.listed(direction, number, current),
        refuses=lambda judgement: not judgement.passed,
        left=lambda judgement, _: judgement.content,
        is_slow=lambda number: asks_elsewhere(arguments["rails"][number]),
    )
    done, left = await rails.judged(numbers, content)
    if done and not done[-1].passed:
        return _refused(scene, done[-1])
    return _passed(scene, direction, done, left)


def _passed(scene: Scene, direction: str, done: Sequence[Judgement], content: Any) -> Outcome:
    updates: dict[str, Any] = {}
    for judgement in done:
        updates |= _assigned(scene.context, judgement.variables)
    if done:
        updates[CONTENT[direction]] = content
    said = "\n".join(judgement.said for judgement in done if judgement.said)
    sent = tuple(event for judgement in done for event in judgement.sent)
    return Outcome(None, updates, sent, starts=spoken(said))


def _assigned(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What a rail assigned to global variables of its own; what only the fork knows stays there."""
    return {
        name: value
        for name, value in after.items()
        if name not in _NOT_TAKEN_OVER
        and not name.startswith("_")
        and _is_plain(value)
        and (name not in before or before[name] != value)
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def _refused(scene: Scene, refusal: Judgement) -> Outcome:
    """The rails refuse; where one could not judge and did not say so, whoever runs the rails does."""
    if refusal.failed and not refusal.said and refusal.exception is None:
        failure = RuntimeError(f"{refusal.rail} could not judge")
        return Outcome(failure=failure, failed_rail=scene.rail or RunningRail("", ()))
    return refused(refusal)
