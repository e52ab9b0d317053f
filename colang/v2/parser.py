"""The front of Colang 2.x: `parse` for one file."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import lark
from lark import Token, Tree
from lark.exceptions import UnexpectedInput

from colang import tree
from colang.errors import ColangSyntaxError
from colang.grammars import load_parser
from colang.layout import Indentation, LayoutError
from colang.source import Source, Span, pieces
from colang.v2.expressions import BuildError, Child, ExpressionBuilder, Place
from colang.v2.mistakes import explain
from colang.v2.statements import FileBuilder

SOURCES_KEPT = 128
FOLDER = Path(__file__).parent
START = ("file", "expression")
_BEGINNING = re.compile(r"^(?:@[^\n]*\n)*(?:flow|import)\b", re.MULTILINE)


def parse(source: Source) -> tree.File:
    """The tree of one file.

    Raises:
        ColangSyntaxError: at the first thing that is not Colang 2.x.
    """
    return _Reader(source, source.text).file()


@functools.lru_cache(maxsize=SOURCES_KEPT)
def parse_all(source: Source) -> tuple[tree.File, tuple[ColangSyntaxError, ...]]:
    """The tree of what reads well in a file, and every syntax error in it.

    Behind an error reading goes on at the next line that begins a flow or an import. Trees are never changed, so a
    text that was read lately is not read again.
    """
    try:
        return parse(source), ()
    except ColangSyntaxError as first:
        trees: list[tree.File] = []
        errors: list[ColangSyntaxError] = []
        for line, text in pieces(source.text, _BEGINNING):
            try:
                trees.append(_Reader(source, text, line).file())
            except ColangSyntaxError as error:
                errors.append(error)
        return _merged(trees, source), tuple(errors) or (first,)


def _merged(trees: list[tree.File], source: Source) -> tree.File:
    whole = Span(source.name, 1, 1, 1, 1)
    return tree.File(
        imports=tuple(item for part in trees for item in part.imports),
        flows=tuple(flow for part in trees for flow in part.flows),
        notices=tuple(notice for part in trees for notice in part.notices),
        span=whole,
    )


def parse_expression(text: str, source: Source, place: Place) -> tree.Expression:
    """The expression that `text` is; it stands at `place` in `source`.

    Raises:
        ColangSyntaxError: it is none.
    """
    return _Reader(source, text).expression(place)


def parse_template(text: str, source: str = "<template>") -> tree.Literal | tree.Text:
    """Text that comes without quotes, such as a decorator's argument, with its `{expression}` parts parsed.

    Raises:
        ColangSyntaxError: if an expression in it is nested too deeply.
    """
    return _Reader(Source(source, text), text).template()


@functools.cache
def parser() -> lark.Lark:
    """The parser; made at the first use and then shared, since it keeps nothing of what it parses."""
    return load_parser(FOLDER, Indentation(), START)


class _Reader:
    """Reads `text`, which begins at `line` of a source; every error leaves as a ColangSyntaxError of that source."""

    def __init__(self, source: Source, text: str, line: int = 1) -> None:
        self._source = source
        self._text = text
        self._place = Place(source.name, line)

    def file(self) -> tree.File:
        """The text as a file."""
        found = self._parse(self._text, "file", self._place)
        try:
            return FileBuilder(self._text, self._place, _inside).file(found)
        except BuildError as error:
            raise ColangSyntaxError(error.message, self._source, error.span) from None

    def expression(self, place: Place) -> tree.Expression:
        """The text as one expression that stands at `place`."""
        found = self._parse(self._text, "expression", place)
        try:
            return ExpressionBuilder(place, _inside).build(found.children[0])
        except BuildError as error:
            raise ColangSyntaxError(error.message, self._source, error.span) from None

    def template(self) -> tree.Literal | tree.Text:
        """The text as the inside of a string."""
        whole = Token("STRING", self._text, line=1, column=1, end_line=1, end_column=1)
        try:
            return ExpressionBuilder(self._place, _inside).text(self._text, whole, 0)
        except BuildError as error:
            raise ColangSyntaxError(error.message, self._source, error.span) from None

    def _parse(self, text: str, start: str, place: Place) -> Tree[Token]:
        try:
            return parser().parse(text.rstrip(), start=start)
        except LayoutError as error:
            raise ColangSyntaxError(error.message, self._source, place.span(error.token)) from None
        except UnexpectedInput as error:
            message, token = explain(error, text, parser())
            raise ColangSyntaxError(message, self._source, place.span(token)) from None


def _inside(text: str) -> Child | None:
    try:
        return parser().parse(text.replace("\n", " "), start="expression").children[0]
    except (LayoutError, UnexpectedInput):
        return None
