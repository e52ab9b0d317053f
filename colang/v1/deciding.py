"""How Colang 1.0 decides: flows offer what to do next, and the best offer is the decision.

Flows under way look at an event first, then flows that it starts; every flow that reaches an acting element offers it,
and an offer is accepted if nothing better is recorded. Flows that the event did not fit are interrupted by the one that
decided, or dropped. When a flow completes, those that it interrupted go on.

A step has five parts, in this order; the headings below name them: A flows under way, B flows that begin, C what they
offer, D extensions, E resuming.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from colang.errors import ColangBudgetError, ColangNoFlowError
from colang.events import Event
from colang.expressions import Compiled, Scope
from colang.v1.elements import (
    Acting,
    Branch,
    CallFlow,
    Element,
    FlowCode,
    Jump,
    JumpUnless,
    RunAction,
    SetVariable,
    Utter,
    WaitBot,
    WaitEvent,
    WaitUser,
)
from colang.v1.kinds import same
from colang.v1.moves import Answer
from colang.v1.program import Program
from colang.v1.scope import Variables
from colang.v1.state import Instance, State, Status

KEPT_WEIGHT: Final = 0.9
"""How an offer counts that a flow makes again without having moved."""

SLIDE_BOUND: Final = 20_000
"""Elements that one step may execute."""

_LOOKED_AT = frozenset({"UserIntent", "BotIntent", "InternalSystemActionFinished"})
"""Events that every flow under way looks at."""


_ARGUMENT = re.compile(r"""\$?(?P<name>\w+)\s*=\s*(?P<text>"[^"]*"|'[^']*'|[^\s,()]+)""")
_NAME_END = re.compile(r"\s+\$|\(")


@dataclass(slots=True)
class Offer:
    """What a flow would do next."""

    instance: int
    flow: FlowCode
    element: Acting
    weight: float
    first_step: bool


@dataclass(slots=True)
class Work:
    """What one step works with. `path` grows by what it assigns and asks, in order."""

    program: Program
    state: State
    event: Event
    next: list[Instance] = field(default_factory=list)
    path: list[SetVariable | Answer] = field(default_factory=list)
    aborted: list[int] = field(default_factory=list)
    """Instances aborted in this step."""
    interrupted: list[int] = field(default_factory=list)
    extension_done: bool = False
    decision: Offer | None = None
    executed: int = 0
    scope: Variables = field(init=False)
    counter: int = field(init=False)
    """The highest uid given out."""

    def __post_init__(self) -> None:
        self.scope = Variables(self.state.variables, self.program.config, self.state.pending)
        self.counter = len(self.state.instances)

    def code(self, name: str) -> FlowCode:
        """The flow of a name: of the program, or generated in this conversation.

        Raises:
            ColangNoFlowError: there is none.
        """
        code = self.program.flows.get(name) or self.state.added.get(name)
        if code is None:
            raise ColangNoFlowError(f"there is no flow `{name}`")
        return code


def decide(work: Work) -> None:
    """Let the event of `work` be heard: `work.next` are then the flows under way, `work.decision` the best offer.

    Raises:
        ColangRuntimeError: an expression failed, or `do` names no flow; the state is then of no use.
        ColangBudgetError: a flow slides for ever.
    """
    _existing(work)
    _starting(work)
    _revive(work)
    _interrupt(work)
    _go_on(work)
    # Who decides may be an extension that goes on only now that the flows it called have ended.
    _suspend(work)
    resume(work)


# --- A: flows under way --------------------------------------------------------------------------------------------


def _existing(work: Work) -> None:
    for instance in work.state.instances:
        if instance.status is Status.INTERRUPTED:
            work.next.append(instance)
        else:
            _advance(work, instance)


def _advance(work: Work, instance: Instance) -> None:
    code = work.code(instance.flow)
    element = _element(code, instance.head)
    own = work.event.name in code.creates and isinstance(element, WaitEvent | Branch)
    if work.event.name not in _LOOKED_AT and not own:
        work.next.append(instance)
        if isinstance(element, Utter | RunAction):
            _offer(work, Offer(instance.uid, code, element, KEPT_WEIGHT, first_step=False))
        return
    head = _matching_head(work, code, instance.head)
    if head is not None:
        _continue(work, instance.at(head + 1), code, first_step=False)
    elif isinstance(element, Utter | RunAction) or not code.interruptible:
        work.aborted.append(instance.uid)
        work.next.append(instance.turned(Status.ABORTED))
    else:
        work.interrupted.append(instance.uid)
        work.next.append(instance.turned(Status.INTERRUPTED))


