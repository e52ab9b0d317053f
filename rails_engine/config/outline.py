"""What Colang sources say about themselves: the messages and flows of 1.0 files, the imports of 2.x files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from colang import ColangError, Dialect, Source, dialect_of
from colang.v1 import definitions_of, flows_of_yaml
from colang.v2 import parse_all

ONE = Dialect.ONE.value
TWO = Dialect.TWO.value
SOURCE_CODE = "source_code"
OUTLINES_KEPT = 64

_LONG_TEXT = re.compile(r'"""[\s\S]*?"""')
_IMPORT = re.compile(r'^import[ \t]+"?([^"\n#]+?)"?[ \t]*(?:#.*)?$', re.MULTILINE)
_FLOW = re.compile(r"^(?:@\w|flow\b|import\b)", re.MULTILINE)

_Texts: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Messages by intent, as pairs, so that they may be kept and shared."""


def spoken(source: Source) -> str | None:
    """The version of Colang that a file is written in; None where nothing in it tells."""
    if dialect_of(source.text) is Dialect.ONE:
        return ONE
    return TWO if _FLOW.search(_LONG_TEXT.sub("", source.text)) else None


@dataclass(frozen=True, slots=True)
class Outline:
    """Messages by intent, and for each flow its name (`id`) and its text."""

    user_messages: dict[str, list[str]]
    bot_messages: dict[str, list[str]]
    flows: list[dict[str, Any]]


def outline_of(sources: Iterable[Source]) -> Outline:
    """What the 1.0 files among `sources` define; those of the other dialect are passed over.

    Raises:
        ColangError: a source cannot be read.
    """
    own = tuple(source for source in sources if dialect_of(source.text) is Dialect.ONE)
    users, bots, flows = _defined(own)
    return Outline(
        {name: list(texts) for name, texts in users},
        {name: list(texts) for name, texts in bots},
        [{"id": name, SOURCE_CODE: text} for name, text in flows],
    )


@lru_cache(maxsize=OUTLINES_KEPT)
def _defined(sources: tuple[Source, ...]) -> tuple[_Texts, _Texts, tuple[tuple[str, str], ...]]:
    found = definitions_of(sources)
    flows = tuple((flow.name, flow.text) for flow in found.flows)
    return tuple(found.user_messages.items()), tuple(found.bot_messages.items()), flows


def flow_fault(entry: Any) -> str | None:
    """Why an item of `flows` is no flow of Colang 1.0 written as YAML; None where it is one, or was read from a source."""
    if not isinstance(entry, dict):
        return "a flow is a mapping with a list of `elements`, and perhaps `id` and `priority`"
    if SOURCE_CODE in entry:
        return None
    try:
        flows_of_yaml([entry])
    except ColangError as error:
        return str(error)
    return None


def imports_of(sources: Iterable[Source]) -> list[str]:
    """The import paths that 2.x files name, each once."""
    texts = (_LONG_TEXT.sub("", source.text) for source in sources if dialect_of(source.text) is Dialect.TWO)
    return list(dict.fromkeys(path.strip() for text in texts for path in _IMPORT.findall(text)))


def require_readable(sources: Iterable[Source]) -> None:
    """Read the 2.x files among `sources` for what is wrong in them.

    Raises:
        ColangSyntaxError: the first thing that is no Colang 2.x.
    """
    for source in sources:
        if dialect_of(source.text) is Dialect.TWO:
            _, errors = parse_all(source)
            if errors:
                raise errors[0]
