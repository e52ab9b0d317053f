"""Makes text of others safe to print: a model or a user must not steer the terminal."""

from __future__ import annotations

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """`text` without control characters other than line feeds and tabs."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)
