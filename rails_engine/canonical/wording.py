"""What the bot says, taken from a model's text piece by piece.

A model writes a message as a quotation, perhaps followed by the turns that it imagines next. The same object reads a
whole answer and one that is still being written, so that a streamed message is the message.
"""

from __future__ import annotations

import re
from typing import Final

from rails_engine.values import value_class

NEW_TURN: Final = ("user ", "user:", "bot ", "User ", "Bot ")
LABEL: Final = "Bot message:"
"""What a model may write in front of a message that was shown conversations with labels."""

_CLOSED: Final = re.compile(r'"[^\S\n]*\n')

NOTHING_TO_SAY: Final = "I'm not sure what to say."


@value_class
class Notation:
    r"""What in a model's text is notation.

    `quotes`: double quotes around the text. `turns`: a line that begins a new turn ends the message, and so does the
    quote that closes it at the end of a line; a label in front is notation too, as is the indentation of the first line
    in front of the others, and the two characters `\n` stand for a line break. `nothing`: what is said where no
    message is in the text.
    """

    quotes: bool = True
    turns: bool = False
    nothing: str = ""

    def whole(self, text: str) -> str:
        """The message of a whole text."""
        said = text.strip()
        if self.quotes and not self.turns and not said.startswith('"'):
            return said
        return Wording(self).finish(text)


class Wording:
    """Takes pieces of any size; holds back what may be the end of the message."""

    def __init__(self, notation: Notation) -> None:
        self._quotes = notation.quotes
        self._turns = notation.turns
        self._begun = self._quoted = self._over = False
        self._held = self._before = ""

    def feed(self, piece: str) -> str:
        """What of the message is certain with this piece."""
        return self._taken(piece, last=False)

    def finish(self, piece: str = "") -> str:
        """What was still held, and the last piece; no more text comes."""
        return self._taken(piece, last=True)

    def _taken(self, piece: str, *, last: bool) -> str:
        if not self._quotes:
            return piece
        if self._over:
            return ""
        self._held += piece
        if not self._begun:
            self._begin(last=last)
        if not self._begun:
            return ""
        text, self._held = self._held, ""
        end = self._end_in(text)
        if end is not None:
            self._over = True
            return self._written(self._closed(text[:end]))
        kept = 0 if last else self._undecided(text)
        ready, self._held = text[: len(text) - kept], text[len(text) - kept :]
        return self._written(self._closed(ready) if last else ready)

    def _begin(self, *, last: bool) -> None:
        held = self._held
        self._held = held.lstrip()
        self._before += held[: len(held) - len(self._held)]
        if self._turns and not last and LABEL.startswith(self._held):
            return
        if self._turns:
            self._held = self._held.removeprefix(LABEL).lstrip()
        self._begun = bool(self._held)
        self._quoted = self._held.startswith('"')
        self._held = self._held[self._quoted :]

    def _closed(self, text: str) -> str:
        """The end of the message without the quote that closes it."""
        text = text.rstrip()
        return text.removesuffix('"') if self._quoted else text

    def _end_in(self, text: str) -> int | None:
        """Where the message is over: before a new turn, and behind the closing quote of a line that is not the last."""
        if not self._turns or "\n" not in text:
            return None
        ends = [place for mark in NEW_TURN if (place := text.find(f"\n{mark}")) >= 0]
        if self._quoted and (closed := _CLOSED.search(text)):
            ends.append(closed.start() + 1)
        return min(ends, default=None)

    def _undecided(self, text: str) -> int:
        """How many last characters may turn out not to belong to the message."""
        solid = text.rstrip()
        if self._turns:
            before, line_break, line = text.rpartition("\n")
            if line_break and any(mark.startswith(line) for mark in NEW_TURN):
                solid = before.rstrip()
            elif solid.endswith("\\"):
                solid = solid[:-1]
        if self._quoted:
            solid = solid.removesuffix('"').rstrip()
        return len(text) - len(solid)

    def _written(self, text: str) -> str:
        if not self._turns:
            return text
        margin = len(self._before.rpartition("\n")[2])
        if margin and "\n" in text:
            text = re.sub(rf"\n[ \t]{{1,{margin}}}", "\n", text)
        return text.replace("\\n", "\n")
