"""A turn of Colang 1.0 run ahead of its input rails, for the sake of the model calls that it will make.

The copy has its own machine and sees its own events; all that leaves it are model calls
(`rails_engine.speculative_calls`). It takes the runtime's own steps alone: at an action that somebody registered, it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from colang.v1 import CallFlow, Program, RunAction, SetVariable
from rails_engine.canonical.runner import CanonicalRunner
from rails_engine.canonical.turn import CanonicalTurn
from rails_engine.config import parse_flow_ref
from rails_engine.llm import Completion
from rails_engine.scene import Outcome
from rails_engine.speculative_calls import SpeculationEndedError, SpeculativeCalls, copy_of_a_turn
from rails_engine.trace import Trace
from rails_engine.umim import EventDict


class SpeculativeRunner:
    """Implements `Runner` with the steps that nothing but the turn can see."""

    def __init__(self, inner: CanonicalRunner) -> None:
        self._inner = inner

    @property
    def systems(self) -> dict[str, bool]:
        """See `Runner.systems`."""
        return self._inner.systems

    def is_system(self, name: str) -> bool:
        """See `Runner.is_system`."""
        return self._inner.is_system(name)

    async def run(self, turn: CanonicalTurn, name: str, arguments: Mapping[str, Any]) -> Outcome:
        """See `Runner.run`.

        Raises:
            SpeculationEndedError: the step is not one of the runtime's own.
        """
        if not self._inner.is_own(name):
            raise SpeculationEndedError
        return await self._inner.run(turn, name, arguments)


def copy_of(turn: CanonicalTurn, runner: CanonicalRunner, calls: SpeculativeCalls) -> CanonicalTurn:
    """A copy of a turn that has not begun, as if it had no rails."""
    machine = turn.scene.machine.fork()
    machine.variables.update(dict.fromkeys(_RAILS, ()))
    scene = replace(
        turn.scene,
        machine=machine,
        events=list(turn.scene.events),
        services=replace(turn.scene.services, speculative_calls=calls, is_speculative=True),
        shown=_Unread() if turn.scene.shown is not None else None,
        notes=replace(turn.scene.notes),
    )
    return CanonicalTurn(scene, SpeculativeRunner(runner), Trace())


async def run_ahead(copy: CanonicalTurn, inputs: Sequence[EventDict]) -> None:
    """Run a copy; whatever ends it early is no matter."""
    with copy_of_a_turn():
        await copy.run(inputs)


_RAILS: Final = (
    "_input_flows",
    "_output_flows",
    "_tool_output_flows",
    "_tool_input_flows",
)


class _Unread:
    """Implements `Shown` for nobody: the copy asks as the turn will, piece by piece, and shows nothing."""

    async def piece(self, text: str, reasoning: str = "") -> None:
        """See `Shown.piece`."""

    async def end(self, answer: Completion) -> str | None:
        """See `Shown.end`."""
        del answer
        return None

    async def flush(self) -> None:
        """See `Shown.flush`."""

    def said(self, script: str) -> None:
        """See `Shown.said`."""

    def called(self, tool_calls: Sequence[Any]) -> None:
        """See `Shown.called`."""


def rewrites(program: Program, flows: Sequence[str], message: str) -> bool:
    """True if one of these rails may write the variable `message`: what it was before must reach no model or reader."""
    return any(message in _written(program, parse_flow_ref(flow).name, set()) for flow in flows)


def _written(program: Program, name: str, seen: set[str]) -> Iterator[str]:
    """The variables that a flow, or one that it calls, assigns."""
    flow = program.flows.get(name)
    if flow is None or name in seen:
        return
    seen.add(name)
    for element in flow.elements:
        if isinstance(element, SetVariable):
            yield element.name
        elif isinstance(element, RunAction) and element.result:
            yield element.result
        elif isinstance(element, CallFlow):
            yield from _written(program, element.name, seen)
