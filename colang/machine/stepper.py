"""One event to quiescence.

The queue holds the event, then the internal events that it causes. Until it is empty: take the next one, let it have
its built-in effect, compare it with the heads that wait for its name, advance those that match, best first. Then let
the heads at merge points merge; then resolve the conflicts of those that want to act; and again, until nothing moves.
"""

from __future__ import annotations

from colang.errors import ColangBudgetError, ColangRuntimeError
from colang.events import Command, Event
from colang.instructions import Match, Started
from colang.machine.actions import note_event
from colang.machine.conflicts import resolve_conflicts
from colang.machine.effects import Handled, Moves, apply
from colang.machine.heads import fail_head, merge_next
from colang.machine.matching import captured, score
from colang.machine.run import EngineFault, Run
from colang.machine.signal import Signal
from colang.machine.slide import advance, remember
from colang.machine.state import Head, Instance, Place, State
from colang.machine.sweep import sweep
from colang.program import Program
from colang.values import FlowRef


def step(program: Program, state: State, event: Event) -> list[Command]:
    """Advance `state` by one event, to quiescence, and return what the caller has to carry out, in order.

    Sent events are not fed back: the caller does that, once. Book-keeping of actions
    (`…Started`, `…Updated`, `…Finished`) and `ContextUpdate(data={…})` happen here.

    Raises:
        ColangBudgetError: the program ran past its step budget; `state` is then of no use: drop the fork.
    """
    return run_signal(program, state, Signal(event.name, event.arguments))


def run_signal(program: Program, state: State, signal: Signal) -> list[Command]:
    """As `step`, for an event that may be an internal one.

    Raises:
        as `step`.
    """
    run = Run(program, state)
    note_event(run, signal)
    run.push(signal)
    while True:
        try:
            _settle(run)
        except EngineFault as fault:
            _abandon(run, fault)
        else:
            break
    sweep(run)
    return run.commands


def _settle(run: Run) -> None:
    while True:
        while run.queue:
            _process(run, run.queue.popleft())
        if run.merging:
            advance(run, *merge_next(run))
        elif run.sending:
            resolve_conflicts(run)
        else:
            return


def _abandon(run: Run, fault: EngineFault) -> None:
    """An error outside of a slide: the rest of what this event led to is lost."""
    run.faults += 1
    if run.faults > _MOST_FAULTS:
        raise ColangBudgetError(f"one event led to more than {_MOST_FAULTS} errors: {fault}")
    run.queue.clear()
    run.sending.clear()
    run.merging.clear()
    for instance in run.state.in_order():
        if any(head.place in _ON_THE_WAY for head in instance.heads.values()):
            _strand(run.state.own(instance.uid))
    run.push(Signal("ColangError", {"type": fault.kind, "error": str(fault)}))
    run.commands.append(fault.fault)


_MOST_FAULTS = 50
_ON_THE_WAY = frozenset({Place.MOVING, Place.SENDING, Place.MERGING})


def _strand(instance: Instance) -> None:
    """Heads that were on their way stand where they are, for good."""
    for head in instance.heads.values():
        if head.place in _ON_THE_WAY:
            head.place = Place.WAITING


def _process(run: Run, signal: Signal) -> None:
    run.count(str(signal.arguments.get("flow_id", "main")))
    if signal.unhandled is not None:
        _name_loops(run, signal)
    handled = _effect(run, signal)
    moves: Moves = handled.moves if handled else []
    failing: list[tuple[Instance, Head]] = []
    for instance, head in _candidates(run, signal):
        try:
            value = score(run, instance, head, signal)
        except ColangRuntimeError as error:
            raise EngineFault(error, instance.flow, head.pc) from None
        if value > 0:
            moves.append((instance, head, value))
        elif value < 0:
            failing.append((instance, head))
    _report_unhandled(run, signal, handled, moves)
    for instance, head in failing:
        _fail(run, instance.uid, head.number, signal)
    _advance(run, signal, moves)


def _effect(run: Run, signal: Signal) -> Handled | None:
    """Let the event have its built-in effect; an error in it is one of the flow that the event names."""
    try:
        return apply(run, signal)
    except ColangRuntimeError as error:
        named = run.flow_code(str(signal.arguments.get("flow_id")))
        flow = named or run.state.instances[run.state.main].flow
        raise EngineFault(error, flow, None) from None


def _candidates(run: Run, signal: Signal) -> list[tuple[Instance, Head]]:
    """The heads that may match, by loop priority, then by place in the tree of flows, then the latest first."""
    keys = run.state.index.candidates(signal.name, signal.arguments)
    instances = run.state.instances
    found = [(instances[uid], instances[uid].heads[number]) for uid, number in keys]
    if len(found) > 1:
        found.sort(key=lambda pair: (-pair[0].flow.loop_priority, pair[0].position, -pair[1].since))
    return found


def _fail(run: Run, uid: str, number: int, signal: Signal) -> None:
    instance = run.state.own(uid)
    head = instance.heads.get(number)
    if head is None:
        return
    following = fail_head(run, instance, head, signal.scores)
    if following is not None:
        advance(run, instance, following)


def _advance(run: Run, signal: Signal, moves: Moves) -> None:
    """Move matching heads on, best score first."""
    if len(moves) > 1:
        moves.sort(key=lambda move: -move[2])
    for found, place, value in moves:
        if found.uid not in run.state.instances:
            continue
        instance = run.state.own(found.uid)
        head = instance.heads.get(place.number)
        if head is None:
            # A head that moved before it has ended its branch or its flow.
            continue
        head.scores = (*signal.scores, value)
        if head.place is Place.WAITING:
            run.unfile(instance, head)
            _receive(run, instance, head, signal)
            head.place = Place.MOVING
            head.pc += 1
        advance(run, instance, head)


def _receive(run: Run, instance: Instance, head: Head, signal: Signal) -> None:
    """Keep what the wait was for in the variables that want it."""
    instruction = instance.flow.code[head.pc]
    if isinstance(instruction, Started):
        source = signal.arguments.get("source_flow_instance_uid")
        known = isinstance(source, str) and source in run.state.instances
        reference = FlowRef(str(source) if known else head.waited[0])
        instance.locals[instruction.hidden] = reference
        if head.scope is not None:
            remember(instance, head.scope, "flow", reference.uid)
        if instruction.name:
            run.at(instance).write(instruction.name, reference)
    elif isinstance(instruction, Match) and instruction.name:
        run.at(instance).write(instruction.name, captured(signal))


# --- what nobody wanted ------------------------------------------------------------------------------------------


def _report_unhandled(run: Run, signal: Signal, handled: Handled | None, moves: Moves) -> None:
    """Queue an UnhandledEvent if in some loop nobody took the event, and if some flow may be interested."""
    if signal.unhandled is not None or signal.name == "UnhandledEvent":
        return
    if (handled is not None and handled.everywhere) or not run.wants_unhandled(signal.name):
        return
    loops = {instance.loop_id for instance, _, _ in moves}
    if handled is not None:
        loops |= handled.loops
    left = [loop for loop in run.state.loops if loop not in loops]
    if left:
        run.push(Signal("UnhandledEvent", {"&loops": left}, signal.scores, signal.flow_uid, None, signal))


def _name_loops(_: Run, signal: Signal) -> None:
    """Complete the arguments of an UnhandledEvent: those of the event, its name, and the loops."""
    original = signal.unhandled
    if original is not None:
        signal.arguments = {
            **original.arguments,
            "event": original.name,
            "loop_ids": set(signal.arguments["&loops"]),
        }
