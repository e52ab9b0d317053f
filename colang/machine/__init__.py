"""The machine: a conversation's state, and the step that advances it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colang.events import Command, Event
from colang.program import FlowInfo, Program


class State:
    """One conversation between two steps: plain data, JSON both ways."""

    def fork(self) -> State:
        """A state that can be stepped without changing this one; it shares what neither has changed."""
        raise NotImplementedError

    def to_json(self) -> str:
        """The whole state as text; `from_json` continues identically."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, program: Program, text: str) -> State:
        """Read back what `to_json` wrote for the same program.

        Raises:
            ColangStateError: the text is no state, or belongs to another program.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Raise ColangStateError where an invariant does not hold."""
        raise NotImplementedError


def new_state(program: Program, seed: int = 0) -> State:
    """A conversation that has not begun; uids, `rand()` and random choices follow from `seed`.

    Raises:
        ColangLoadError: the program has no flow `main`, or a flow cannot be lowered.
    """
    raise NotImplementedError


def begin(program: Program, state: State) -> list[Command]:
    """Start `main` and the `@active` flows if `main` is waiting (a new story, or one that ran to its end).

    Call it at the start of each call into the runtime, before that call's input (spec section 17, item 2); it
    returns no command when there is nothing to start.
    """
    raise NotImplementedError


def step(program: Program, state: State, event: Event) -> list[Command]:
    """Advance `state` by one event, to quiescence, and return what the caller has to carry out, in order.

    Sent events are not fed back: the caller does that, once (section 17, item 5). Book-keeping of actions
    (`…Started`, `…Updated`, `…Finished`) and `ContextUpdate(data={…})` happen here.

    Raises:
        ColangBudgetError: the program ran past its step budget; `state` is then of no use: drop the fork.
    """
    raise NotImplementedError


def add_flows(program: Program, state: State, text: str) -> list[str]:
    """Add the flows of a source text to this conversation; names that exist already are skipped.

    Raises:
        ColangSyntaxError: the text cannot be read; nothing was added.
    """
    raise NotImplementedError


def remove_flows(program: Program, state: State, names: list[str]) -> None:
    """Remove flows and their instances from this conversation, without events."""
    raise NotImplementedError


def flows(program: Program, state: State) -> Mapping[str, FlowInfo]:
    """All flows of this conversation: the program's and the added ones."""
    raise NotImplementedError


def flow_known(state: State, flow_id: str) -> bool:
    """True if an instance of the flow exists or existed."""
    raise NotImplementedError


def event_awaited(program: Program, state: State, event: Event) -> bool:
    """True if some head waits for this event."""
    raise NotImplementedError


def awaited_flows(program: Program, state: State) -> list[str]:
    """Names of the flows whose end some head waits for, in order, without repetition."""
    raise NotImplementedError


def locals_of(state: State, flow_uid: str) -> Mapping[str, Any]:
    """The local variables of a flow instance; empty if there is none."""
    raise NotImplementedError


def globals_of(state: State) -> Mapping[str, Any]:
    """The global variables."""
    raise NotImplementedError


def set_globals(state: State, values: Mapping[str, Any]) -> None:
    """Write global variables, as the context updates of an action do."""
    raise NotImplementedError
