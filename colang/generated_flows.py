"""Flows that a model wrote: what they may not do, found before they are added to a conversation.

A model writes what it was asked for, and what others have talked it into. Its flows may speak, listen, call flows and
actions; they may not steer flows behind the scenes, change the program, or touch what the library keeps for itself, so
that none of them can talk past a rail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from colang import tree
from colang.errors import ColangSyntaxError
from colang.source import Source
from colang.v2 import parse
from colang.walk import children, walk

CHANGING = frozenset({"AddFlowsAction", "RemoveFlowsAction", "RailsSideBySideAction"})
"""Actions that change the program, or are the engine's own."""


def trespass(text: str, internal: Collection[str], kept: Collection[str]) -> str | None:
    """What a source does that flows written by a model may not, in words; None for nothing, and where it cannot be read.

    `internal` are the events by which flows steer each other, `kept` the global variables that rails go by; those that
    begin with `_` are kept anyway.
    """
    try:
        flows = parse(Source("<written by a model>", text)).flows
    except ColangSyntaxError:
        return None
    return next((fault for flow in flows for fault in _faults(flow, internal, kept)), None)


def texts_beside(text: str, speaking: Collection[str]) -> list[str]:
    """The texts in a source written by a model that it does not give to one of the flows `speaking`, in their order.

    It may show them, send them or put them in print; what it only waits for is left out. None where it cannot be read.
    """
    try:
        flows = parse(Source("<written by a model>", text)).flows
    except ColangSyntaxError:
        return []
    return [found for flow in flows for statement in flow.body for found in _texts(statement, speaking)]


def _texts(node: tree.Node, speaking: Collection[str]) -> Iterator[str]:
    is_said = isinstance(node, tree.Spec) and node.kind is tree.SpecKind.FLOW and node.name in speaking
    if is_said or (isinstance(node, tree.Operation) and node.verb is tree.Verb.MATCH):
        return
    if isinstance(node, tree.Literal) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, tree.Text):
        yield from (part for part in node.parts if isinstance(part, str))
    for child in children(node):
        yield from _texts(child, speaking)


def _faults(flow: tree.Flow, internal: Collection[str], kept: Collection[str]) -> Iterator[str]:
    if flow.name.endswith(" rails"):
        yield f"defines `flow {flow.name}`"
    for node in walk(flow):
        if isinstance(node, tree.Global) and (node.name.startswith("_") or node.name in kept):
            yield f"uses `global ${node.name}`"
        elif isinstance(node, tree.Spec):
            if node.name.startswith("_") and node.kind is tree.SpecKind.FLOW:
                yield f"calls `{node.name}`"
            if node.name in CHANGING:
                yield f"calls `{node.name}`"
        elif isinstance(node, tree.Operation) and node.verb is tree.Verb.SEND:
            yield from (f"sends `{name}`" for name in _names(node) if name in internal)


def _names(operation: tree.Operation) -> Iterator[str]:
    return (node.name for node in walk(operation) if isinstance(node, tree.Spec))
