"""`meta` statements: what an author tells about a flow, by keys whose values are constants."""

from __future__ import annotations

import json
from collections.abc import Sequence

from colang import tree as expressions
from colang.errors import ColangSyntaxError
from colang.source import Source, Span
from colang.v1 import tree


def meta_of_json(text: str, source: Source, span: Span) -> tree.Meta:
    """The entries of a JSON object.

    Raises:
        ColangSyntaxError: it is none, or a value is no constant.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ColangSyntaxError(f"`meta` is followed by JSON: {error}", source, span) from None
    constant = bool | int | float | str | None
    if not isinstance(entries, dict) or not all(isinstance(value, constant) for value in entries.values()):
        message = "`meta` is followed by a map of numbers, texts, true and false"
        raise ColangSyntaxError(message, source, span)
    return tree.Meta(entries=tuple(entries.items()), span=span)


def meta_of(entries: Sequence[tuple[str, expressions.Expression]], source: Source, span: Span) -> tree.Meta:
    """Entries as they were written.

    Raises:
        ColangSyntaxError: a value is no constant.
    """
    literals: list[tuple[str, expressions.Constant]] = []
    for key, value in entries:
        if not isinstance(value, expressions.Literal):
            raise ColangSyntaxError(f"`{key}` is a number, a text, True or False", source, value.span)
        literals.append((key, value.value))
    return tree.Meta(entries=tuple(literals), span=span)
