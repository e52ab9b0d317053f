"""Expression trees to closures, once, when a flow is lowered.

Only the node types in the table below can be evaluated. Python's own exceptions (a missing key, a division by zero)
become `ColangValueError` with the place in the source; that is the error a flow fails with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colang import limits, tree
from colang.errors import ColangRuntimeError, ColangValueError
from colang.expressions import methods
from colang.expressions.functions import FUNCTIONS
from colang.expressions.operators import BINARY, COMPARISON, UNARY, Operation, to_text, weight
from colang.expressions.scope import Compiled, Scope
from colang.values import ActionRef, EventRef, FlowRef, StateRef, Status, SystemRef

_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
_CHARGED = 1000
"""Results, and pairs to compare, up to this size are not worth accounting for."""


def compile_expression(node: tree.Expression) -> Compiled:
    """A function from the surroundings to the value; it raises ColangValueError."""
    inner = _build(node)
    if isinstance(node, (tree.Literal, tree.Variable)):
        return inner
    guarded = _guarded(inner, node)
    if isinstance(node, tree.Attribute) and isinstance(node.target, tree.Variable):
        return _key(node.target.name, node.name, guarded)
    return guarded


def _guarded(inner: Compiled, node: tree.Expression) -> Compiled:
    span = node.span

    def guarded(scope: Scope) -> Any:
        try:
            return inner(scope)
        except ColangRuntimeError:
            raise
        except _FAULTS as error:
            raise ColangValueError(f"Error evaluating an expression at {span}: {_describe(error)}") from None

    return guarded


def _key(variable: str, name: str, otherwise: Compiled) -> Compiled:
    """`$variable.name`, which nearly always is a key of a dict: that cannot fail."""
    if name.startswith("_"):
        return otherwise

    def read(scope: Scope) -> Any:
        value = scope.read(variable)
        return value.get(name) if type(value) is dict else otherwise(scope)

    return read


def _describe(error: Exception) -> str:
    return f"no entry {error}" if isinstance(error, KeyError) else str(error)


def _build(node: tree.Expression) -> Compiled:
    builder: Callable[[Any], Compiled] = _BUILDERS[type(node)]
    return builder(node)


def _literal(node: tree.Literal) -> Compiled:
    value = node.value
    return lambda _: value


def _text(node: tree.Text) -> Compiled:
    parts = tuple(part if isinstance(part, str) else _build(part) for part in node.parts)

    def join(scope: Scope) -> str:
        text = "".join([part if isinstance(part, str) else to_text(part(scope)) for part in parts])
        return _checked_text(scope, text)

    return join


def _checked_text(scope: Scope, text: str) -> str:
    if len(text) > _CHARGED:
        limits.check_text(len(text))
        scope.charge(len(text))
    return text


def _instruction(node: tree.Instruction) -> Compiled:
    span = node.span

    def refuse(_: Scope) -> Any:
        raise ColangValueError(
            f"{span}: a natural-language instruction can only be the whole right side of `=`"
        )

    return refuse


def _variable(node: tree.Variable) -> Compiled:
    name = node.name
    return lambda scope: scope.read(name)


def _list(node: tree.ListDisplay) -> Compiled:
    items = tuple(_build(item) for item in node.items)
    return lambda scope: [item(scope) for item in items]


def _set(node: tree.SetDisplay) -> Compiled:
    items = tuple(_build(item) for item in node.items)
    return lambda scope: {item(scope) for item in items}


def _dict(node: tree.DictDisplay) -> Compiled:
    items = tuple((_build(key), _build(value)) for key, value in node.items)
    return lambda scope: {key(scope): value(scope) for key, value in items}


def _unary(node: tree.Unary) -> Compiled:
    operation, operand = UNARY[node.operator], _build(node.operand)
    return lambda scope: operation(operand(scope))


def _binary(node: tree.Binary) -> Compiled:
    operation = BINARY.get(node.operator)
    left, right = _build(node.left), _build(node.right)
    if operation is None:
        raise ColangValueError(f"{node.span}: the operator `{node.operator}` cannot be evaluated")
    calculate = operation

    def evaluate(scope: Scope) -> Any:
        return _charged(scope, calculate(left(scope), right(scope)))

    return evaluate


def _charged(scope: Scope, value: Any) -> Any:
    if type(value) is int:
        return value
    if isinstance(value, (str, list, tuple, dict, set)) and len(value) > _CHARGED:
        scope.charge(len(value))
    return value


def _comparison(node: tree.Comparison) -> Compiled:
    operands = tuple(_build(operand) for operand in node.operands)
    operations = tuple(COMPARISON.get(operator, _not_comparable) for operator in node.operators)
    if len(operations) == 1:
        operation, (left, right) = operations[0], operands
        return lambda scope: _compared(scope, operation, left(scope), right(scope))

    def chain(scope: Scope) -> Any:
        left = operands[0](scope)
        for operation, operand in zip(operations, operands[1:], strict=True):
            right = operand(scope)
            if not _compared(scope, operation, left, right):
                return False
            left = right
        return True

    return chain


def _compared(scope: Scope, operation: Operation, left: Any, right: Any) -> Any:
    """One comparison; what it has to read is bounded, and counts as what a step makes does."""
    if left is not None and right is not None:
        read = weight(left) + weight(right)
        if read > _CHARGED:
            scope.charge(read)
    return operation(left, right)


def _not_comparable(_: Any, __: Any) -> Any:
    raise ColangValueError("the operator `<>` cannot be evaluated; write `!=`")


def _boolean(node: tree.Boolean) -> Compiled:
    operands = tuple(_build(operand) for operand in node.operands)
    stops_at = node.operator == "or"

    def evaluate(scope: Scope) -> Any:
        value = None
        for operand in operands:
            value = operand(scope)
            if bool(value) is stops_at:
                return value
        return value

    return evaluate


def _conditional(node: tree.Conditional) -> Compiled:
    test, then, otherwise = _build(node.test), _build(node.then), _build(node.otherwise)
    return lambda scope: then(scope) if test(scope) else otherwise(scope)


def _attribute(node: tree.Attribute) -> Compiled:
    target, name = _build(node.target), node.name
    if name.startswith("_"):
        return _refused(f"{node.span}: attributes that start with `_` cannot be read")

    def read(scope: Scope) -> Any:
        value = target(scope)
        return value.get(name) if type(value) is dict else read_attribute(scope, value, name)

    return read


def _refused(message: str) -> Compiled:
    def refuse(_: Scope) -> Any:
        raise ColangValueError(message)

    return refuse


def read_attribute(scope: Scope, target: Any, name: str) -> Any:
    """`target.name`: a key of a dict, or a listed field of a runtime object."""
    if isinstance(target, dict):
        return target.get(name)
    if isinstance(target, (FlowRef, ActionRef, SystemRef, StateRef)):
        return scope.attribute(target, name)
    if isinstance(target, EventRef):
        return _event_attribute(target, name)
    if isinstance(target, Status) and name in {"value", "name"}:
        return target.value if name == "value" else target.value.upper()
    raise AttributeError(f"Attribute '{name}' does not exist")


def _event_attribute(event: EventRef, name: str) -> Any:
    # An argument that is called `name` is read as `$event.arguments["name"]`.
    if name == "name":
        return event.name
    if name == "arguments":
        return dict(event.arguments)
    if name in event.arguments:
        return event.arguments[name]
    if name == "flow" and event.flow_uid:
        return FlowRef(event.flow_uid)
    if name in {"action", "action_uid"} and event.action_uid:
        return ActionRef(event.action_uid) if name == "action" else event.action_uid
    raise AttributeError(f"Attribute '{name}' does not exist")


def _index(node: tree.Index) -> Compiled:
    target, index = _build(node.target), _build(node.index)
    return lambda scope: target(scope)[index(scope)]


def _slice(node: tree.Slice) -> Compiled:
    target = _build(node.target)
    bounds = tuple(_build(bound) if bound else None for bound in (node.start, node.stop, node.step))
    return lambda scope: target(scope)[slice(*[bound(scope) if bound else None for bound in bounds])]


def _call(node: tree.Call) -> Compiled:
    name = node.function
    function = FUNCTIONS.get(name)
    positional, named = _arguments(node.arguments)
    if function is None:
        return _unknown_function(name)
    called = function
    if len(positional) == 1 and not named:
        only = positional[0]
        return lambda scope: _charged(scope, called(scope, only(scope)))

    def evaluate(scope: Scope) -> Any:
        result = called(scope, *[value(scope) for value in positional], **{k: v(scope) for k, v in named})
        return _charged(scope, result)

    return evaluate


def _unknown_function(name: str) -> Compiled:
    def refuse(_: Scope) -> Any:
        raise ColangValueError(f"Function '{name}' not defined")

    return refuse


def _method(node: tree.MethodCall) -> Compiled:
    target, method = _build(node.target), node.method
    positional, named = _arguments(node.arguments)

    def evaluate(scope: Scope) -> Any:
        receiver = target(scope)
        if methods.changes(receiver, method):
            receiver = scope.unshare(receiver)
        result = methods.call(
            receiver, method, [value(scope) for value in positional], {k: v(scope) for k, v in named}
        )
        return _charged(scope, result)

    return evaluate


Bound = tuple[tuple[Compiled, ...], tuple[tuple[str, Compiled], ...]]


def _arguments(arguments: tree.Arguments) -> Bound:
    positional = tuple(_build(value) for value in arguments.positional)
    return positional, tuple((name, _build(value)) for name, value in arguments.named)


_BUILDERS: dict[type, Callable[[Any], Compiled]] = {
    tree.Literal: _literal,
    tree.Text: _text,
    tree.Instruction: _instruction,
    tree.Variable: _variable,
    tree.ListDisplay: _list,
    tree.SetDisplay: _set,
    tree.DictDisplay: _dict,
    tree.Unary: _unary,
    tree.Binary: _binary,
    tree.Comparison: _comparison,
    tree.Boolean: _boolean,
    tree.Conditional: _conditional,
    tree.Attribute: _attribute,
    tree.Index: _index,
    tree.Slice: _slice,
    tree.Call: _call,
    tree.MethodCall: _method,
}
