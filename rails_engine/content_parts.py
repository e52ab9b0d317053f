"""Contents of messages that are lists of parts: which of them are text, and which only a model with eyes or ears reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TEXT_TYPES = frozenset({"text", "input_text"})
_TEXT_KEYS = frozenset({"type", "text", "cache_control"})
_IMAGE_TYPES = frozenset({"image_url", "input_image"})
_MEDIA_KEYS: Mapping[str, frozenset[str]] = {
    "image_url": frozenset({"image_url", "detail"}),
    "input_image": frozenset({"image_url", "file_id", "detail"}),
    "image": frozenset({"image", "source"}),
    "input_audio": frozenset({"input_audio"}),
    "audio_url": frozenset({"audio_url"}),
    "video_url": frozenset({"video_url"}),
    "file": frozenset({"file"}),
    "input_file": frozenset({"file_id", "file_url", "file_data", "filename"}),
}
"""Parts that hold an image, a sound, a film or a file, and the keys that it may be under."""


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


def unread_parts(content: Any, *, allow_media: bool) -> Iterator[Any]:
    """The parts of a content that nobody may leave unread: those that are no text, nor media where these are allowed."""
    return (part for part in media_of(content) if not (allow_media and is_medium(part)))


def media_of(content: Any) -> Iterator[Any]:
    """The parts of a content that are no text."""
    return (part for part in content if not is_text(part)) if isinstance(content, list | tuple) else iter(())


def is_medium(part: Any) -> bool:
    """True for an image, a sound, a film or a file, and nothing that a model might read as text beside it."""
    if not isinstance(part, Mapping):
        return False
    keys = _MEDIA_KEYS.get(str(part.get("type")))
    return keys is not None and part.keys() <= keys | {"type", "cache_control"}


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
