"""How well a received value fits an expected one.

A score is a power of 0.9: one factor for each thing received that was not asked for. So a fit is its exponent, and
None is no fit at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colang.values import Comparison, Regex


def fit(expected: Any, received: Any) -> int | None:
    """The exponent for one value.

    Raises:
        ColangValueError: a comparison such as `less_than(3)` met a value of another type.
    """
    kind = type(expected)
    if kind is str:
        return 0 if expected == received else None
    matcher = _FITS.get(kind)
    if matcher:
        return matcher(expected, received)
    return 0 if isinstance(expected, type(received)) and expected == received else None


def _fit_regex(expected: Regex, received: Any) -> int | None:
    if isinstance(received, Regex):
        return 0 if expected == received else None
    if isinstance(received, (str, int, float)):
        return 0 if expected.search(str(received)) else None
    return None


def _fit_comparison(expected: Comparison, received: Any) -> int | None:
    if isinstance(received, Comparison):
        return 0 if expected == received else None
    return 0 if expected.accepts(received) else None


def _fit_list(expected: list[Any], received: Any) -> int | None:
    """Expected elements in order, gaps allowed."""
    if not isinstance(received, list):
        return None
    exponent = len(received) - len(expected)
    rest = iter(received)
    for item in expected:
        for candidate in rest:
            part = fit(item, candidate)
            if part is not None:
                exponent += part
                break
        else:
            return None
    return exponent


def _fit_dict(expected: dict[Any, Any], received: Any) -> int | None:
    """Every expected key with a fitting value."""
    if not isinstance(received, dict):
        return None
    exponent = len(received) - len(expected)
    for key, item in expected.items():
        if key not in received:
            return None
        part = fit(item, received[key])
        if part is None:
            return None
        exponent += part
    return exponent


def _fit_set(expected: set[Any], received: Any) -> int | None:
    """Every expected element fits some received one; what a set can hold fits whole or not at all."""
    if not isinstance(received, (set, frozenset)):
        return None
    for item in expected:
        fits = [fit(item, candidate) for candidate in received]
        if all(part is None for part in fits):
            return None
    # Two patterns may fit the same element.
    return max(0, len(received) - len(expected))


_FITS: Mapping[type, Callable[[Any, Any], int | None]] = {
    Regex: _fit_regex,
    Comparison: _fit_comparison,
    list: _fit_list,
    dict: _fit_dict,
    set: _fit_set,
}
