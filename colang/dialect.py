"""Which Colang a file is written in: what the two languages share is that neither can be read as the other."""

from __future__ import annotations

import re
from enum import Enum
from textwrap import dedent

_LONG_TEXT = re.compile(r'"""(?:[^\\]|\\[\s\S])*?"""|\'\'\'(?:[^\\]|\\[\s\S])*?\'\'\'')
_COMMENT = re.compile(r"#[^\n]*")
_DEFINE = re.compile(r"^(?:define\b|def[ \t]+(?:user|bot|(?:[\w-]+[ \t]+)*(?:sub)?flow)\b)", re.MULTILINE)


class Dialect(Enum):
    """The value is what `colang_version` says in a configuration."""

    ONE = "1.0"
    TWO = "2.x"


def dialect_of(text: str) -> Dialect:
    """Colang 1.0 if a line outside comments and triple-quoted text begins with `define` (or `def flow` and the like)."""
    if "def" not in text:
        return Dialect.TWO
    code = dedent(_COMMENT.sub("", _LONG_TEXT.sub("", text)))
    return Dialect.ONE if _DEFINE.search(code) else Dialect.TWO
