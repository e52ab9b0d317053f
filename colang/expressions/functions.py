"""The built-in functions of Colang 2.x: a name in call position comes from this table or is an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from colang import limits, regex
from colang.errors import ColangValueError
from colang.expressions.operators import check_size, to_text
from colang.expressions.scope import Scope
from colang.values import Comparison, FlowRef, Regex, type_name

Function = Callable[..., Any]


def as_regex(pattern: Regex | str) -> Regex:
    """A pattern that may still be a text.

    Raises:
        ColangValueError: the text is no pattern, or not one that runs in linear time.
    """
    return pattern if isinstance(pattern, Regex) else Regex(pattern)


def search(_: Scope, pattern: Regex | str, text: str) -> bool:
    """`search(pattern, text)`: True if the pattern occurs anywhere in the text."""
    return as_regex(pattern).search(text)


def find_all(_: Scope, pattern: Regex | str, text: str) -> list[Any]:
    """`find_all(pattern, text)`: see `Regex.find_all`."""
    return as_regex(pattern).find_all(text)


def pretty_text(_: Scope, value: Any) -> str:
    """Containers as indented JSON, anything else as text."""
    if not isinstance(value, (dict, list, set, tuple)):
        return to_text(value)
    check_size(value)
    # Indentation can make far more of a value than it holds, so it is counted while it is written.
    size, pieces = 0, []
    for piece in _PRETTY.iterencode(value):
        size += len(piece)
        limits.check_text(size)
        pieces.append(piece)
    return "".join(pieces)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (set, tuple)) else str(value)


_PRETTY = json.JSONEncoder(indent=4, ensure_ascii=False, default=_plain)


def as_list(_: Scope, value: Any = ()) -> list[Any]:
    """`list(value)` of anything that can be gone through; at most `limits.MAX_ITEMS` elements."""
    limits.check_items(len(value))
    return list(value)


def as_int(_: Scope, value: Any = 0, base: int = 10) -> int:
    """`int(value)`, for a text with its base; at most `limits.MAX_BITS` wide."""
    result = int(value, base) if isinstance(value, str) else int(value)
    limits.check_bits(result.bit_length())
    return result


def random_below(scope: Scope, count: int) -> int:
    """A whole number in [0, count)."""
    if count <= 0:
        raise ColangValueError(f"randint() needs a positive number, not {count}")
    return min(int(scope.random() * count), count - 1)


def flows_info(scope: Scope, instance: FlowRef | str | None = None) -> Any:
    """`flows_info()` of one instance, or of all by uid."""
    return scope.flows_info(instance.uid if isinstance(instance, FlowRef) else instance)


def comparison(name: str) -> Function:
    """`less_than(3)` and its like: the function that makes a `Comparison` of this operator."""

    def make(_: Scope, limit: float) -> Comparison:
        if not isinstance(limit, (int, float)):
            raise ColangValueError(f"{name}() compares numbers, not {type_name(limit)}")
        return Comparison(name, limit)

    return make


def flow_defined(scope: Scope, name: str) -> bool:
    """True if a flow of this name could be started."""
    return scope.flow_defined(name)


def within(scope: Scope, name: str) -> bool:
    """True if a flow of this name is among those that this flow was started by, directly or not."""
    return scope.within(name)


def escape(_: Scope, text: str) -> str:
    """Quotes and backslashes with a backslash before them, as they would stand in a string of a program."""
    limits.check_text(2 * len(text))
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")


def length(_: Scope, value: Any) -> int:
    """`len(value)`."""
    return len(value)


FUNCTIONS: dict[str, Function] = {
    "len": length,
    "list": as_list,
    "int": as_int,
    "float": lambda _, value=0.0: float(value),
    "str": lambda _, value="": to_text(value),
    "rand": lambda scope: scope.random(),
    "randint": random_below,
    "uid": lambda scope: scope.uid(),
    "type": lambda _, value: type_name(value),
    "is_int": lambda _, value: isinstance(value, int),
    "is_float": lambda _, value: isinstance(value, float),
    "is_bool": lambda _, value: isinstance(value, bool),
    "is_str": lambda _, value: isinstance(value, str),
    "is_regex": lambda _, value: isinstance(value, Regex),
    "regex": lambda _, pattern: Regex(pattern),
    "search": search,
    "find_all": find_all,
    "escape": escape,
    "escape_regex": lambda _, text: regex.escape(text),
    "pretty_str": pretty_text,
    "flows_info": flows_info,
    "flow_defined": flow_defined,
    "within": within,
    "less_than": comparison("less_than"),
    "equal_less_than": comparison("equal_less_than"),
    "greater_than": comparison("greater_than"),
    "equal_greater_than": comparison("equal_greater_than"),
    "not_equal_to": comparison("not_equal_to"),
}
