"""The names of flows that their author has not named."""

from __future__ import annotations

import re

_COMMENT = re.compile(r'((?:[^"#]|"[^"]*")*)#.*')
_CONTINUED = re.compile(r"(\sor)[ \t]*\n\s*")
_DOCSTRING = re.compile(r'"{3}.*?"{3}', re.DOTALL)


def name_of_body(text: str) -> str:
    """The name of a flow that has none: the same text has the same one, however it is indented.

    Logs and callers know these names from other implementations of Colang, so the number is theirs: the polynomial of 31
    over the characters, as a signed number of 32 bits without its sign.
    """
    joined = _CONTINUED.sub(r"\1 ", _DOCSTRING.sub("", text))
    lines = (_COMMENT.sub(r"\1", line).strip() for line in joined.split("\n"))
    number = 0
    for character in "".join(lines):
        number = (number * 31 + ord(character)) & 0xFFFFFFFF
    return f"anonymous-{min(number, 0x100000000 - number):x}"
