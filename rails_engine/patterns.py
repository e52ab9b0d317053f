"""Regular expressions that are looked for together: one pass over a text, however many they are.

RE2 runs them in linear time, whatever the text. It follows all of them at once in one table of states, which has a
bounded size; patterns that do not fit into it are searched for one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import re2

_TABLE_BYTES = 8 << 20
"""For each of the patterns, up to `_TABLES` of them."""
_TABLES = 8


class Patterns:
    """Patterns in RE2 syntax, ready to be searched for.

    Raises:
        ValueError: RE2 refuses a pattern; names its index.
    """

    def __init__(self, texts: Sequence[str], *, case_insensitive: bool = False) -> None:
        self.texts = list(texts)
        self._case_insensitive = case_insensitive
        options = re2.Options()
        options.case_sensitive = not case_insensitive
        options.log_errors = False
        self._each = [_compile(index, text, options) for index, text in enumerate(texts)]
        self.size = sum(int(compiled.programsize) for compiled in self._each)
        """Instructions of all patterns: at the worst, RE2 goes through each of them for each character of a text."""
        options.max_mem = _TABLE_BYTES * max(1, min(_TABLES, len(texts)))
        self._together = _together([*texts, ""], options)
        self._nothing = [len(self.texts)]

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.texts, self._case_insensitive)

    def found_in(self, forms: Iterable[str]) -> list[str]:
        """Those that occur in any form of a text, in their order."""
        found: set[int] = set()
        for form in forms:
            encoded = form.encode()
            places = self._together.Match(encoded) if self._together is not None else None
            if places == self._nothing:
                continue
            # The last one, which is empty, occurs everywhere: without it, RE2 had no room left and has given up.
            if not places or self._nothing[0] not in places:
                places = [place for place, compiled in enumerate(self._each) if compiled.search(encoded)]
            found.update(places)
        return [text for place, text in enumerate(self.texts) if place in found] if found else []


def _again(cls: type[Patterns], texts: list[str], case_insensitive: bool) -> Patterns:
    return cls(texts, case_insensitive=case_insensitive)


def _together(texts: Sequence[str], options: Any) -> Any:
    """The patterns as one; None where they are too large for that."""
    found = re2.Set.SearchSet(options)
    try:
        for text in texts:
            found.Add(text)
        found.Compile()
    except re2.error:
        return None
    return found


def _compile(index: int, pattern: str, options: Any) -> Any:
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(
            f"pattern {index} ({pattern!r}) is not in the linear-time syntax: {reason}; rewrite it without "
            "look-around and back-references, or set `engine: backtracking`"
        ) from error
