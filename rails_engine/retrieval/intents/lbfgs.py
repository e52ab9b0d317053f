"""Limited-memory BFGS: minimise a smooth function of many variables.

Nocedal and Wright, "Numerical Optimization" (2006), algorithms 7.4 (two-loop recursion) and 3.1 (backtracking to the
Armijo condition). For convex functions, such as the losses here, the curvature of each accepted step is positive; a
pair where rounding says otherwise is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Point: TypeAlias = NDArray[np.float32]
Objective: TypeAlias = Callable[[Point], tuple[float, Point]]

_MEMORY = 10
_ARMIJO = 1e-4
_HALVINGS = 20


def minimise(objective: Objective, start: Point, steps: int, tolerance: float) -> Point:
    """A point where a step no longer lowers `objective` (value and gradient) by the relative `tolerance`.

    At most `steps` steps are taken; the best point so far is returned in any case.
    """
    point = start
    value, gradient = objective(point)
    pairs: deque[tuple[Point, Point, float]] = deque(maxlen=_MEMORY)
    for _ in range(steps):
        direction = _direction(gradient, pairs)
        slope = float(direction @ gradient)
        if slope >= 0:
            break
        length = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(gradient).sum() + 1e-12))
        found = _line_search(objective, point, direction, _Line(value, slope, length))
        if found is None:
            break
        new_point, new_value, new_gradient = found
        moved, turned = new_point - point, new_gradient - gradient
        curvature = float(moved @ turned)
        if curvature > 1e-12:
            pairs.append((moved, turned, 1 / curvature))
        gain = value - new_value
        point, value, gradient = new_point, new_value, new_gradient
        if gain <= tolerance * max(abs(value), 1e-12):
            break
    return point


class _Line:
    """Where a line search begins: the value and slope there, and the first length to try."""

    def __init__(self, value: float, slope: float, length: float) -> None:
        self.value = value
        self.slope = slope
        self.length = length


def _line_search(
    objective: Objective, point: Point, direction: Point, line: _Line
) -> tuple[Point, float, Point] | None:
    length = line.length
    for _ in range(_HALVINGS):
        candidate = point + np.float32(length) * direction
        value, gradient = objective(candidate)
        if value <= line.value + _ARMIJO * length * line.slope:
            return candidate, value, gradient
        length /= 2
    return None


def _direction(gradient: Point, pairs: deque[tuple[Point, Point, float]]) -> Point:
    """Minus the inverse Hessian, as far as the pairs tell it, times the gradient."""
    rest = gradient.copy()
    weights = []
    for moved, turned, inverse in reversed(pairs):
        weight = inverse * float(moved @ rest)
        rest -= np.float32(weight) * turned
        weights.append(weight)
    if pairs:
        moved, turned, _ = pairs[-1]
        rest *= np.float32(float(moved @ turned) / float(turned @ turned))
    for (moved, turned, inverse), weight in zip(pairs, reversed(weights), strict=True):
        rest += np.float32(weight - inverse * float(turned @ rest)) * moved
    return -rest