# --- B: flows that begin -------------------------------------------------------------------------------------------


def _starting(work: Work) -> None:
    present = {each.flow for each in work.next}
    for code in work.program.beginning_with(work.event.name, work.event.arguments):
        if code.allow_multiple or code.name not in present:
            slid = _slide(work, code, 0)
            head = (
                _matching_head(work, code, slid) if not isinstance(_element(code, slid), CallFlow) else None
            )
            if head is not None:
                begin(work, code, head + 1, first_step=True)


def begin(work: Work, code: FlowCode, head: int, *, first_step: bool) -> None:
    """Start a flow at `head`."""
    work.counter += 1
    _continue(work, Instance(work.counter, code.name, head), code, first_step=first_step)


def _continue(work: Work, instance: Instance, code: FlowCode, *, first_step: bool) -> None:
    """Slide an instance on from its head, into the flows that it calls, and offer what it stops at."""
    head = _slide(work, code, instance.head)
    element = _element(code, head)
    if element is None:
        work.extension_done = work.extension_done or code.is_extension
        work.next.append(instance.at(head).turned(Status.COMPLETED))
    elif isinstance(element, CallFlow):
        called = work.code(_called_name(work, element))
        work.counter += 1
        child = Instance(work.counter, called.name, 0)
        work.next.append(instance.at(head + 1).turned(Status.INTERRUPTED, child.uid))
        _continue(work, child, called, first_step=first_step)
    else:
        work.next.append(instance.at(head))
        if isinstance(element, Utter | RunAction):
            _offer(work, Offer(instance.uid, code, element, 1.0, first_step=first_step))


def _called_name(work: Work, element: CallFlow) -> str:
    if not element.name.startswith("$"):
        return element.name
    question = _Reference(element.name[1:])
    reference = question(work.scope)
    work.path.append(Answer(question, reference))
    return named_flow(work, reference)


@dataclass(frozen=True, slots=True)
class _Reference:
    """The text of a variable that names a flow."""

    variable: str

    def __call__(self, scope: Scope) -> str:
        return str(scope.read(self.variable))


def named_flow(work: Work, reference: str) -> str:
    """The name in `name $x=y` or `name(x=y)`; the arguments become variables."""
    name, arguments = arguments_in(work.program, reference)
    for argument, text in arguments.items():
        _assign(work, SetVariable(argument, _constant(text)))
    return name


def arguments_in(program: Program, reference: str) -> tuple[str, dict[str, str]]:
    """The name in `name $x=y` or `name(x=y)`, and the arguments."""
    if reference in program.flows:
        return reference, {}
    arguments = {
        argument.group("name"): argument.group("text").strip("\"'")
        for argument in _ARGUMENT.finditer(reference)
    }
    return _NAME_END.split(reference, maxsplit=1)[0].strip(), arguments


def _constant(text: str) -> Compiled:
    return lambda _: text


# --- C: offers -----------------------------------------------------------------------------------------------------


def _offer(work: Work, offer: Offer) -> None:
    """Record the offer if its flow's priority is above what is recorded."""
    recorded = work.decision
    if recorded is None or recorded.weight < offer.flow.priority:
        offer.weight *= offer.flow.priority
        work.decision = offer


# --- D and E: extensions, interruption, resuming -------------------------------------------------------------------


def _revive(work: Work) -> None:
    """Where an extension has ended, the flows aborted in this step go on; where one is under way, they wait for it."""
    if not work.extension_done:
        _suspend(work)
        return
    for place, instance in enumerate(work.next):
        if instance.uid in work.aborted:
            revived = instance.turned(Status.ACTIVE)
            work.next[place] = revived
            _offer_again(work, revived)
    work.aborted.clear()


def _suspend(work: Work) -> None:
    """Where an extension beyond its first step decides, the flows aborted in this step wait for it instead."""
    decided = work.decision
    if decided is None or not decided.flow.is_extension or decided.first_step:
        return
    for place, instance in enumerate(work.next):
        if instance.uid in work.aborted and work.code(instance.flow).interruptible:
            work.next[place] = instance.turned(Status.INTERRUPTED, decided.instance)
    work.aborted.clear()


