"""Did you mean: the known name nearest to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable

MAX_EDITS = 2


def distance(a: str, b: str) -> int:
    """Edits from `a` to `b`: insert, delete, replace, or swap two neighbours (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name within two edits of `name`, nearest first and then nearest in length; None if there is none.

    For names of up to four letters one edit must do, or every short key would resemble every other. Case, hyphens and
    underscores make no difference: `timeoutS` and `timeout-s` are spellings of `timeout_s`.
    """
    names = list(known)
    letters = _letters(name)
    same = next((other for other in names if _letters(other) == letters), None)
    if same is not None:
        return same
    limit = MAX_EDITS if len(name) > 4 else 1
    close = [
        (distance(name, other), abs(len(name) - len(other)), other)
        for other in names
        if abs(len(name) - len(other)) <= limit
    ]
    best = min(close, default=None)
    return best[2] if best and best[0] <= limit else None


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()
