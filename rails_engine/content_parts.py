"""Contents of messages that are lists of parts: which of them are text, and which only a model with eyes or ears reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TEXT_TYPES = frozenset({"text", "input_text"})
_TEXT_KEYS = frozenset({"type", "text", "cache_control"})
_IMAGE_TYPES = frozenset({"image_url", "input_image"})


def is_text(part: Any) -> bool:
    """True for a text and for a part that holds a text and nothing beside it."""
    if isinstance(part, str):
        return True
    return (
        isinstance(part, Mapping)
        and isinstance(part.get("text"), str)
        and part.get("type", "text") in _TEXT_TYPES
        and part.keys() <= _TEXT_KEYS
    )


def is_image(part: Any) -> bool:
    """True for a part that shows an image, given by URL or as data."""
    return isinstance(part, Mapping) and part.get("type") in _IMAGE_TYPES


def media_of(content: Any) -> Iterator[Any]:
    """The parts of a content that are no text."""
    return (part for part in content if not is_text(part)) if isinstance(content, list | tuple) else iter(())


def kind_of(part: Any) -> str:
    """What a part is, in a word."""
    return str(part.get("type", "part")) if isinstance(part, Mapping) else type(part).__name__


def text_in(content: Any) -> str:
    """The text parts of a content, one a line."""
    if not isinstance(content, list | tuple):
        return "" if content is None else str(content)
    return "\n".join(part if isinstance(part, str) else part["text"] for part in content if is_text(part))


def flattened(content: Any) -> Any:
    """A list of nothing but texts as the one text that it is; anything else stays.

    Rails that look for words would not find them in a list.
    """
    if isinstance(content, list) and content and all(map(is_text, content)):
        return text_in(content)
    return content
