"""Strings as text: quotes, escapes and `{expression}` parts.

A string inside a part of another one has the other kind of quotes, and whatever would have a meaning to the enclosing
string is written as a code, so that both read it alike.
"""

from __future__ import annotations

from collections.abc import Callable

from colang import tree

_CODES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escaped(text: str, quote: str) -> str:
    """`text` so that it can stand between `quote`s; braces are left alone."""
    return "".join(_escape(letter, quote) for letter in text)


def quoted(
    content: str | tuple[str | tree.Expression, ...],
    strings: int,
    part: Callable[[tree.Expression], str] | None = None,
) -> str:
    """A string literal; `part` writes the expressions in it, `strings` counts the enclosing strings."""
    quote = "'" if strings % 2 else '"'
    pieces = (content,) if isinstance(content, str) else content
    written = []
    for piece in pieces:
        if isinstance(piece, str):
            written.append(_text(piece, quote, inside=strings > 0))
        elif part is not None:
            inside = part(piece).replace("\\", "\\\\").replace(quote, f"\\{quote}")
            written.append(f"{{{inside}}}")
    return f"{quote}{''.join(written)}{quote}"


def long_quoted(text: str) -> str:
    """A triple-quoted string over as many lines as `text` has."""
    inside = "".join(letter if letter == "\n" else _escape(letter, '"') for letter in text)
    return f'"""{inside}"""'


def _text(text: str, quote: str, *, inside: bool) -> str:
    if inside:
        return "".join(
            f"\\x{ord(letter):02x}" if letter in "{}()[]'\"" else _escape(letter, quote) for letter in text
        )
    return escaped(text, quote).replace("{", "{{").replace("}", "}}")


def _escape(letter: str, quote: str) -> str:
    if letter == quote:
        return f"\\{letter}"
    if letter in _CODES:
        return _CODES[letter]
    return letter if letter.isprintable() or letter == " " else _code(ord(letter))


def _code(point: int) -> str:
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
