"""Walking a tree without knowing every node: children in the order written."""

from __future__ import annotations

from collections.abc import Iterator

from colang.tree import Node


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below `node`, in the order in which their fields name them."""
    for name in type(node).__slots__:  # the fields of the node itself; its span is the base's
        yield from _nodes(getattr(node, name))


def walk(node: Node) -> Iterator[Node]:
    """`node` and everything below it, parents first."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(list(children(current))))


def bodies(statement: Node) -> Iterator[tuple[tuple[Node, ...], bool]]:
    """The bodies inside a statement, and whether it is a loop; both dialects call these fields the same."""
    own = getattr(statement, "body", None)
    if own is not None:
        yield own, True
    for name in ("branches", "cases"):
        yield from ((part.body, False) for part in getattr(statement, name, ()))
    otherwise = getattr(statement, "otherwise", None)
    if otherwise is not None:
        yield otherwise, False


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)