def _interrupt(work: Work) -> None:
    """Flows that the event did not fit were interrupted by the one that decided."""
    by = work.decision.instance if work.decision else None
    for place, instance in enumerate(work.next):
        if instance.uid in work.interrupted:
            work.next[place] = instance.turned(Status.INTERRUPTED, by)


def resume(work: Work) -> None:
    """Let flows go on whose interrupters have ended, and drop those whose interrupters were dropped."""
    _go_on(work)
    moved = True
    while moved:
        moved = False
        aborted = {each.uid for each in work.next if each.status is Status.ABORTED}
        for place, instance in enumerate(work.next):
            if instance.status is Status.INTERRUPTED and instance.interrupted_by in aborted:
                work.next[place] = instance.turned(Status.ABORTED)
                moved = True


def _go_on(work: Work) -> None:
    """Let flows go on whose interrupters have completed."""
    while any(each.status is Status.INTERRUPTED for each in work.next):
        status = {each.uid: each.status for each in work.next}
        for place, instance in enumerate(work.next):
            if instance.status is not Status.INTERRUPTED:
                continue
            by = instance.interrupted_by
            if by is None or status.get(by, Status.COMPLETED) is Status.COMPLETED:
                del work.next[place]
                _insert(work, place, instance.turned(Status.ACTIVE))
                break
        else:
            return


def _insert(work: Work, place: int, instance: Instance) -> None:
    """Slide a resumed instance on, keeping its place in the order."""
    behind = work.next[place:]
    del work.next[place:]
    _continue(work, instance, work.code(instance.flow), first_step=False)
    work.next.extend(behind)


def _offer_again(work: Work, instance: Instance) -> None:
    code = work.code(instance.flow)
    element = _element(code, instance.head)
    if isinstance(element, Utter | RunAction):
        _offer(work, Offer(instance.uid, code, element, 1.0, first_step=False))


# --- elements ------------------------------------------------------------------------------------------------------


def _element(code: FlowCode, head: int) -> Element | None:
    return code.elements[head] if head < len(code.elements) else None


def _slide(work: Work, code: FlowCode, head: int) -> int:
    """Execute sliding elements from `head` on; the place of the first other one."""
    while (element := _element(code, head)) is not None:
        work.executed += 1
        if work.executed > SLIDE_BOUND:
            raise ColangBudgetError(f"flow `{code.name}` does not come to a stop")
        if isinstance(element, SetVariable):
            _assign(work, element)
            head += 1
        elif isinstance(element, Jump):
            head = element.target
        elif isinstance(element, JumpUnless):
            head = head + 1 if _holds(work, element) else element.target
        else:
            break
    return head


def _assign(work: Work, element: SetVariable) -> None:
    state = work.state
    state.variables[element.name] = state.pending[element.name] = element.value(work.scope)
    work.path.append(element)


def _holds(work: Work, element: JumpUnless) -> bool:
    answer = bool(element.condition(work.scope))
    work.path.append(Answer(element.condition, answer, element.variable))
    return answer


def _matching_head(work: Work, code: FlowCode, head: int) -> int | None:
    """The place of the element that the event fits: the one at `head`, or the last fitting branch."""
    element = _element(code, head)
    if isinstance(element, Branch):
        fitting = [target for target in element.targets if _fits(_element(code, target), work.event)]
        return fitting[-1] if fitting else None
    return head if _fits(element, work.event) else None


def _fits(element: Element | None, event: Event) -> bool:
    arguments = event.arguments
    if event.name == "UserIntent":
        return isinstance(element, WaitUser) and element.intent in {None, arguments.get("intent")}
    if event.name == "BotIntent":
        return isinstance(element, WaitBot) or (
            isinstance(element, Utter) and element.intent == arguments.get("intent")
        )
    if event.name == "InternalSystemActionFinished":
        return (
            isinstance(element, RunAction)
            and element.name == arguments.get("action_name")
            and arguments.get("status") == "success"
        )
    return (
        isinstance(element, WaitEvent) and element.type == event.name and same(element.properties, arguments)
    )
