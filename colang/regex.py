"""The one place that touches a regular expression engine.

google-re2 runs in time linear in the text, so a pattern cannot be used to hang a conversation. Where it is not
installed (this package needs nothing but lark), the standard library's `re` does the work, without that guarantee.
A pattern outside RE2's language (lookaround, back-references) is an error that names the construct.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol

from colang.errors import ColangValueError

MAX_PATTERN = 4096
"""Longest pattern in characters."""

_UNSUPPORTED = (
    (r"\(\?<?[=!]", "lookaround"),
    (r"\\[1-9]|\(\?P=", "a back-reference"),
    (r"\(\?>", "an atomic group"),
    (r"[*+?}]\+", "a possessive quantifier"),
    (r"\(\?\(", "a conditional group"),
)


class Compiled(Protocol):
    """What is used of a compiled pattern."""

    def search(self, text: str, /) -> Any:
        """The first match anywhere in the text; None without one."""

    def findall(self, text: str, /) -> list[Any]:
        """All matches that do not overlap: texts, or tuples where the pattern has several groups."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Compiled:
    """Compile `pattern`.

    Raises:
        ColangValueError: it is malformed, too long, or outside the engine's language.
    """
    if len(pattern) > MAX_PATTERN:
        raise ColangValueError(
            f"regular expression of {len(pattern)} characters; at most {MAX_PATTERN} are allowed"
        )
    for construct, name in _UNSUPPORTED:
        if re.search(construct, pattern):
            raise ColangValueError(f"{name} is not supported in the regular expression {pattern!r}")
    re2 = _linear_engine()
    try:
        return re.compile(pattern) if re2 is None else _compile_linear(re2, pattern)
    except (re.error, getattr(re2, "error", re.error)) as error:
        raise ColangValueError(f"malformed regular expression {pattern!r}: {error}") from None


@lru_cache(maxsize=1)
def _linear_engine() -> ModuleType | None:
    """google-re2, imported when the first pattern is compiled."""
    try:
        import re2
    except ImportError:
        return None
    module: ModuleType = re2
    return module


def _compile_linear(re2: ModuleType, pattern: str) -> Compiled:
    options = re2.Options()
    options.log_errors = False
    compiled: Compiled = re2.compile(pattern, options)
    return compiled


def escape(text: str) -> str:
    """`text` with everything escaped that means something in a pattern."""
    return re.escape(text)
