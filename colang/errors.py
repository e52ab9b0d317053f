"""What can go wrong with a Colang program.

ColangError
  ColangParsingError
    ColangSyntaxError    the author's text cannot be read (file, line, column, caret, what was expected)
  ColangLoadError        each file reads, but together they make no program
    ColangFlowError      a flow that cannot be: one of two of a name, an override of nothing, a statement with a spec
    that it
                         does not take (also a ColangSyntaxError: users catch that)
    ColangImportError    an import that names nothing (also a ValueError)
    ColangMainError      there is no flow `main` (also an AssertionError)
  ColangRuntimeError     a flow did something impossible while running; it fails and ColangError is raised in it
    ColangValueError     an expression could not be evaluated
    ColangNoFlowError    a flow calls another that does not exist (also a KeyError: users catch that)
  ColangBudgetError      a program ran past its step budget (names the flow)
  ColangStateError       a saved state cannot be read back
"""

from __future__ import annotations

from colang.source import Source, Span, pointed


class ColangError(Exception):
    """Base of every error of this package."""


def render(message: str, source: Source, span: Span) -> str:
    """`message` with its place, the source line, and a caret under the column."""
    width = span.end_column - span.column if span.end_line == span.line else 1
    return f"{span}: {message}\n{pointed(source.line(span.line), span.column, width)}"


class ColangParsingError(ColangError):
    """A text is no program; the name that users catch."""


class ColangSyntaxError(ColangParsingError):
    """The author's text cannot be read."""

    def __init__(self, message: str, source: Source, span: Span) -> None:
        super().__init__(render(message, source, span))
        self.message = message
        self.span = span


class ColangLoadError(ColangError):
    """Files that read well make no program together."""

    def __init__(self, message: str, span: Span | None = None) -> None:
        Exception.__init__(self, f"{span}: {message}" if span else message)  # leaves have further bases
        self.message = message
        self.span = span


class ColangFlowError(ColangLoadError, ColangSyntaxError):
    """A flow that cannot be: one of two of a name, an override of nothing, or with a statement that cannot work."""

    span: Span

    def __init__(self, message: str, span: Span) -> None:
        ColangLoadError.__init__(self, message, span)


class ColangImportError(ColangLoadError, ValueError):
    """An import that names nothing."""


class ColangMainError(ColangLoadError, AssertionError):
    """There is no flow `main`."""


class ColangRuntimeError(ColangError):
    """A flow did something impossible while running."""


class ColangValueError(ColangRuntimeError):
    """An expression could not be evaluated."""


class ColangNoFlowError(ColangRuntimeError, KeyError):
    """A flow calls another that does not exist."""

    __str__ = Exception.__str__  # a KeyError would show the message in quotes


class ColangBudgetError(ColangError):
    """A program ran past its step budget."""


class ColangStateError(ColangError):
    """A saved state cannot be read back."""
