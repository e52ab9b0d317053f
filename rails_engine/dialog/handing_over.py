"""What flows leave to the caller: the rails see it before the caller does.

Calls of tools go past the tool-output rails. What the bot says has been past the output rails where `bot say` says it;
where a flow starts the utterance by itself it is judged here. A refusal fails the flow that asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import colang
from rails_engine.dialog.refusals import refused
from rails_engine.dialog.speaking import BOT_SAY
from rails_engine.external_events import ACTION_CALL, is_tool
from rails_engine.judge import OUTPUT, TOOL_OUTPUT
from rails_engine.scene import Outcome, Plan, Scene, guarded

UTTERANCE: Final = "UtteranceBotAction"


def handed_over(scene: Scene, action: str) -> Plan | None:
    """How an action that no Python carries out reaches the caller; None where there is nothing to judge about it."""
    if not scene.judge.has(OUTPUT if action == UTTERANCE else TOOL_OUTPUT):
        return None
    if action == UTTERANCE:
        callers = colang.callers_of(scene.machine, scene.flow_uid)[:1]
        if callers and callers[0][1] == BOT_SAY and scene.program.flows[BOT_SAY].is_of_library:
            return None
    elif not is_tool(action):
        return None
    if scene.rail is not None and scene.rail.direction:
        return None  # rails are trusted, and would else wait for themselves
    if action == UTTERANCE:
        return Plan(action, guarded(action, _say), holds=True)
    return Plan(action, guarded(action, partial(_call, action)), holds=True)


async def _say(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    judgement = await scene.judge.output(str(arguments.get("script", "")))
    return Outcome(asks={**arguments, "script": judgement.text}) if judgement.passed else refused(judgement)


async def _call(action: str, scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    function = {"name": action, "arguments": dict(arguments)}
    call = {"id": scene.action_uid, "type": ACTION_CALL, "function": function}
    judgement = await scene.judge.tool_output([call])
    if not judgement.passed:
        return refused(judgement)
    return Outcome(asks=_arguments(judgement.content, scene.action_uid))


def _arguments(calls: Any, uid: str) -> Mapping[str, Any]:
    """The arguments that the rails have left.

    Raises:
        ValueError: they have taken the call out of the list, or its arguments are no mapping.
    """
    kept = next((call for call in calls or () if isinstance(call, Mapping) and call.get("id") == uid), {})
    arguments = (kept.get("function") or {}).get("arguments")
    if not isinstance(arguments, Mapping):
        raise ValueError("the tool-output rails have left nothing of the call")  # noqa: TRY004 -- what they did, no type
    return arguments
