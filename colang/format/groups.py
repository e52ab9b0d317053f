"""Specs and groups as text."""

from __future__ import annotations

from colang import tree
from colang.format.expressions import format_arguments, format_expression

_STATEMENT_WORDS = frozenset(
    [
        "return",
        "abort",
        "break",
        "continue",
        "pass",
        "log",
        "print",
        "priority",
        "global",
        "if",
        "elif",
        "else",
        "while",
        "when",
        "or",
        "and",
        "not",
        "flow",
        "import",
    ]
)


def format_group(group: tree.Group) -> str:
    """A group as source, with the parentheses that it needs."""
    if isinstance(group, tree.Spec):
        return format_spec(group)
    word = " and " if isinstance(group, tree.AndGroup) else " or "
    return word.join(_item(item, group) for item in group.items)


def _item(item: tree.Group, group: tree.AndGroup | tree.OrGroup) -> str:
    binds = isinstance(item, tree.Spec) or (
        isinstance(item, tree.AndGroup) and isinstance(group, tree.OrGroup)
    )
    return format_group(item) if binds else f"({format_group(item)})"


def needs_verb(group: tree.Group) -> bool:
    """True if the group would read as something else without a verb in front of it."""
    while not isinstance(group, tree.Spec):
        first = group.items[0]
        if isinstance(first, tree.OrGroup) or type(first) is type(group):
            return True
        group = first
    return group.kind is tree.SpecKind.REFERENCE or group.name.split()[0] in _STATEMENT_WORDS


def format_spec(spec: tree.Spec) -> str:
    """A spec as source."""
    if spec.kind is tree.SpecKind.REFERENCE:
        head = f"${spec.name}"
    elif spec.members or not _are_simple(spec):
        head = spec.name + _in_parentheses(spec)
    else:
        head = " ".join((spec.name, *_simple(spec.arguments)))
    members = "".join(
        f".{member.name}{format_arguments(member.arguments) if member.arguments is not None else ''}"
        for member in spec.members
    )
    return f"{head}{members}{f' as ${spec.reference}' if spec.reference else ''}"


def _in_parentheses(spec: tree.Spec) -> str:
    """Events and actions have parentheses even with nothing in them, unless members follow."""
    if spec.arguments.positional or spec.arguments.named:
        return format_arguments(spec.arguments)
    return "" if spec.members or spec.kind is tree.SpecKind.FLOW else "()"


def _are_simple(spec: tree.Spec) -> bool:
    """True for a flow whose arguments can stand behind it with blanks between; `name as $x` would be a capture."""
    if spec.kind is not tree.SpecKind.FLOW or spec.name.endswith(" as") or spec.name == "as":
        return False
    values = [*spec.arguments.positional, *(value for _, value in spec.arguments.named)]
    return all(_is_simple(value) for value in values)


def _is_simple(value: tree.Expression) -> bool:
    if isinstance(value, tree.Attribute):
        return isinstance(value.target, tree.Variable | tree.Attribute) and _is_simple(value.target)
    return isinstance(value, tree.Literal | tree.Text | tree.Variable)


def _simple(arguments: tree.Arguments) -> list[str]:
    positional = [format_expression(value) for value in arguments.positional]
    return positional + [f"${name}={format_expression(value)}" for name, value in arguments.named]
