"""What a statement sends, starts or waits for: specs to forms, and the checks on which verb may take which spec."""

from __future__ import annotations

from typing import NoReturn

from colang import tree
from colang.errors import ColangFlowError, ColangLoadError
from colang.expressions import compile_expression
from colang.instructions import ActionForm, CallArguments, EventForm, FlowForm, Form, MemberForm, Sole
from colang.tree import SpecKind

_NONE = CallArguments()


def refuse(spec: tree.Spec, message: str) -> NoReturn:
    """Say that a spec does not fit its verb.

    Raises:
        ColangFlowError: always, at the place of the spec.
    """
    raise ColangFlowError(message, spec.span)


def arguments(written: tree.Arguments | None) -> CallArguments:
    """Written arguments, compiled."""
    if written is None or not (written.positional or written.named):
        return _NONE
    positional = tuple(compile_expression(value) for value in written.positional)
    named = tuple((name, compile_expression(value)) for name, value in written.named)
    plain = tuple(
        (name, node.name if isinstance(node, tree.Variable) else None, compiled)
        for (name, node), (_, compiled) in zip(written.named, named, strict=True)
        if isinstance(node, (tree.Literal, tree.Variable))
    )
    first = written.positional[0] if len(written.positional) == 1 and not named else None
    return CallArguments(positional, named, plain, _sole(first))


def _sole(argument: tree.Expression | None) -> Sole | None:
    """What an argument hands on: `$x`, or `"some text {$x}"`."""
    if isinstance(argument, tree.Variable):
        return Sole(argument.name)
    if not isinstance(argument, tree.Text):
        return None
    written = [place for place, part in enumerate(argument.parts) if not isinstance(part, str)]
    variable = argument.parts[written[0]] if len(written) == 1 else None
    if not isinstance(variable, tree.Variable):
        return None
    texts = [part for part in argument.parts if isinstance(part, str)]
    return Sole(variable.name, "".join(texts[: written[0]]), "".join(texts[written[0] :]))


def is_startable(spec: tree.Spec) -> bool:
    """True for a flow or action without member access: something that can be started and awaited."""
    return spec.kind in {SpecKind.FLOW, SpecKind.ACTION} and not spec.members


def matched_form(spec: tree.Spec) -> Form:
    """The event that `match` waits for."""
    if spec.kind is SpecKind.EVENT:
        if spec.members:
            refuse(spec, f"the event {spec.name} has no members")
        return EventForm(spec.name, arguments(spec.arguments), _literal_text(spec.arguments, "event"))
    if not spec.members:
        refuse(
            spec, f"`match` waits for an event; write `{_shown(spec)}.Finished()`, or `await` without `match`"
        )
    return _member_form(spec)


def _literal_text(written: tree.Arguments, name: str) -> str | None:
    value = dict(written.named).get(name)
    return value.value if isinstance(value, tree.Literal) and isinstance(value.value, str) else None


def sent_form(spec: tree.Spec) -> Form:
    """The event that `send` emits; `XAction(…).Start()` is lowered by its caller."""
    if spec.kind is SpecKind.EVENT:
        return EventForm(spec.name, arguments(spec.arguments))
    if not spec.members:
        refuse(spec, f"`send` needs an event; write `{_shown(spec)}.Stop()` or use `start`")
    return _member_form(spec)


def _member_form(spec: tree.Spec) -> Form:
    *path, last = spec.members
    member_arguments = arguments(last.arguments)
    if spec.kind is SpecKind.REFERENCE:
        return MemberForm(spec.name, tuple(step.name for step in path), last.name, member_arguments)
    if path:
        refuse(spec, f"`{path[0].name}` is no event of {spec.name}")
    made = FlowForm if spec.kind is SpecKind.FLOW else ActionForm
    return made(spec.name, arguments(spec.arguments), last.name, member_arguments)


def _shown(spec: tree.Spec) -> str:
    return f"${spec.name}" if spec.kind is SpecKind.REFERENCE else spec.name


def conjunctions(group: tree.Group) -> list[list[tree.Spec]]:
    """The group as a disjunction of conjunctions; order and duplicates are kept.

    Raises:
        ColangLoadError: it has more than 256 conjunctions.
    """
    if isinstance(group, tree.Spec):
        return [[group]]
    if isinstance(group, tree.OrGroup):
        return [conjunction for item in group.items for conjunction in conjunctions(item)]
    product: list[list[tree.Spec]] = [[]]
    for item in group.items:
        parts = conjunctions(item)
        if len(product) * len(parts) > _MOST_CONJUNCTIONS:
            raise ColangLoadError("this group stands for more than 256 combinations", group.span)
        product = [[*left, *right] for left in product for right in parts]
    return product


_MOST_CONJUNCTIONS = 256
