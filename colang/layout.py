"""Lines and indentation of both Colangs, as a filter on the token stream.

The lexer gives one NEWLINE token for a line end and all blank and comment lines behind it. The filter drops it inside
brackets; elsewhere it becomes _NEWLINE, followed by _INDENT or one _DEDENT for each block that ends. Comment lines never
change the indentation, at whatever column they stand. A body may consist of a comment alone: then a _REMARK follows the
_NEWLINE, which the grammar accepts in the place of a body.

A tab moves to the next multiple of eight columns. The first line of a file sets its outermost level, so text that is
indented as a whole reads well.
"""

from __future__ import annotations

from collections.abc import Iterator

from lark.lexer import Token

MAX_DEPTH = 50
"""Blocks within blocks, and brackets within brackets: later passes walk the tree recursively."""

_OPEN = {"LPAR": "RPAR", "_OPEN": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_CLOSE = frozenset(_OPEN.values())


class LayoutError(Exception):
    """Indentation or brackets that cannot be read; `token` is where."""

    def __init__(self, message: str, token: Token) -> None:
        super().__init__(message)
        self.message = message
        self.token = token


class Indentation:
    """The filter; it keeps nothing between two streams."""

    always_accept: tuple[str, ...] = ("NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens with NEWLINEs turned into layout, lazily: the lexer asks which tokens may follow.

        Raises:
            LayoutError: a line fits no open block, or blocks or brackets are nested too deeply.
        """
        levels: list[int] = []
        open_brackets = 0
        last: Token | None = None
        for token in stream:
            if token.type != "NEWLINE":
                if not levels:
                    levels.append((token.column or 1) - 1)
                open_brackets += _nesting(token, open_brackets)
                last = token
                yield token
            elif last is None:
                levels = [_indent(token)]
            elif not open_brackets:
                # Said at once: the lexer must know that a statement begins before it reads on.
                yield from _line_end(levels, token, last)
                last = _behind(last, "_NEWLINE")
        if last is not None:
            yield from _file_end(levels, last)


def _nesting(token: Token, open_brackets: int) -> int:
    if token.type in _OPEN:
        if open_brackets == MAX_DEPTH:
            raise LayoutError(f"brackets are nested more than {MAX_DEPTH} deep", token)
        return 1
    return -1 if token.type in _CLOSE else 0


def _line_end(levels: list[int], newline: Token, last: Token) -> Iterator[Token]:
    indent = _indent(newline)
    if _ends_with_comment(newline):
        indent = levels[0]
    yield _behind(last, "_NEWLINE")
    if indent <= levels[-1] < _deepest_comment(newline):
        yield _behind(last, "_REMARK")
    if indent > levels[-1]:
        if len(levels) > MAX_DEPTH:
            raise LayoutError(f"blocks are nested more than {MAX_DEPTH} deep", _at_line_start(newline))
        levels.append(indent)
        yield _at_line_start(newline)
    while indent < levels[-1]:
        levels.pop()
        yield _behind(last, "_DEDENT")
        if indent > levels[-1] or not levels:
            raise LayoutError(_unknown_level(indent, levels, newline), _at_line_start(newline))


def _file_end(levels: list[int], last: Token) -> Iterator[Token]:
    if last.type != "_NEWLINE":
        yield _behind(last, "_NEWLINE")
    for _ in levels[1:]:
        yield _behind(last, "_DEDENT")


def _ends_with_comment(newline: Token) -> bool:
    """Only at the end of a file; elsewhere the lexer takes a comment's line end along."""
    return "#" in newline.rpartition("\n")[2]


def _unknown_level(indent: int, levels: list[int], newline: Token) -> str:
    message = f"this line is indented by {indent} columns, and no open block is (the nearest: {levels[-1]})"
    return f"{message}; a tab counts up to the next multiple of 8" if "\t" in newline else message


def _indent(newline: Token) -> int:
    return _width(newline.rpartition("\n")[2].partition("#")[0])


def _deepest_comment(newline: Token) -> int:
    lines = newline.split("\n")[1:]
    return max((_width(line.partition("#")[0]) for line in lines if "#" in line), default=-1)


def _width(blank: str) -> int:
    return len(blank.expandtabs(8))


def _behind(last: Token, kind: str) -> Token:
    line, column, position = last.end_line, last.end_column, last.end_pos
    return Token(kind, "", position, line, column, line, column, position)


def _at_line_start(newline: Token) -> Token:
    column = newline.end_column
    return Token(
        "_INDENT", "", newline.end_pos, newline.end_line, column, newline.end_line, column, newline.end_pos
    )
