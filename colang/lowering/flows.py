"""A flow's tree to its code."""

from __future__ import annotations

from colang import tree
from colang.errors import ColangLoadError
from colang.expressions import Compiled, compile_expression
from colang.instructions import FlowCode, Fork, Parameter
from colang.lowering.assembler import Assembler
from colang.lowering.statements import lower_body
from colang.v2 import parse_template

HISTORY_TAGS = ("user_intent", "bot_intent", "user_action", "bot_action")


def lower_flow(flow: tree.Flow) -> FlowCode:
    """The code of `flow`.

    Raises:
        ColangLoadError: a statement is not allowed as it is written (`match` on a flow, `activate a or b`).
    """
    assembler = Assembler(flow.name)
    lower_body(assembler, flow.body)
    code, spans = assembler.finish()
    decorators = {decorator.name: decorator for decorator in flow.decorators}
    loop_id, loop_priority = _loop(decorators.get("loop"))
    return FlowCode(
        flow_id=flow.name,
        span=flow.span,
        parameters=tuple(_parameter(parameter) for parameter in flow.parameters),
        members=tuple(_parameter(member) for member in flow.members),
        code=code,
        spans=spans,
        loop_id=loop_id,
        loop_priority=loop_priority,
        active="active" in decorators,
        tags=_tags(meta_of(flow)),
        meta=tuple(meta_of(flow).items()),
        forks=any(isinstance(instruction, Fork) for instruction in code),
    )


def meta_of(flow: tree.Flow) -> dict[str, tree.Constant]:
    """The `@meta(…)` arguments of a flow, of all its decorator lines."""
    return {
        name: value
        for decorator in flow.decorators
        if decorator.name == "meta"
        for name, value in decorator.named
    }


def docstring_of(flow: tree.Flow) -> str | None:
    """The text that a flow begins with; None where it begins with something else."""
    first = flow.body[0] if flow.body else None
    return first.text if isinstance(first, tree.TextStatement) else None


def _parameter(parameter: tree.Parameter) -> Parameter:
    default = compile_expression(parameter.default) if parameter.default else None
    return Parameter(parameter.name, default)


def _loop(decorator: tree.Decorator | None) -> tuple[str | None, int]:
    """The name and the priority of a flow's loop; without a name the flow runs in the loop of its parent."""
    if decorator is None:
        return None, 0
    named = dict(decorator.named)
    values = decorator.positional
    loop_id = values[0] if values else named.get("id")
    if type(loop_id) is int:
        loop_id = str(loop_id)
    priority = values[1] if len(values) > 1 else named.get("priority", 0)
    if not isinstance(loop_id, str | None) or not isinstance(priority, int):
        raise ColangLoadError('write `@loop("name")` or `@loop("name", 5)`', decorator.span)
    return loop_id, priority


def _tags(meta: dict[str, tree.Constant]) -> tuple[tuple[str, Compiled | None], ...]:
    """For each history tag its text, or None where the flow's name is to be logged."""
    tags: list[tuple[str, Compiled | None]] = []
    for name in HISTORY_TAGS:
        value = meta.get(name)
        if isinstance(value, str):
            tags.append((name, compile_expression(parse_template(value))))
        elif value:
            tags.append((name, None))
    return tuple(tags)
