"""What the debugger sees of a conversation: the flows of its program, and their instances."""

from __future__ import annotations

from collections.abc import Iterator

import colang
from app.cli.chat.inspect import FlowRow, FlowSnapshot, InstanceRow


def snapshot_of(program: colang.Program, state: colang.State | None) -> FlowSnapshot:
    """The flows of `program`, and those that run in `state`; none run before the first turn."""
    infos = colang.flows(program, state) if state is not None else program.flows
    running = tuple(_instances(program, state)) if state is not None else ()
    return FlowSnapshot(tuple(_flow(info) for info in infos.values()), running)


def place(span: colang.Span) -> str:
    """`folder/file.co:line:column`: enough to find it, short enough for a table."""
    return "/".join(str(span).replace("\\", "/").split("/")[-2:])


def _flow(info: colang.FlowInfo) -> FlowRow:
    loop, priority = _loop(info)
    return FlowRow(info.name, loop, priority, info.parameters, place(info.span))


def _loop(info: colang.FlowInfo) -> tuple[str, float]:
    """The interaction loop that `@loop(…)` names, and its priority; a flow without one runs in its parent's."""
    for decorator in info.tree.decorators:
        if decorator.name == "loop":
            named = dict(decorator.named)
            priority = named.get("priority") or (decorator.positional[1:] or (0,))[0]
            name = named.get("id") or (decorator.positional or ("parent",))[0]
            return str(name), float(str(priority))
    return "parent", 0.0


def _instances(program: colang.Program, state: colang.State) -> Iterator[InstanceRow]:
    for view in colang.instances(program, state):
        named = {name: value for name, value in view.arguments.items() if not name.startswith("$")}
        variables = colang.locals_of(state, view.uid)
        yield InstanceRow(
            uid=view.uid,
            flow=view.flow,
            parent=view.parent,
            status=view.status,
            arguments=named,
            variables={name: value for name, value in variables.items() if name not in named},
            activated=view.activated,
            waits=tuple(place(span) for span in view.waiting),
        )
