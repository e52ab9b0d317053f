"""The operators, with Python's meaning and with bounds on what they may produce."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from colang import limits
from colang.errors import ColangValueError

Operation = Callable[[Any, Any], Any]
_SIZED = (str, list, tuple)
_WIDEST = 999
_UNBOUNDED = re.compile(r"%(?:\([^()]*\))?[^a-zA-Z%(]*(?:\*|\d{4,})|%\([^)]*\(")
"""In a format: a width of more than three digits or from an argument; or a key too odd to look behind."""


def add(left: Any, right: Any) -> Any:
    """`+`, checked before two texts or lists are joined."""
    if isinstance(left, str) and isinstance(right, str):
        limits.check_text(len(left) + len(right))
    elif isinstance(left, list) and isinstance(right, list):
        limits.check_items(len(left) + len(right))
    return _bounded(left + right)


def multiply(left: Any, right: Any) -> Any:
    """`*`, checked before a text or list is repeated."""
    if isinstance(left, _SIZED) and isinstance(right, int):
        _check_repetition(left, right)
    elif isinstance(right, _SIZED) and isinstance(left, int):
        _check_repetition(right, left)
    return _bounded(left * right)


def power(left: Any, right: Any) -> Any:
    """`**`, checked before a whole number is raised."""
    if isinstance(left, int) and isinstance(right, int):
        limits.check_bits(left.bit_length() * max(right, 0))
    return left**right


def shift_left(left: Any, right: Any) -> Any:
    """`<<` by at most `limits.MAX_BITS`."""
    limits.check_bits(right)
    return _bounded(left << right)


def modulo(left: Any, right: Any) -> Any:
    """Remainder; for text the classic formatting, whose widths have three digits at most."""
    if not isinstance(left, str):
        return left % right
    if _UNBOUNDED.search(left):
        raise ColangValueError("a format width of more than three digits is not allowed")
    # A key may be named any number of times, and each time it stands for all of its value.
    times = left.count("%")
    limits.check_text(len(left) + times * _WIDEST + _text_size(right) * (times if type(right) is dict else 1))
    result = left % right
    limits.check_text(len(result))
    return result


def union(left: Any, right: Any) -> Any:
    """`|` of sets, dicts or whole numbers."""
    result = left | right
    if isinstance(result, (set, dict)):
        limits.check_items(len(result))
    return result


def _check_repetition(value: str | list[Any] | tuple[Any, ...], times: int) -> None:
    size = len(value) * max(times, 0)
    if isinstance(value, str):
        limits.check_text(size)
    else:
        limits.check_items(size)


def _bounded(value: Any) -> Any:
    if type(value) is int:
        limits.check_bits(value.bit_length())
    return value


def identical(left: Any, right: Any) -> bool:
    """`is`: the same object, or the same atom."""
    return left is right or (
        type(left) is type(right) and isinstance(left, (int, float, str)) and left == right
    )


def weight(value: Any) -> int:
    """How much there is to read in a value: the characters of a text, the atoms of a collection, 1 for all else.

    Raises:
        ColangValueError: it is too large to be walked as a tree.
    """
    return len(value) if isinstance(value, str) else check_size(value)


def check_size(value: Any) -> int:
    """The number of atoms in `value` with shared parts counted each time; an error if there are too many.

    Nested references to one list can describe far more than they hold, so anything that walks a value as a tree
    (comparing, printing, sending) checks this first.
    """
    if not isinstance(value, (list, tuple, set, dict)):
        return 1
    count = 0
    pending = [value]
    while pending:
        container = pending.pop()
        count += len(container)
        limits.check_items(count)
        members = container.values() if isinstance(container, dict) else container
        pending.extend(member for member in members if isinstance(member, (list, tuple, dict)))
    return count


def to_text(value: Any) -> str:
    """`str(value)`, bounded."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, set, dict)):
        limits.check_text(_text_size(value))
    return str(value)


def _text_size(value: Any) -> int:
    check_size(value)
    size = 0
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            size += len(item) + 2
        elif isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, (list, tuple, set)):
            pending.extend(item)
        else:
            size += 8
        limits.check_text(size)
    return size


BINARY: dict[str, Operation] = {
    "+": add,
    "-": operator.sub,
    "*": multiply,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": modulo,
    "**": power,
    "<<": shift_left,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": union,
    "^": operator.xor,
}

UNARY: dict[str, Callable[[Any], Any]] = {
    "-": operator.neg,
    "+": operator.pos,
    "~": operator.invert,
    "not": operator.not_,
}

COMPARISON: dict[str, Operation] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
    "is": identical,
    "is not": lambda left, right: not identical(left, right),
}
