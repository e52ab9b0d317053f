"""What of a model's text will be said, found while the text is still coming.

Each reader knows one form of answer (see `completions`, which reads the whole): the answer itself, a value written as a
literal, the statement of a continuation. Where a reader cannot tell it says nothing more: the rest is told with the
utterance.
"""

from __future__ import annotations

import re
from typing import Final, Protocol


class Reader(Protocol):
    """Finds what will be said in what a model writes."""

    @property
    def whole(self) -> bool:
        """Whether all that will be said has been read."""
        ...

    def feed(self, text: str) -> str:
        """What the next piece of the model's text adds to the utterance."""
        ...


class Verbatim:
    """All of it is said."""

    whole = True

    def feed(self, text: str) -> str:
        """See `Reader.feed`."""
        return text


_ESCAPES: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}
_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
_MOST_BEFORE: Final = 2000
"""Characters that may come before the quotation."""


class Quotation:
    """The text of a quoted literal, decoded; `opening` matches everything up to and with its first quote.

    `lines`: it may go on over several lines. `until`: a character that ends what can be told of it.
    """

    def __init__(self, opening: re.Pattern[str], *, lines: bool = False, until: str = "") -> None:
        self._opening = opening
        self._lines = lines
        self._until = until
        self._before = ""
        self._quote = ""
        self._escape = ""
        self._over = False
        self.whole = False

    def feed(self, text: str) -> str:
        """See `Reader.feed`."""
        if not self._quote and not self._over:
            text = self._opened(text)
        return "".join(self._read(character) for character in text) if self._quote else ""

    def _opened(self, text: str) -> str:
        """What follows the opening quote; empty while there is none."""
        self._before += text
        found = self._opening.match(self._before)
        if found is None:
            self._over = len(self._before) > _MOST_BEFORE
            return ""
        self._quote = found.group()[-1]
        return self._before[found.end() :]

    def _read(self, character: str) -> str:
        if self._over:
            return ""
        if self._escape:
            return self._escaped(character)
        if character == "\\":
            self._escape = character
            return ""
        if character in {self._quote, self._until} or (character == "\n" and not self._lines):
            self._over = True
            self.whole = character == self._quote
            return ""
        return character

    def _escaped(self, character: str) -> str:
        self._escape += character
        kind, digits = self._escape[1], self._escape[2:]
        if kind in _DIGITS:
            if len(digits) < _DIGITS[kind]:
                return ""
            self._escape = ""
            return self._decoded(digits)
        self._escape = ""
        if kind in _ESCAPES:
            return _ESCAPES[kind]
        # What else may stand behind a backslash is too rare to be worth telling early.
        self._over = True
        return ""

    def _decoded(self, digits: str) -> str:
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            self._over = True
            return ""


def literal(name: str) -> Quotation:
    """A value: a quoted text, perhaps behind `$name = `. A text in triple quotes, and anything else, is not told."""
    return Quotation(re.compile(rf"""\s*(?:\${re.escape(name)}\s*=\s*)?(?:"(?=[^"])|'(?=[^']))"""))


def statement(verbs: str) -> Quotation:
    """The statement of a continuation: `bot action: bot say "…"` with one of the verbs, up to what is interpolated."""
    opening = rf"""(?s)(?:.*\n)?[ \t]*bot action:[ \t]*bot (?:{verbs})[ \t]+"(?=[^"])"""
    return Quotation(re.compile(opening), lines=True, until="{")
