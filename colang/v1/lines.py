"""What stands behind the first word of a Colang 1.0 line: names in free text, arguments, values."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from colang import tree as expressions
from colang.errors import ColangSyntaxError
from colang.source import Source, Span
from colang.v1 import tree
from colang.v2 import Place, parse_expression

_TEXT = r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
"""A quoted text, in which nothing is notation."""

_BLANKS = re.compile(r"\s+|\\\n")
_OR = re.compile(r"\s+or\s+(?:user\s+(?:says\s+)?)?")
_CALL = re.compile(r"([^($]*?)\s*\((.*)\)\s*\Z", re.DOTALL)
_WITH = re.compile(r"(.*?)\s+with\s+(\$?\w+\s*=.*)\Z", re.DOTALL)
_DOLLAR = re.compile(r"([^$]*?[^$\s])\s+(\$\w+\s*=.*)\Z", re.DOTALL)
_NAMED = re.compile(_TEXT + r"|\$(?P<name>\w+)\s*=(?!=)", re.DOTALL)
_QUOTED = re.compile(r'"(.*)"\s*\Z', re.DOTALL)
_BLANK_SEPARATED = re.compile(_TEXT + r"|,?\s+(?=\$\w+\s*=(?!=))", re.DOTALL)
_ASSIGNMENT = re.compile(r"\s*\$\w+\s*=(?!=)")
_ANY_INTENT = {"...", "something", "something else", "*"}


@dataclass(frozen=True, slots=True)
class Line:
    """The rest of a line: its text, and the place of its first character."""

    text: str
    source: Source
    place: Place

    @property
    def plain(self) -> str:
        """The text with single blanks, and without a colon at its end."""
        return name_of(self.text)

    def expression(self) -> expressions.Expression:
        """The text as a value.

        Raises:
            ColangSyntaxError: it is none.
        """
        return _parsed(_one_line(_without_colon(self.text)), self.source, self.place)

    def test(self) -> expressions.Expression:
        """The text as a condition.

        Raises:
            ColangSyntaxError: it is none.
        """
        if _ASSIGNMENT.match(self.text):
            span = Span(
                self.source.name, self.place.line, self.place.column, self.place.line, self.place.column + 1
            )
            raise ColangSyntaxError("`=` assigns; a comparison is written `==`", self.source, span)
        return self.expression()

    def part(self, text: str) -> Line:
        """A part of this line as a line of its own."""
        return Line(text, self.source, self.place.moved(max(self.text.find(text), 0)))

    def arguments(self) -> tree.Arguments:
        """`a=1, $b=2` or `$a=1 $b=2` as arguments; positional ones are called `$1`, `$2`, ..."""
        separated = _BLANK_SEPARATED.sub(lambda m: m["text"] or ", ", _one_line(self.text).strip())
        text = "_(" + _NAMED.sub(lambda m: m["text"] or f"{m['name']}=", separated) + ")"
        call = _parsed(text, self.source, self.place.moved(-2))
        if not isinstance(call, expressions.Call):
            raise TypeError("a call with arguments reads as a call")
        positional = tuple((f"${index}", value) for index, value in enumerate(call.arguments.positional, 1))
        return positional + call.arguments.named

    def call(self) -> tuple[str, tree.Arguments]:
        """`NAME(p=v)`, `NAME with p=v`, `NAME $p=v` or just `NAME`."""
        text = _without_colon(self.text)
        for form in (_CALL, _WITH, _DOLLAR):
            match = form.match(text)
            if match:
                return name_of(match[1]), self.part(match[2]).arguments()
        return name_of(text), ()


def name_of(text: str) -> str:
    """A name with single blanks, without a colon at its end."""
    return _BLANKS.sub(" ", _without_colon(text)).strip()


def intents_of(text: str) -> tuple[str | None, ...]:
    """The intents of `user a or user b`; None for any."""
    return tuple(_intent(part) for part in _OR.split(_without_colon(text).strip()))


def unquoted(text: str) -> str | None:
    """The inside of a text that is quoted as a whole; None of any other."""
    match = _QUOTED.match(text.strip())
    return match[1] if match else None


def _intent(text: str) -> str | None:
    name = name_of(text.split(" with $", 1)[0])
    if name in _ANY_INTENT or (name.startswith("about ") and name.endswith(("something", "..."))):
        return None
    return unquoted(name) or name


def _parsed(text: str, source: Source, place: Place) -> expressions.Expression:
    """An expression; of its texts, those that `f` stands before have `{expression}` parts."""
    if not any(match["f"] for match in _STRING.finditer(text)):
        return parse_expression(text, source, place)
    return parse_expression(_STRING.sub(_with_parts, text), source, replace(place, has_parts=True))


def _with_parts(match: re.Match[str]) -> str:
    text = match["text"]
    return text if match["f"] else text.replace("{", "{{").replace("}", "}}")


_STRING = re.compile(r"(?P<f>(?<![\w$.])[fF])?" + _TEXT)


def _one_line(text: str) -> str:
    """The text without the line ends that a backslash or `or` may stand before."""
    return text.replace("\\\n", "  ").replace("\n", " ")


def _without_colon(text: str) -> str:
    stripped = text.rstrip()
    return stripped.removesuffix(":")
