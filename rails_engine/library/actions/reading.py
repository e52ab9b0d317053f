"""What a rail that reads text sees of a message; a picture that it cannot see does not pass unseen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.config import RailsConfig


class UnreadableContentError(ValueError):
    """A message holds an image or a file, and the rail reads text alone."""


def readable(content: Any, config: RailsConfig) -> str:
    """The text of a message's content.

    Raises:
        UnreadableContentError: it holds more than text, and `rails.input.allow_images` is not set.
    """
    if not isinstance(content, list | tuple):
        return "" if content is None else str(content)
    others = [part for part in content if not _is_text(part)]
    if others and not config.rails.input.allow_images:
        kind = (
            str(others[0].get("type", "part")) if isinstance(others[0], Mapping) else type(others[0]).__name__
        )
        raise UnreadableContentError(
            f"the message holds {kind!r}, which this rail cannot read; set rails.input.allow_images to let it pass"
        )
    return "\n".join(
        part if isinstance(part, str) else str(part.get("text", "")) for part in content if _is_text(part)
    )


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, Mapping) and "text" in part)


def spoken_variables(context: Mapping[str, Any], config: RailsConfig) -> dict[str, Any]:
    """The variables of a rail's prompt: the context, and both messages as text.

    Raises:
        UnreadableContentError: as `readable`.
    """
    return {
        **context,
        "user_input": readable(context.get("user_message"), config),
        "bot_response": readable(context.get("bot_message"), config),
    }
