"""Strings of Colang 2.x: escapes, and `{expression}` parts that are parsed once, here.

`{{` and `}}` stand for the braces themselves, and `{}` stays as it is. Behind a brace that is never closed everything is
plain text. A bare `$name` in a string is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\(\r?\n|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SIMPLE = {
    "\\": "\\",
    "'": "'",
    '"': '"',
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\n": "",
    "\r\n": "",
}
# Plain text up to something that matters; an escape is one piece, so that `\{` cannot open a part.
_PIECE = re.compile(r"(?:[^\\{}]|\\.)+|\{\{|\}\}|[{}\\]", re.DOTALL)
# Inside a part only brackets and quoted text matter.
_INSIDE = re.compile(r"""(?:[^'"{}\[\]()\\]|\\.)+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\s\S]""", re.DOTALL)
_MAX_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Part:
    """An expression in a string: its text, and the offset of that text in the string's content."""

    text: str
    offset: int


def quote_width(literal: str) -> int:
    """How many quote characters enclose a string as written: 1 or 3."""
    return 3 if len(literal) >= 6 and literal[:3] in {'"""', "'''"} else 1


def unescape(text: str) -> str:
    """`text` with its backslash escapes resolved as Python does; unknown ones stay."""
    return _ESCAPE.sub(_escaped, text) if "\\" in text else text


def split(content: str) -> Iterator[str | Part]:
    """The plain stretches (unescaped) and the expression parts of a string's content, in order."""
    position = 0
    while match := _PIECE.match(content, position):
        piece = match.group()
        position = match.end()
        if piece in {"{{", "}}"}:
            yield piece[0]
        elif piece == "{":
            end = _closing_brace(content, position)
            if end is None:
                yield unescape(content[match.start() :])
                return
            inside = content[position:end]
            yield Part(unescape(inside), position) if inside.strip() else "{" + inside + "}"
            position = end + 1
        else:
            yield unescape(piece)


def _closing_brace(content: str, position: int) -> int | None:
    depth = 0
    while match := _INSIDE.match(content, position):
        piece = match.group()
        if piece == "}" and not depth:
            return match.start()
        depth += (piece in {"{", "[", "("}) - (piece in {"}", "]", ")"})
        position = match.end()
    return None


def _escaped(match: re.Match[str]) -> str:
    code = match.group(1)
    if code in _SIMPLE:
        return _SIMPLE[code]
    if code[0] in "01234567":
        return chr(int(code, 8))
    if code[0] in "xuU" and len(code) > 1:
        point = int(code[1:], 16)
        return chr(point) if point <= _MAX_CODE_POINT else match.group()
    return match.group()
