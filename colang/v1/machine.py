"""The machine of Colang 1.0: one event is one step, and one step makes one decision.

`deciding` works out what an event leads to, `moves` remembers it: a step that was made before is made again without
being worked out.
"""

from __future__ import annotations

from typing import Final

from colang.events import Command, Event, Send
from colang.v1.deciding import Work, begin, decide, named_flow, resume
from colang.v1.definitions import flow_of_body
from colang.v1.elements import STOP, Acting, FlowCode, Utter
from colang.v1.moves import End, Standing, recall
from colang.v1.program import Program
from colang.v1.state import Instance, State, Status, numbered

INSTANCE_BOUND: Final = 200
"""Flows under way: beyond it the oldest of those that may run several times at once are forgotten."""

_ALIVE = frozenset({Status.ACTIVE, Status.INTERRUPTED})


def step(program: Program, state: State, event: Event) -> list[Command]:
    """Advance by one event, and decide.

    The decision is a `ContextUpdate` with what was assigned, then at most one `BotIntent` or
    `StartInternalSystemAction`.

    Raises:
        ColangSyntaxError: the body of a flow to start is none.
        ColangRuntimeError: an expression failed, or `do` names no flow; the state is then of no use.
        ColangBudgetError: a flow slides for ever.
    """
    if event.name == "StartInternalSystemAction":
        return []
    if event.name == "ContextUpdate":
        state.variables.update(event.arguments.get("data") or {})
        state.pending.clear()
        return []
    _note(state, event)
    if event.name == "start_flow" and event.arguments.get("flow_body"):
        name, body = str(event.arguments.get("flow_id")), str(event.arguments["flow_body"])
        return start_flow(program, state, flow_of_body(name, body))
    if event.name == "BotIntent" and event.arguments.get("intent") == STOP:
        state.forget_flows()
        return []
    return _decided(state, _heard(program, state, event))


def _heard(program: Program, state: State, event: Event) -> End[Instance]:
    """What an event leads to: remembered, or worked out and from now on remembered."""
    if state.standing.owner is not program.moves:
        state.standing = program.moves.standing(state.instances)
    before, kind = state.standing, program.kinds.of(event)
    # What a generated flow does is not worth remembering: it is there once.
    end = recall(before, kind, state, program.config) if not state.added else None
    if end is None:
        remembered = not state.added
        work = Work(program, state, event)
        decide(work)
        end = _end_of(work)
        if remembered:
            program.moves.learn(before, kind, work.path, end)
    state.standing = end.standing
    return end


def start_flow(program: Program, state: State, code: FlowCode) -> list[Command]:
    """Add a generated flow and start it at its first element.

    Raises:
        as `step`.
    """
    state.added[code.name] = code
    work = Work(program, state, Event("start_flow", {"flow_id": code.name}))
    work.next = list(state.instances)
    begin(work, code, 0, first_step=True)
    return _settled(work)


def call_flow(program: Program, state: State, reference: str) -> list[Command]:
    """Start a flow by reference, as `do` does.

    Raises:
        as `step`.
    """
    work = Work(program, state, Event("start_flow", {"flow_id": reference}))
    work.next = list(state.instances)
    begin(work, work.code(named_flow(work, reference)), 0, first_step=True)
    return _settled(work)


def end_flow(state: State, name: str) -> None:
    """Forget a flow under way and the flows that it called; with the next step its caller goes on."""
    ended = {each.uid for each in state.instances if each.flow == name}
    for each in state.instances:  # a called flow stands behind its caller
        if each.uid in ended and each.interrupted_by is not None:
            ended.add(each.interrupted_by)
    state.standing = Standing(numbered([each for each in state.instances if each.uid not in ended]))


def _settled(work: Work) -> list[Command]:
    resume(work)
    end = _end_of(work)
    work.state.standing = end.standing
    return _decided(work.state, end)


def _note(state: State, event: Event) -> None:
    """The variables that follow from events."""
    if event.name == "UserMessage":
        state.variables["last_user_message"] = event.arguments.get("text")
    elif event.name == "StartUtteranceBotAction":
        state.variables["last_bot_message"] = event.arguments.get("script")
    whole = "type" in event.arguments
    state.variables["event"] = event.arguments if whole else {"type": event.name, **event.arguments}


def _end_of(work: Work) -> End[Instance]:
    """What is still under way, within bounds, and the decision."""
    alive = [each for each in work.next if each.status in _ALIVE]
    for oldest in alive[: max(0, len(alive) - INSTANCE_BOUND)]:
        if work.code(oldest.flow).allow_multiple:
            alive.remove(oldest)
    if work.state.added:
        names = {each.flow for each in alive}
        work.state.added = {name: code for name, code in work.state.added.items() if name in names}
    standing = work.program.moves.standing(numbered(alive))
    offer = work.decision
    return End(standing, Send(_event_of(offer.element), offer.flow.name) if offer else None)


def _decided(state: State, end: End[Instance]) -> list[Command]:
    commands: list[Command] = []
    if state.pending:
        commands.append(Send(Event("ContextUpdate", {"data": dict(state.pending)})))
    if end.decision is not None:
        commands.append(end.decision)
    return commands


def _event_of(element: Acting) -> Event:
    if isinstance(element, Utter):
        instructions = {"instructions": element.instructions} if element.instructions else {}
        return Event("BotIntent", {"intent": element.intent, **instructions})
    arguments = {
        "action_name": element.name,
        "action_params": element.arguments,
        "action_result_key": element.result,
    }
    return Event("StartInternalSystemAction", arguments)
