"""Groups and `when`.

Every group is first a disjunction of conjunctions. A disjunction forks one head per conjunction. In its branch a
conjunction starts what has to be started, waits for all its members (each in a head of its own if there are
several), and reaches a `Merge`; whoever comes there first with the best score goes on. A failing branch goes to the
disjunction's `else`, where a `Collect` counts: when all have failed, the whole group has.

    OpenScope s                        only for `await … or …` and `when`
    Fork b1 b2
    b1: Handler failed
        <start the members> <wait for all of them>
        Merge
        CloseScope s
        <assign references> <body 1>
        Jump end
    b2: …
    failed: Collect 2
        CloseScope s
        <else body, or Fail>
    end:
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from colang import tree
from colang.instructions import (
    Call,
    Capture,
    CloseScope,
    Collect,
    Fail,
    Fork,
    Form,
    Handler,
    Jump,
    Match,
    MemberForm,
    Merge,
    NewAction,
    OpenScope,
    Send,
    Started,
)
from colang.instructions import CallArguments as Arguments
from colang.lowering.assembler import Assembler
from colang.lowering.specs import arguments, conjunctions, is_startable, matched_form, refuse, sent_form
from colang.source import Span
from colang.tree import SpecKind, Verb


@dataclass(frozen=True, slots=True)
class Branch:
    """One way through a disjunction: what it does, and what follows if it wins."""

    attempt: Callable[[], list[tuple[str, str]]]
    """Emits the conjunction; returns hidden variables and the names they are to be assigned to."""
    body: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Wait:
    """An event to wait for and the variable that receives it."""

    form: Form
    name: str | None
    span: Span


def lower_operation(assembler: Assembler, operation: tree.Operation) -> None:
    """A verb applied to a group, as a statement of its own."""
    parts = conjunctions(operation.group)
    emit = _CONJUNCTIONS[operation.verb]
    if len(parts) == 1:
        emit(assembler, parts[0], deferred=False)
        return
    deferred = operation.verb is Verb.AWAIT
    branches = [Branch(partial(emit, assembler, part, deferred=deferred), lambda: None) for part in parts]
    scope = assembler.hidden() if deferred else None
    lower_branches(assembler, branches, scope, operation.span)


def lower_when(
    assembler: Assembler, node: tree.When, lower_body: Callable[[Sequence[tree.Statement]], None]
) -> None:
    """Emit a `when`; `lower_body` emits the statements of a case that has won."""
    branches: list[Branch] = []
    for case in node.cases:
        body = _Once(assembler, partial(lower_body, case.body), case.span)
        branches += [
            Branch(partial(await_all, assembler, part, deferred=True), body)
            for part in conjunctions(case.group)
        ]
    otherwise = None if node.otherwise is None else lambda: lower_body(node.otherwise or ())
    lower_branches(assembler, branches, assembler.hidden(), node.span, otherwise)


class _Once:
    """A body that several branches share: emitted by the first, jumped to by the others."""

    def __init__(self, assembler: Assembler, lower: Callable[[], None], span: Span) -> None:
        self._assembler = assembler
        self._lower = lower
        self._span = span
        self._label: int | None = None

    def __call__(self) -> None:
        if self._label is None:
            self._label = self._assembler.label()
            self._assembler.place(self._label)
            self._lower()
        else:
            self._assembler.emit(Jump(self._label), self._span)


def lower_branches(
    assembler: Assembler,
    branches: Sequence[Branch],
    scope: str | None,
    span: Span,
    otherwise: Callable[[], None] | None = None,
) -> None:
    """Emit a disjunction as in the picture above: `otherwise` for what follows if all branches fail, else the flow does."""
    labels = [assembler.label() for _ in branches]
    failed, end = assembler.label(), assembler.label()
    if scope:
        assembler.emit(OpenScope(scope), span)
    assembler.emit(Fork(tuple(labels)), span)
    for label, branch in zip(labels, branches, strict=True):
        assembler.place(label)
        assembler.emit(Handler(failed), span)
        captures = branch.attempt()
        assembler.emit(Merge(), span)
        if scope:
            assembler.emit(CloseScope(scope), span)
        for hidden, name in captures:
            assembler.emit(Capture(hidden, name), span)
        branch.body()
        assembler.emit(Jump(end), span)
    assembler.place(failed)
    assembler.emit(Collect(len(branches)), span)
    if scope:
        assembler.emit(CloseScope(scope), span)
    if otherwise:
        otherwise()
    else:
        assembler.emit(Fail(), span)
    assembler.place(end)


# --- one conjunction, by verb ------------------------------------------------------------------------------------


def send_all(assembler: Assembler, specs: Sequence[tree.Spec], *, deferred: bool) -> list[tuple[str, str]]:
    """Emit events one after the other."""
    del deferred
    for spec in specs:
        if spec.kind is SpecKind.ACTION and spec.members:
            send_to_new_action(assembler, spec)
        else:
            assembler.emit(Send(sent_form(spec), spec.reference), spec.span)
    return []


def send_to_new_action(assembler: Assembler, spec: tree.Spec) -> None:
    """`send XAction(…).Start() as $e`."""
    hidden, member = assembler.hidden(), spec.members[-1]
    assembler.emit(NewAction(spec.name, arguments(spec.arguments), hidden, None), spec.span)
    form = MemberForm(hidden, (), member.name, arguments(member.arguments))
    assembler.emit(Send(form, spec.reference), spec.span)


def match_all(assembler: Assembler, specs: Sequence[tree.Spec], *, deferred: bool) -> list[tuple[str, str]]:
    """Wait for all events, in whatever order they come."""
    del deferred
    _wait_for_all(assembler, [Wait(matched_form(spec), spec.reference, spec.span) for spec in specs])
    return []


def start_all(assembler: Assembler, specs: Sequence[tree.Spec], *, deferred: bool) -> list[tuple[str, str]]:
    """Start flows and actions one after the other.

    Raises:
        ColangFlowError: one of them is an event.
    """
    del deferred
    for spec in specs:
        if not is_startable(spec):
            refuse(spec, "only a flow or an action can be started")
        start_one(assembler, spec, spec.reference)
    return []


def await_all(assembler: Assembler, specs: Sequence[tree.Spec], *, deferred: bool) -> list[tuple[str, str]]:
    """Start what can be started, wait for everything; `deferred` references are assigned by the caller."""
    waits: list[Wait] = []
    captures: list[tuple[str, str]] = []
    for spec in specs:
        name = spec.reference
        if deferred and name is not None:
            hidden = assembler.hidden()
            captures.append((hidden, name))
            name = hidden
        if is_startable(spec):
            waits.append(finished(start_one(assembler, spec, name), spec.span))
        else:
            waits.append(Wait(matched_form(spec), name, spec.span))
    _wait_for_all(assembler, waits)
    return captures


def await_only(assembler: Assembler, specs: Sequence[tree.Spec], *, deferred: bool) -> list[tuple[str, str]]:
    """As `await_all`, for statements that may not wait for events.

    Raises:
        ColangFlowError: one of them is an event.
    """
    for spec in specs:
        if not is_startable(spec):
            refuse(spec, "only a flow or an action can be awaited; wait for an event with `match`")
    return await_all(assembler, specs, deferred=deferred)


def start_one(assembler: Assembler, spec: tree.Spec, name: str | None) -> str:
    """Start a flow or action and go on when it has started; returns the hidden variable with its reference."""
    hidden = assembler.hidden()
    if spec.kind is SpecKind.FLOW:
        assembler.emit(Call(spec.name, arguments(spec.arguments), hidden), spec.span)
        assembler.emit(Started(hidden, name), spec.span)
    else:
        assembler.emit(NewAction(spec.name, arguments(spec.arguments), hidden, name), spec.span)
        assembler.emit(Send(MemberForm(hidden, (), "Start", Arguments())), spec.span)
    return hidden


def finished(hidden: str, span: Span, event: str | None = None) -> Wait:
    """The wait for the end of what a hidden variable refers to; `event` receives the end."""
    return Wait(MemberForm(hidden, (), "Finished", Arguments()), event, span)


def _wait_for_all(assembler: Assembler, waits: Sequence[Wait]) -> None:
    if len(waits) == 1:
        assembler.emit(Match(waits[0].form, waits[0].name), waits[0].span)
        return
    labels = [assembler.label() for _ in waits]
    together = assembler.label()
    assembler.emit(Fork(tuple(labels)), waits[0].span)
    for label, wait in zip(labels, waits, strict=True):
        assembler.place(label)
        assembler.emit(Match(wait.form, wait.name), wait.span)
        assembler.emit(Jump(together), wait.span)
    assembler.place(together)
    assembler.emit(Collect(len(waits)), waits[0].span)


_CONJUNCTIONS = {
    Verb.SEND: send_all,
    Verb.MATCH: match_all,
    Verb.START: start_all,
    Verb.AWAIT: await_only,
}
