"""The debugger's answers: which flows exist, which run, who started whom, and what they wait for.

It reads a snapshot of the state, never the state itself, so what it prints is testable without an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ACTIVE: Final = {"waiting", "starting", "started"}


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A flow as defined."""

    name: str
    loop: str
    priority: float
    parameters: tuple[str, ...]
    source: str
    """`file:line:column`."""


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """A running or finished instance of a flow."""

    uid: str
    flow: str
    parent: str | None
    status: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    activated: bool = False
    waits: tuple[str, ...] = ()
    """Where its heads stand, as `file:line:column`."""

    @property
    def active(self) -> bool:
        """True unless it has finished or failed."""
        return self.status in ACTIVE

    @property
    def short_uid(self) -> str:
        """Enough of the uid to tell instances apart: the first five characters behind the flow's name."""
        return self.uid.rpartition(")")[2][:5]


@dataclass(frozen=True, slots=True)
class FlowSnapshot:
    """All flows of a program and their instances, parents before children."""

    flows: tuple[FlowRow, ...] = ()
    instances: tuple[InstanceRow, ...] = ()

    def of(self, flow: str) -> list[InstanceRow]:
        """The instances of a flow that are active."""
        return [instance for instance in self.instances if instance.flow == flow and instance.active]


def answer(question: str, snapshot: FlowSnapshot) -> str:
    """The text for `flows …`, `flow …` or `tree …`."""
    word, *rest = question.split()
    options = {part for part in rest if part.startswith("--")}
    subject = " ".join(part for part in rest if not part.startswith("--"))
    if unknown := options - OPTIONS[word]:
        return f"!{word} has no option {', '.join(sorted(unknown))}; see !help."
    return ANSWERS[word](snapshot, subject, options)


def _flows(snapshot: FlowSnapshot, _: str, options: set[str]) -> str:
    rows = [flow for flow in snapshot.flows if "--all" in options or snapshot.of(flow.name)]
    if "--order-by-name" in options:
        rows.sort(key=lambda flow: flow.name)
    else:
        rows.sort(key=lambda flow: (-flow.priority, flow.loop, flow.name))
    table = [("Flow", "Loop", "Priority", "Instances", "Source")]
    table += [
        (flow.name, flow.loop, f"{flow.priority:g}", _uids(snapshot.of(flow.name)), flow.source)
        for flow in rows
    ]
    return _table(table) if rows else "No flow is active."


def _uids(instances: Sequence[InstanceRow]) -> str:
    return ",".join(instance.short_uid for instance in instances)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _flow(snapshot: FlowSnapshot, subject: str, _: set[str]) -> str:
    if not subject:
        return "Which one? !flow NAME or !flow UID"
    for flow in snapshot.flows:
        if flow.name == subject:
            return "\n".join([*_definition(flow), *(_line(i) for i in snapshot.of(flow.name))])
    found = [i for i in snapshot.instances if i.uid == subject or i.short_uid == subject[:5]]
    return "\n".join(_instance(found[0])) if found else f"Flow '{subject}' does not exist."


def _definition(flow: FlowRow) -> Iterable[str]:
    yield f"flow {' '.join([flow.name, *(f'${name}' for name in flow.parameters)])}"
    yield f"  defined at  {flow.source}"
    yield f"  loop        {flow.loop}, priority {flow.priority:g}"


def _line(instance: InstanceRow) -> str:
    return f"  instance    {instance.short_uid}  {instance.status}{_waits(instance)}"


def _waits(instance: InstanceRow) -> str:
    return f", waits at {', '.join(instance.waits)}" if instance.waits else ""


def _instance(instance: InstanceRow) -> Iterable[str]:
    yield f"{instance.flow} ({instance.uid})"
    yield f"  status      {instance.status}{', activated' if instance.activated else ''}{_waits(instance)}"
    yield f"  parent      {instance.parent or 'none'}"
    for title, values in (("arguments", instance.arguments), ("variables", instance.variables)):
        for name, value in values.items():
            yield f"  {title:<11} ${name} = {value!r}"


def _tree(snapshot: FlowSnapshot, _: str, options: set[str]) -> str:
    shown = [i for i in snapshot.instances if "--all" in options or i.active]
    known = {instance.uid for instance in shown}
    children: dict[str | None, list[InstanceRow]] = {}
    for instance in shown:
        children.setdefault(instance.parent if instance.parent in known else None, []).append(instance)
    lines = [line for root in children.get(None, []) for line in _branch(root, children, "", "")]
    return "\n".join(lines) or "No flow is active."


def _branch(
    instance: InstanceRow, children: Mapping[str | None, list[InstanceRow]], head: str, tail: str
) -> Iterable[str]:
    """The lines of one subtree; `head` stands before its first line, `tail` before those below it."""
    yield f"{head}{_caption(instance)}"
    below = children.get(instance.uid, [])
    for child in below:
        last = child is below[-1]
        mark = "" if child.activated else "> "
        yield from _branch(
            child,
            children,
            f"{tail}{'└── ' if last else '├── '}{mark}",
            f"{tail}{'    ' if last else '│   '}",
        )


def _caption(instance: InstanceRow) -> str:
    arguments = "".join(f" `{value}`" for value in instance.arguments.values())
    return f"{instance.flow}{arguments} ({instance.short_uid}, {instance.status})"


ANSWERS: Final[Mapping[str, Callable[[FlowSnapshot, str, set[str]], str]]] = {
    "flow": _flow,
    "flows": _flows,
    "tree": _tree,
}
OPTIONS: Final[Mapping[str, set[str]]] = {
    "flow": set(),
    "flows": {"--all", "--order-by-name"},
    "tree": {"--all"},
}
