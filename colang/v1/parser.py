"""The front of Colang 1.0: `parse` for one file, `parse_body` for the statements of a flow."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import lark
from lark import Token, Tree
from lark.exceptions import UnexpectedInput

from colang.errors import ColangSyntaxError
from colang.grammars import load_parser
from colang.layout import Indentation, LayoutError
from colang.source import Source, Span, pieces
from colang.v1 import tree
from colang.v1.builder import Builder
from colang.v1.mistakes import explain
from colang.v2 import Place

FOLDER = Path(__file__).parent
START = ("file", "statements")
_DOCSTRING = re.compile(r'^[ \t]*"""(?:[^"]|"(?!""))*"""', re.MULTILINE)
_BEGINNING = re.compile(r"^def(?:ine)?\b", re.MULTILINE)


def parse(source: Source) -> tree.File:
    """The tree of one file.

    Raises:
        ColangSyntaxError: at the first thing that is not Colang 1.0.
    """
    return _read(source, source.text, 1)


def parse_body(source: Source) -> tuple[tree.Statement, ...]:
    """The statements that a flow's body consists of.

    Raises:
        ColangSyntaxError: at the first thing that is no statement.
    """
    text = _without_docstrings(source.text)
    return Builder(source, text, 1).body(_parse(text, "statements", source, 1))


def parse_all(source: Source) -> tuple[tree.File, tuple[ColangSyntaxError, ...]]:
    """The tree of what reads well in a file, and the first error of each definition that does not."""
    try:
        return parse(source), ()
    except ColangSyntaxError as first:
        files: list[tree.File] = []
        errors: list[ColangSyntaxError] = []
        for line, text in pieces(source.text, _BEGINNING):
            try:
                files.append(_read(source, text, line))
            except ColangSyntaxError as error:
                errors.append(error)
        return _merged(files, source), tuple(errors) or (first,)


@functools.cache
def parser() -> lark.Lark:
    """The parser; made at the first use and then shared, since it keeps nothing of what it parses."""
    return load_parser(FOLDER, Indentation(), START)


def _read(source: Source, text: str, line: int) -> tree.File:
    """The tree of `text`, which begins at a line of `source`."""
    code = _without_docstrings(text)
    return Builder(source, code, line).file(_parse(code, "file", source, line))


def _parse(text: str, start: str, source: Source, line: int) -> Tree[Token]:
    place = Place(source.name, line)
    try:
        return parser().parse(text.rstrip(), start=start)
    except LayoutError as error:
        raise ColangSyntaxError(error.message, source, place.span(error.token)) from None
    except UnexpectedInput as error:
        message, token = explain(error, text)
        raise ColangSyntaxError(message, source, place.span(token)) from None


def _without_docstrings(text: str) -> str:
    """The text with bare line feeds, no blanks at line ends, and blank lines for docstrings."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    return _DOCSTRING.sub(lambda match: "\n" * match.group().count("\n"), "\n".join(lines))


def _merged(files: list[tree.File], source: Source) -> tree.File:
    return tree.File(
        user_messages=tuple(message for file in files for message in file.user_messages),
        bot_messages=tuple(message for file in files for message in file.bot_messages),
        flows=tuple(flow for file in files for flow in file.flows),
        imports=tuple(name for file in files for name in file.imports),
        span=Span(source.name, 1, 1, 1, 1),
    )
