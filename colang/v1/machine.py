"""The machine of Colang 1.0: one event is one step, and one step makes one decision.

`deciding` works out what an event leads to, `moves` remembers it: a step that was made before is made again without
being worked out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from colang.events import Command, Event, Send
from colang.v1.creation import CREATE, CREATED, Create, Creating, creation_of
from colang.v1.deciding import Offer, Work, begin, decide, named_flow, resume
from colang.v1.definitions import flow_of_body
from colang.v1.elements import STOP, Acting, FlowCode, RunAction, Utter
from colang.v1.kinds import Kind
from colang.v1.moves import End, Standing, recall
from colang.v1.program import Program
from colang.v1.state import Instance, State, Status, numbered

INSTANCE_BOUND: Final = 200
"""Flows under way: beyond it the oldest of those that may run several times at once are forgotten."""

_TELLING: Final = frozenset({"UserMessage", "StartUtteranceBotAction"})
"""Events from which variables follow."""

_MEANING_MORE: Final = _TELLING | {"StartInternalSystemAction", "ContextUpdate", "start_flow", "BotIntent"}
"""Events that are more than something for flows to look at."""

_ALIVE = frozenset({Status.ACTIVE, Status.INTERRUPTED})
_FINISHED: Final = "InternalSystemActionFinished"
_CREATED: Final = (_FINISHED, CREATE, True)
"""The kind of `CREATED`."""


def step(program: Program, state: State, event: Event) -> list[Command]:
    """Advance by one event, and decide.

    The decision is a `ContextUpdate` with what was assigned, then at most one `BotIntent` or
    `StartInternalSystemAction`.

    Raises:
        ColangSyntaxError: the body of a flow to start is none.
        ColangRuntimeError: an expression failed, or `do` names no flow; the state is then of no use.
        ColangBudgetError: a flow slides for ever.
    """
    decision = hear(program, state, event.name, event.arguments)
    commands: list[Command] = []
    if state.pending:
        commands.append(Send(Event("ContextUpdate", {"data": dict(state.pending)})))
    if decision is not None:
        commands.append(decision)
    return commands


def hear(program: Program, state: State, name: str, arguments: Mapping[str, Any]) -> Send | None:
    """As `step`, but the decision alone: what was assigned stands in `state.pending` until a `ContextUpdate`.

    Raises:
        as `step`.
    """
    if name in _MEANING_MORE or "type" not in arguments:
        if name == "StartInternalSystemAction":
            return None
        if name == "ContextUpdate":
            state.variables.update(arguments.get("data") or {})
            state.pending.clear()
            return None
        _note(state, name, arguments)
        if name == "start_flow" and arguments.get("flow_body"):
            code = flow_of_body(str(arguments.get("flow_id")), str(arguments["flow_body"]))
            return start_flow(program, state, code)
        if name == "BotIntent" and arguments.get("intent") == STOP:
            state.forget_flows()
            return None
    else:
        state.variables["event"] = arguments
    return _heard(program, state, name, arguments, program.kinds.of(name, arguments))


def create_all(program: Program, state: State, decision: Send | None, create: Create) -> Send | None:
    """Where an event is to be created, create it, let it be heard, and so on: the first decision to do something else.

    It is as if each event had been heard on its own (`hear`), but that nothing is told of assignments.

    Raises:
        as `step`.
    """
    variables = state.variables
    state.pending.clear()
    while isinstance(decision, Creating):
        creation = decision.creation
        event = create(creation)
        if event is None:
            break
        variables["event"] = CREATED
        way = state.standing.ways.get(_CREATED) if not state.added else None
        if way is not None and way.straight is not None:
            state.standing = way.straight.standing
        else:
            _heard(program, state, _FINISHED, CREATED, _CREATED)
        name = creation.type
        if name in _TELLING:
            _note(state, name, event)
        else:
            variables["event"] = event
        decision = _heard(program, state, name, event, creation.kind)
        state.pending.clear()
    return decision


def _heard(
    program: Program, state: State, name: str, arguments: Mapping[str, Any], kind: Kind
) -> Send | None:
    """The decision that an event leads to: remembered, or worked out and from now on remembered."""
    before = state.standing
    if before.owner is not program.moves:
        before = state.standing = program.moves.standing(before.instances)
    # What a generated flow does is not worth remembering: it is there once.
    way = before.ways.get(kind) if not state.added else None
    if way is not None:
        end = way.straight or recall(way, state, program.config)
        if end is not None:
            state.standing = end.standing
            return end.decision
    return _worked_out(program, state, Event(name, arguments), kind)


def _worked_out(program: Program, state: State, event: Event, kind: Kind) -> Send | None:
    before, work, remembered = state.standing, Work(program, state, event), not state.added
    decide(work)
    end = _end_of(work)
    if remembered:
        program.moves.learn(before, kind, work.path, end)
    state.standing = end.standing
    return end.decision


def start_flow(program: Program, state: State, code: FlowCode) -> Send | None:
    """Add a generated flow and start it at its first element; what it decides, as `hear`.

    Raises:
        as `step`.
    """
    state.added[code.name] = code
    work = Work(program, state, Event("start_flow", {"flow_id": code.name}))
    work.next = list(state.instances)
    begin(work, code, 0, first_step=True)
    return _settled(work)


def call_flow(program: Program, state: State, reference: str) -> Send | None:
    """Start a flow by reference, as `do` does; what it decides, as `hear`.

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


def _settled(work: Work) -> Send | None:
    resume(work)
    end = _end_of(work)
    work.state.standing = end.standing
    return end.decision


def _note(state: State, name: str, arguments: Mapping[str, Any]) -> None:
    """The variables that follow from events."""
    if name == "UserMessage":
        state.variables["last_user_message"] = arguments.get("text")
    elif name == "StartUtteranceBotAction":
        state.variables["last_bot_message"] = arguments.get("script")
    state.variables["event"] = arguments if "type" in arguments else {"type": name, **arguments}


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
    return End(standing, _decided(work.decision, work.program) if work.decision else None)


def _decided(offer: Offer, program: Program) -> Send:
    element, event = offer.element, _event_of(offer.element)
    creation = creation_of(element, program.kinds) if isinstance(element, RunAction) else None
    if creation is None:
        return Send(event, offer.flow.name)
    return Creating(event, offer.flow.name, creation=creation)


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
