"""Statements, flows and files as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from colang import tree
from colang.format.expressions import format_expression
from colang.format.groups import format_group, needs_verb
from colang.format.strings import escaped, long_quoted

_INDENT = "  "
_EMPTY = "# nothing"
_EXCLUDE = "# meta: exclude from llm"
_MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\Z")


def format_file(file: tree.File) -> str:
    """A whole file: imports first, then the flows with a blank line before each."""
    head = [_EXCLUDE] if any(flow.excluded for flow in file.flows) else []
    head += [_import(entry) for entry in file.imports]
    blocks = ["\n".join(head), *(format_flow(flow) for flow in file.flows)]
    return "\n\n".join(block.rstrip("\n") for block in blocks if block) + "\n"


def format_flow(flow: tree.Flow) -> str:
    """One flow with its decorators."""
    lines = [_decorator(decorator) for decorator in flow.decorators]
    members = f" -> {', '.join(_parameter(member) for member in flow.members)}" if flow.members else ""
    parameters = [_parameter(parameter) for parameter in flow.parameters]
    if parameters and flow.name.split()[-1] == "as":
        lines.append(f"flow {flow.name}({', '.join(parameters)}){members}")
    else:
        lines.append(" ".join(["flow", flow.name, *parameters]) + members)
    lines += _body(flow.body)
    return "\n".join(lines) + "\n"


def _import(entry: tree.Import) -> str:
    path = entry.path if _MODULE.match(entry.path) else f'"{escaped(entry.path, chr(34))}"'
    return f"import {path}"


def _parameter(parameter: tree.Parameter) -> str:
    default = f"={format_expression(parameter.default)}" if parameter.default is not None else ""
    return f"${parameter.name}{default}"


def _decorator(decorator: tree.Decorator) -> str:
    positional = [_constant(value) for value in decorator.positional]
    named = [f"{name}={_constant(value)}" for name, value in decorator.named]
    arguments = ", ".join(positional + named)
    return f"@{decorator.name}({arguments})" if arguments else f"@{decorator.name}"


def _constant(value: tree.Constant) -> str:
    return f'"{escaped(value, chr(34))}"' if isinstance(value, str) else repr(value)


def _body(body: tuple[tree.Statement, ...]) -> Iterator[str]:
    for line in [line for statement in body for line in _lines(statement)] or [_EMPTY]:
        # Lines of a long string are its content and keep their place.
        yield _INDENT + line


def _lines(statement: tree.Statement) -> Iterator[str]:
    if isinstance(statement, tree.If):
        for index, branch in enumerate(statement.branches):
            yield f"{'elif' if index else 'if'} {format_expression(branch.test)}"
            yield from _body(branch.body)
        yield from _otherwise(statement.otherwise)
    elif isinstance(statement, tree.When):
        for index, case in enumerate(statement.cases):
            yield f"{'or when' if index else 'when'} {format_group(case.group)}"
            yield from _body(case.body)
        yield from _otherwise(statement.otherwise)
    elif isinstance(statement, tree.While):
        yield f"while {format_expression(statement.test)}"
        yield from _body(statement.body)
    else:
        yield _WRITERS[type(statement)](statement)


def _otherwise(body: tuple[tree.Statement, ...] | None) -> Iterator[str]:
    if body is not None:
        yield "else"
        yield from _body(body)


def _operation(statement: tree.Operation) -> str:
    group = format_group(statement.group)
    if statement.verb is tree.Verb.AWAIT and not needs_verb(statement.group):
        return group
    return f"{statement.verb.value} {group}"


def _assignment(statement: tree.Assignment) -> str:
    value = statement.value
    if isinstance(value, tree.Operation):
        return f"${statement.target} {statement.operator} {value.verb.value} {format_group(value.group)}"
    return f"${statement.target} {statement.operator} {format_expression(value)}"


def _return(statement: tree.Return) -> str:
    return f"return {format_expression(statement.value)}" if statement.value is not None else "return"


_WRITERS: Mapping[type[tree.Node], Callable[..., str]] = {
    tree.Operation: _operation,
    tree.Assignment: _assignment,
    tree.ExpressionStatement: lambda statement: f"({format_expression(statement.value)})",
    tree.Return: _return,
    tree.Abort: lambda _: "abort",
    tree.Break: lambda _: "break",
    tree.Continue: lambda _: "continue",
    tree.Pass: lambda _: "pass",
    tree.Label: lambda statement: f"{statement.name}:",
    tree.Log: lambda statement: f"log {format_expression(statement.value)}",
    tree.Print: lambda statement: f"print {format_expression(statement.value)}",
    tree.Priority: lambda statement: f"priority {format_expression(statement.value)}",
    tree.Global: lambda statement: f"global ${statement.name}",
    tree.Expand: lambda _: "...",
    tree.TextStatement: lambda statement: long_quoted(statement.text),
}
