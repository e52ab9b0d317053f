"""A turn of Colang 2.x run ahead of its input rails, for the sake of the model calls that it will make.

The copy works on a fork of the conversation, and all that leaves it are model calls
(`rails_engine.speculative_calls`). Each action of an input rail is taken to have let the message pass; the runtime's own
actions are carried out; at any other the copy ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import colang
from rails_engine.effects import Effects, Registered
from rails_engine.library import ALLOWED
from rails_engine.scene import Outcome, Plan, Scene
from rails_engine.speculative_calls import SpeculationEndedError

INPUT: Final = "input"


class SpeculativeEffects(Effects):
    """The actions of a copy."""

    def __init__(self, registered: Registered, system: Mapping[str, Plan]) -> None:
        super().__init__(registered, system)
        self._known = system

    def find(self, action: str) -> Plan | None:
        """See `Effects.find`."""
        plan = super().find(action)
        if plan is None:
            return None
        own = plan is self._known.get(action)

        async def effect(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
            rail = scene.rail
            if rail is not None and rail.direction == INPUT:
                return Outcome(ALLOWED)
            if not own:
                raise SpeculationEndedError
            return await plan.run(scene, arguments)

        return replace(plan, run=effect)


_WRITTEN: Final = {"input": "user_message", "output": "bot_message"}


def rewrites(program: colang.Program, direction: str) -> bool:
    """True if a rail of this direction may write the message: what it was before must reach no model or reader then."""
    name = _WRITTEN[direction]
    writes = re.compile(rf"\${name}\s*=[^=]|(?:->|\bas)\s*\${name}\b")
    seen: set[str] = set()
    waiting = [f"{direction} rails"]
    while waiting:
        name = waiting.pop()
        flow = program.flows.get(name)
        # The hooks of `guardrails` write the message too, when they put the text there that is to be judged.
        if flow is None or name in seen or flow.is_of_library:
            continue
        seen.add(name)
        if writes.search(flow.text):
            return True
        waiting += [other for other in program.flows if other in flow.text]
    return False
