"""Statements: a table from node type to the function that emits its instructions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from colang import tree
from colang.errors import ColangFlowError
from colang.expressions import compile_expression
from colang.instructions import (
    Assign,
    Branch,
    Call,
    Deactivate,
    Fail,
    Global,
    Jump,
    Match,
    NewInstance,
    Priority,
    Result,
    Return,
    Say,
    Send,
    Started,
    Stop,
)
from colang.lowering.assembler import Assembler
from colang.lowering.groups import finished, lower_operation, lower_when, start_one
from colang.lowering.specs import arguments, conjunctions, is_startable, matched_form, refuse, sent_form
from colang.source import Span
from colang.tree import SpecKind, Verb


def lower_body(assembler: Assembler, statements: Iterable[tree.Statement]) -> None:
    """Emit statements in order."""
    for statement in statements:
        lower: Callable[[Assembler, Any], None] = _STATEMENTS[type(statement)]
        lower(assembler, statement)


# --- operations --------------------------------------------------------------------------------------------------


def _operation(assembler: Assembler, node: tree.Operation) -> None:
    special = _SPECIAL_VERBS.get(node.verb)
    if special is None:
        lower_operation(assembler, node)
        return
    for spec in _only_conjunction(node):
        special(assembler, spec)


def _only_conjunction(node: tree.Operation) -> Sequence[tree.Spec]:
    parts = conjunctions(node.group)
    if len(parts) > 1:
        raise ColangFlowError(f"`{node.verb.value}` does not accept `or`", node.span)
    return parts[0]


def _activate(assembler: Assembler, spec: tree.Spec) -> None:
    _require_flow(spec, "activated")
    hidden = assembler.hidden()
    assembler.emit(Call(spec.name, arguments(spec.arguments), hidden, activate=True), spec.span)
    assembler.emit(Started(hidden, spec.reference), spec.span)


def _deactivate(assembler: Assembler, spec: tree.Spec) -> None:
    _require_flow(spec, "deactivated")
    assembler.emit(Deactivate(spec.name, arguments(spec.arguments)), spec.span)


def _stop(assembler: Assembler, spec: tree.Spec) -> None:
    """`stop $reference` is `send $reference.Stop()`; `stop some flow` stops own children of that name."""
    if spec.kind is SpecKind.REFERENCE:
        member = tree.Member(name="Stop", arguments=None, span=spec.span)
        stopping = tree.Spec(
            kind=spec.kind,
            name=spec.name,
            arguments=spec.arguments,
            members=(*spec.members, member),
            span=spec.span,
        )
        assembler.emit(Send(sent_form(stopping)), spec.span)
    else:
        _require_flow(spec, "stopped by name")
        assembler.emit(Stop(spec.name, arguments(spec.arguments)), spec.span)


def _require_flow(spec: tree.Spec, participle: str) -> None:
    if spec.kind is not SpecKind.FLOW or spec.members:
        refuse(spec, f"only a flow can be {participle}")


_SPECIAL_VERBS: dict[Verb, Callable[[Assembler, tree.Spec], None]] = {
    Verb.ACTIVATE: _activate,
    Verb.DEACTIVATE: _deactivate,
    Verb.STOP: _stop,
}


# --- assignments -------------------------------------------------------------------------------------------------


def _assignment(assembler: Assembler, node: tree.Assignment) -> None:
    value = node.value
    if node.operator in _AUGMENTED:
        _augmented(assembler, node, _AUGMENTED[node.operator])
    elif isinstance(value, tree.Operation):
        _assign_operation(assembler, node.target, value)
    elif isinstance(value, tree.Instruction):
        _ask_model(assembler, node.target, value)
    else:
        assembler.emit(Assign(node.target, compile_expression(value)), node.span)


_AUGMENTED = {"+=": "+", "-=": "-"}


def _augmented(assembler: Assembler, node: tree.Assignment, operator: str) -> None:
    """`$n += 1` is `$n = $n + 1`; what a flow or the model is asked for goes to a hidden variable first."""
    value = node.value
    if isinstance(value, (tree.Operation, tree.Instruction)):
        hidden = assembler.hidden()
        _assignment(assembler, tree.Assignment(target=hidden, operator="=", value=value, span=node.span))
        value = tree.Variable(name=hidden, span=node.span)
    target = tree.Variable(name=node.target, span=node.span)
    result = tree.Binary(operator=operator, left=target, right=value, span=node.span)
    assembler.emit(Assign(node.target, compile_expression(result)), node.span)


def _assign_operation(assembler: Assembler, target: str, node: tree.Operation) -> None:
    parts = conjunctions(node.group)
    single = parts[0][0] if len(parts) == 1 and len(parts[0]) == 1 else None
    if single is None or node.verb not in {Verb.AWAIT, Verb.MATCH}:
        _operation(assembler, node)
    elif node.verb is Verb.MATCH:
        event = single.reference or assembler.hidden()
        assembler.emit(Match(matched_form(single), event), single.span)
        assembler.emit(Result(event, target), single.span)
    else:
        _assign_awaited(assembler, target, single)


def _assign_awaited(assembler: Assembler, target: str, spec: tree.Spec) -> None:
    if not is_startable(spec):
        refuse(spec, "only a flow or an action can be awaited; wait for an event with `match`")
    event = assembler.hidden()
    wait = finished(start_one(assembler, spec, spec.reference), spec.span, event)
    assembler.emit(Match(wait.form, wait.name), spec.span)
    assembler.emit(Result(event, target), spec.span)


def _ask_model(assembler: Assembler, target: str, node: tree.Instruction) -> None:
    """`$v = ..."text"` asks for a value with the action that the peer's programs know."""
    named = (("var_name", literal(target, node.span)), ("instructions", node.text))
    _assign_awaited(assembler, target, action("GenerateValueAction", named, node.span))


