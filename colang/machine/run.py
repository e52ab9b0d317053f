"""What one step works with: the state, the queue of internal events, the heads that want to act, the commands so far."""

from __future__ import annotations

from collections import deque
from typing import Any

from colang import limits
from colang.errors import ColangBudgetError, ColangError, ColangRuntimeError
from colang.events import Command, Event, Fault, Send
from colang.instructions import FlowCode
from colang.machine.frame import Frame, flow_code
from colang.machine.index import HeadKey
from colang.machine.signal import Signal
from colang.machine.state import Head, Instance, State
from colang.program import Program


class EngineFault(Exception):  # noqa: N818 - it never leaves the machine: it carries the error that does
    """An error outside of any slide: what was under way is abandoned and a ColangError event takes its place."""

    def __init__(self, error: ColangRuntimeError, flow: FlowCode, pc: int | None, kind: str = "") -> None:
        super().__init__(text_of(error))
        self.kind = kind or type(error).__name__
        self.fault = fault_in(flow, pc, error)


def text_of(error: ColangError) -> str:
    """An error in words, of at most `limits.MAX_ERROR` characters."""
    text = str(error)
    return text if len(text) <= limits.MAX_ERROR else f"{text[: limits.MAX_ERROR]} …"


def fault_in(flow: FlowCode, pc: int | None, error: ColangError) -> Fault:
    """What the author is told of an error at an instruction of a flow; None for its header."""
    span = flow.span if pc is None or not flow.spans else flow.spans[min(pc, len(flow.spans) - 1)]
    return Fault(text_of(error), flow.flow_id, span)


class Run:
    """The surroundings of one step; thrown away at its end."""

    __slots__ = (
        "commands",
        "faults",
        "frame",
        "merging",
        "program",
        "queue",
        "sending",
        "state",
        "steps",
    )

    def __init__(self, program: Program, state: State) -> None:
        self.program = program
        self.state = state
        self.queue: deque[Signal] = deque()
        self.sending: dict[HeadKey, None] = {}
        """Heads at a `Send`, in order of arrival."""
        self.merging: dict[tuple[str, int], None] = {}
        """Sleeping parents (instance uid, head number) of heads that stand at a `Merge`."""
        self.commands: list[Command] = []
        self.frame = Frame(program, state, self.queue)
        self.steps = 0
        self.faults = 0

    def push(self, signal: Signal) -> None:
        """Queue an event behind all others."""
        self.queue.append(signal)

    def push_front(self, signal: Signal) -> None:
        """Queue an event before all others, as restarts of activated flows are."""
        self.queue.appendleft(signal)

    def fail(self, flow: FlowCode, pc: int | None, error: ColangError) -> None:
        """Tell the program and its author of an error at an instruction of a flow; None for its header."""
        self.push(Signal("ColangError", {"type": type(error).__name__, "error": text_of(error)}))
        self.commands.append(fault_in(flow, pc, error))

    def emit(self, name: str, arguments: dict[str, Any], flow_uid: str) -> None:
        """Have an event sent to the outside on behalf of a flow."""
        self.commands.append(Send(Event(name, arguments), flow_uid))

    def count(self, flow_id: str) -> None:
        """One more thing done in this step."""
        self.steps += 1
        if self.steps > limits.MAX_STEPS:
            raise ColangBudgetError(
                f"flow `{flow_id}` was stopped: one event made the program take more than "
                f"{limits.MAX_STEPS} steps; is there a loop without a wait, or an endless recursion?"
            )

    def flow_code(self, flow_id: str) -> FlowCode | None:
        """The flow of a name in this conversation."""
        return flow_code(self.program, self.state, flow_id)

    def wants_unhandled(self, name: str) -> bool:
        """True if some flow may wait for the UnhandledEvent of this event."""
        added = self.state.overlay.unhandled
        names = self.program.unhandled
        return names is None or added is None or name in names or name in added

    def at(self, instance: Instance) -> Frame:
        """The surroundings for evaluating an expression of `instance`."""
        self.frame.instance = instance
        return self.frame

    def wait(self, instance: Instance, head: Head) -> None:
        """File a head under the entries it waits for."""
        self.state.sequence += 1
        head.since = self.state.sequence
        for entry in head.entries:
            self.state.index.add(entry, (instance.uid, head.number))

    def unfile(self, instance: Instance, head: Head) -> None:
        """The head waits no longer."""
        for entry in head.entries:
            self.state.index.remove(entry, (instance.uid, head.number))
        head.entries = ()
