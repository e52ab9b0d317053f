"""The methods of text, lists, dicts, sets and numbers that a program may call.

An allow-list per type. Left out on purpose: `str.format` and `format_map` (they reach into objects), `encode` and
`maketrans` (bytes and tables are no Colang values). Methods that change their target say so, because a changed
container must first be separated from other forks of the state.
"""

from __future__ import annotations

from typing import Any

from colang import limits
from colang.errors import ColangValueError
from colang.expressions.operators import check_size
from colang.values import type_name

_TEXT = frozenset(
    [
        "capitalize",
        "casefold",
        "center",
        "count",
        "endswith",
        "expandtabs",
        "find",
        "index",
        "isalnum",
        "isalpha",
        "isascii",
        "isdecimal",
        "isdigit",
        "isidentifier",
        "islower",
        "isnumeric",
        "isprintable",
        "isspace",
        "istitle",
        "isupper",
        "join",
        "ljust",
        "lower",
        "lstrip",
        "partition",
        "removeprefix",
        "removesuffix",
        "replace",
        "rfind",
        "rindex",
        "rjust",
        "rpartition",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "startswith",
        "strip",
        "swapcase",
        "title",
        "upper",
        "zfill",
    ]
)
_READING: dict[type, frozenset[str]] = {
    str: _TEXT,
    list: frozenset({"index", "count", "copy"}),
    tuple: frozenset({"index", "count"}),
    dict: frozenset({"get", "keys", "values", "items", "copy"}),
    set: frozenset(
        [
            "union",
            "intersection",
            "difference",
            "symmetric_difference",
            "issubset",
            "issuperset",
            "isdisjoint",
            "copy",
        ]
    ),
    int: frozenset({"bit_length", "bit_count"}),
    float: frozenset({"is_integer"}),
}
_CHANGING: dict[type, frozenset[str]] = {
    list: frozenset(["append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"]),
    dict: frozenset(["update", "pop", "popitem", "setdefault", "clear"]),
    set: frozenset(
        [
            "add",
            "remove",
            "discard",
            "pop",
            "clear",
            "update",
            "intersection_update",
            "difference_update",
            "symmetric_difference_update",
        ]
    ),
}
_WIDTH = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})
_ADDING = frozenset({"extend", "update"})
_COMPARING = frozenset({"index", "count", "remove", "sort"})


def changes(target: Any, method: str) -> bool:
    """True if the call would change `target` in place.

    Raises:
        ColangValueError: there is no such method here.
    """
    kind = type(target)
    if method in _CHANGING.get(kind, ()):
        return True
    if method in _READING.get(kind, ()):
        return False
    raise ColangValueError(f"a value of type {type_name(target)} has no method '{method}'")


def call(target: Any, method: str, arguments: list[Any], named: dict[str, Any]) -> Any:
    """Call an allowed method, bounded before and after."""
    _check_before(target, method, arguments)
    result = getattr(target, method)(*arguments, **named)
    if isinstance(target, (list, dict, set)):
        limits.check_items(len(target))
    return _plain(result)


def _check_before(target: Any, method: str, arguments: list[Any]) -> None:
    if method in _WIDTH and arguments:
        limits.check_text(
            len(target) * max(int(arguments[0]), 1) if method == "expandtabs" else int(arguments[0])
        )
    elif method == "replace" and len(arguments) >= 2:
        limits.check_text(len(target) + target.count(arguments[0]) * len(arguments[1]))
    elif method == "join" and arguments:
        limits.check_text(sum(len(part) for part in arguments[0]) + len(target) * len(arguments[0]))
    elif method in _ADDING and arguments:
        limits.check_items(len(target) + len(arguments[0]))
    elif method in _COMPARING:
        check_size(target)


def _plain(result: Any) -> Any:
    """Views become lists, so that a state holds plain data only; big results are refused."""
    if isinstance(result, (str, list, tuple, dict, set)):
        size = len(result)
        if isinstance(result, str):
            limits.check_text(size)
        else:
            limits.check_items(size)
        return result
    if hasattr(result, "mapping"):
        return list(result)
    return result