def literal(value: tree.Constant, span: Span) -> tree.Literal:
    """A constant as an expression, for statements that stand for others."""
    return tree.Literal(value=value, span=span)


def action(name: str, named: tuple[tuple[str, tree.Expression], ...], span: Span) -> tree.Spec:
    """An action with named arguments, for statements that stand for one."""
    return tree.Spec(
        kind=SpecKind.ACTION, name=name, arguments=tree.Arguments(named=named, span=span), span=span
    )


def _expand(assembler: Assembler, node: tree.Expand) -> None:
    """A lone `...`: have the rest of the flow written, add it, and run it with this flow's variables."""
    span, made = node.span, assembler.hidden()
    flow = (("flow_id", literal(assembler.flow_id, span)),)
    _assign_awaited(assembler, made, action("GenerateFlowAction", flow, span))
    written = tree.Variable(name=made, span=span)
    source = (("config", tree.Attribute(target=written, name="body", span=span)),)
    lower_operation(
        assembler, tree.Operation(verb=Verb.AWAIT, group=action("AddFlowsAction", source, span), span=span)
    )
    name = compile_expression(tree.Attribute(target=written, name="name", span=span))
    hidden = assembler.hidden()
    assembler.emit(Call("", arguments(None), hidden, shared=True, dynamic=name), span)
    assembler.emit(Started(hidden, None), span)
    wait = finished(hidden, span)
    assembler.emit(Match(wait.form), span)


# --- the small ones ----------------------------------------------------------------------------------------------


def _expression(assembler: Assembler, node: tree.ExpressionStatement) -> None:
    assembler.emit(Assign("_", compile_expression(node.value)), node.span)


def _return(assembler: Assembler, node: tree.Return) -> None:
    assembler.emit(Return(compile_expression(node.value) if node.value else None), node.span)


def _abort(assembler: Assembler, node: tree.Abort) -> None:
    assembler.emit(Fail(), node.span)


def _break(assembler: Assembler, node: tree.Break) -> None:
    if assembler.loops:
        assembler.emit(Jump(assembler.loops[-1][1]), node.span)


def _continue(assembler: Assembler, node: tree.Continue) -> None:
    if assembler.loops:
        assembler.emit(Jump(assembler.loops[-1][0]), node.span)


def _nothing(_: Assembler, __: tree.Statement) -> None:
    """`pass`, a docstring, and labels other than the special one."""


def _label(assembler: Assembler, node: tree.Label) -> None:
    if node.name == "start_new_flow_instance":
        assembler.emit(NewInstance(), node.span)


def _log(assembler: Assembler, node: tree.Log) -> None:
    assembler.emit(Say(compile_expression(node.value), printed=False), node.span)


def _print(assembler: Assembler, node: tree.Print) -> None:
    assembler.emit(Say(compile_expression(node.value), printed=True), node.span)


def _priority(assembler: Assembler, node: tree.Priority) -> None:
    assembler.emit(Priority(compile_expression(node.value)), node.span)


def _global(assembler: Assembler, node: tree.Global) -> None:
    assembler.emit(Global(node.name), node.span)


# --- control -----------------------------------------------------------------------------------------------------


def _if(assembler: Assembler, node: tree.If) -> None:
    end = assembler.label()
    for branch in node.branches:
        following = assembler.label()
        assembler.emit(Branch(compile_expression(branch.test), following), branch.span)
        lower_body(assembler, branch.body)
        assembler.emit(Jump(end), branch.span)
        assembler.place(following)
    lower_body(assembler, node.otherwise or ())
    assembler.place(end)


def _while(assembler: Assembler, node: tree.While) -> None:
    test, end = assembler.label(), assembler.label()
    assembler.place(test)
    assembler.emit(Branch(compile_expression(node.test), end), node.span)
    assembler.loops.append((test, end))
    lower_body(assembler, node.body)
    assembler.loops.pop()
    assembler.emit(Jump(test), node.span)
    assembler.place(end)


def _when(assembler: Assembler, node: tree.When) -> None:
    lower_when(assembler, node, lambda body: lower_body(assembler, body))


_STATEMENTS: dict[type, Callable[[Assembler, Any], None]] = {
    tree.Operation: _operation,
    tree.Assignment: _assignment,
    tree.ExpressionStatement: _expression,
    tree.Return: _return,
    tree.Abort: _abort,
    tree.Break: _break,
    tree.Continue: _continue,
    tree.Pass: _nothing,
    tree.Label: _label,
    tree.Log: _log,
    tree.Print: _print,
    tree.Priority: _priority,
    tree.Global: _global,
    tree.Expand: _expand,
    tree.TextStatement: _nothing,
    tree.If: _if,
    tree.While: _while,
    tree.When: _when,
}
