"""Where a window of a streamed answer can be cut, if rails may have rewritten it.

What comes behind the cut will be judged again with what follows, as the model wrote it; what comes before goes out as the
rails left it. So nothing that they rewrote may lie across the cut. Certain of that are only the beginning that text and
rewritten text have in common, and the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """The same place in a text and in what rails made of it, both in characters."""

    raw: int
    allowed: int


def cut(text: str, allowed: str, borders: Sequence[int], limit: int, margin: int) -> Cut | None:
    """The last of `borders` up to `limit` where `text` may be cut; None where there is none but the beginning.

    What was rewritten behind the cut keeps the `margin` characters before it, which may have been the reason.
    """
    before = shared(text, allowed)
    behind = len(text) - shared(text[::-1], allowed[::-1])
    for border in reversed(borders):
        if not 0 < border <= limit:
            continue
        if border >= behind:
            return Cut(border, len(allowed) - (len(text) - border))
        if border <= before - margin:
            return Cut(border, border)
    return None


def shared(one: str, other: str) -> int:
    """How many first characters two texts have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
