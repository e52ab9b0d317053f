"""Rails that let a message pass, gone through without the steps in between.

Nearly all rails are straight: they run an action, and end unless it objects. Where nobody reads the events of a turn,
the system flows have such rails passed here, one after the other, for as long as they do; those that are left are the
answer, and the flows go on with them. By the time a rail turns out to do more than to pass, its actions have run:
what they answered is kept for the flow, which now runs as any flow does, from its beginning. No action runs twice. A
flow that was about to speak behind a generated message does not come to it where output rails run, and so not where
they are passed.
"""

from __future__ import annotations

from typing import Any

from colang.v1 import FlowCode, Program, WaitEvent, drop_acting, go_through
from rails_engine.canonical.scene import RESULT
from rails_engine.canonical.turn import Answer, CanonicalTurn
from rails_engine.config import RailsConfig
from rails_engine.errors import ActionNotFoundError
from rails_engine.saved import is_marker
from rails_engine.scene import Outcome
from rails_engine.trace import failed

_FINISHED = "InternalSystemActionFinished"


def may_pass(program: Program, config: RailsConfig, direction: str) -> bool:
    """Whether nothing in a program can tell rails that were passed from rails that were run.

    The system's own flow runs them, one after the other, and no flow waits for what happens on the way.
    """
    own = program.flows.get(f"run {direction} rails")
    guarded = config.rails.input if direction == "input" else config.rails.output
    if own is None or not own.is_system or guarded.parallel or program.searching:
        return False
    starting = any(kind == _FINISHED for kind, _ in program.starters)
    return not starting and not any(map(_waits_for_steps, program.flows.values()))


def _waits_for_steps(code: FlowCode) -> bool:
    waited = [element.type for element in code.elements if isinstance(element, WaitEvent)]
    return any(kind == _FINISHED or is_marker(kind) for kind in waited)


async def pass_rails(turn: CanonicalTurn, direction: str) -> list[str]:
    """The direction's rails that are left, from the first on that does more than to let the message pass.

    By that one nothing has changed but that its actions have answered.
    """
    program, machine, notes = turn.scene.program, turn.scene.machine, turn.scene.notes
    variables, triggered = machine.variables, f"triggered_{direction}_rail"
    left = list(variables.get(f"_{direction}_to_pass") or ())
    judges = direction == "output" or isinstance(variables.get("user_message"), str)
    while judges and left:
        before = variables.copy()
        answers: list[tuple[str, dict[str, Any], Outcome]] = []
        variables[triggered] = left[0]
        walk = go_through(program, variables, left[0])
        element = next(walk)
        while not isinstance(element, bool) and turn.is_system(element.name):
            filled = element.filling.filled(variables)
            notes[RESULT] = element.result
            try:
                outcome = await turn.carry_out(element.name, filled)
            except ActionNotFoundError:
                break  # the flow will meet it again, and say so
            answers.append((element.name, filled, outcome))
            if not _lets_go_on(turn, outcome):
                break
            element = walk.send(outcome.value)
        if element is not True:
            variables.clear()
            variables.update(before)
            turn.answers = [Answer(*answer) for answer in answers]
            break
        variables[triggered] = None
        del left[0]
    if direction == "output":
        drop_acting(program, machine, "pass_output_rails")
    return left


def _lets_go_on(turn: CanonicalTurn, outcome: Outcome) -> bool:
    """Whether an action has done nothing that the turn has to act upon; what it assigns is assigned."""
    if failed(outcome.value, outcome.failure):
        turn.trace.has_failed = True
    if outcome.failure is not None or outcome.failed_rail is not None or outcome.events:
        return False
    if outcome.context_updates:
        turn.scene.machine.variables.update(outcome.context_updates)
    return True
