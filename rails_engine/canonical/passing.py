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

from colang.v1 import FlowCode, Program, WaitEvent, called, drop_acting, go_through
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
    """The direction's rails that are left, from the first on that does more than to let the message pass."""
    variables = turn.scene.machine.variables
    left = list(variables.get(f"_{direction}_to_pass") or ())
    if direction == "output" or isinstance(variables.get("user_message"), str):
        triggered = f"triggered_{direction}_rail"
        while left and await _passes(turn, triggered, left[0]):
            del left[0]
    if direction == "output":
        drop_acting(turn.scene.program, turn.scene.machine, "pass_output_rails")
    return left


async def _passes(turn: CanonicalTurn, triggered: str, reference: str) -> bool:
    """Whether a rail lets pass; where it does not, nothing has changed but that its actions have answered."""
    program, variables = turn.scene.program, turn.scene.machine.variables
    code, arguments = called(program, reference)
    if code is None:
        return False
    before = variables.copy()
    answers: list[tuple[str, dict[str, Any], Outcome]] = []
    if arguments:
        variables.update(arguments)
    variables[triggered] = reference
    walk = go_through(program, variables, code)
    element = next(walk)
    while not isinstance(element, bool) and turn.is_system(element.name):
        filled = element.filling.filled(variables)
        turn.scene.notes[RESULT] = element.result
        try:
            outcome = await turn.carry_out(element.name, filled)
        except ActionNotFoundError:
            break  # the flow will meet it again, and say so
        answers.append((element.name, filled, outcome))
        if failed(outcome.value, outcome.failure):
            turn.trace.has_failed = True
        if outcome.failure is not None or outcome.failed_rail is not None or outcome.events:
            break
        if outcome.context_updates:
            variables.update(outcome.context_updates)
        element = walk.send(outcome.value)
    if element is True:
        variables[triggered] = None
        return True
    variables.clear()
    variables.update(before)
    turn.answers = [Answer(*answer) for answer in answers]
    return False
