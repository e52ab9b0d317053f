"""What a rail that reads text sees of a message; a picture that it cannot see does not pass unseen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rails_engine.config import RailsConfig
from rails_engine.content_parts import kind_of, text_in, unread_parts

_TEXTS: Final[Mapping[str, str]] = {
    "user_message": "user_message",
    "bot_message": "bot_message",
    "bot_thinking": "bot_thinking",
    "relevant_chunks": "relevant_chunks",
    "last_bot_prompt": "_last_bot_prompt",
}
"""What a caller may give by name instead of in the context, and its name there."""

_UNUSED: Final = frozenset({"events", "http_client", "kb", "llm", "llms", "model_caches", "state"})
"""What wrappers hand on to every check, used or not."""


class UnreadableContentError(ValueError):
    """A message holds an image or a file, and the rail reads text alone."""


def told(context: Mapping[str, Any] | None, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The context of a check, and over it the texts that its caller gave by name.

    Raises:
        TypeError: there is no parameter of that name.
    """
    if not given:
        return context or {}
    unknown = given.keys() - _TEXTS.keys() - _UNUSED
    if unknown:
        raise TypeError(f"this check has no parameter {', '.join(map(repr, sorted(unknown)))}")
    texts = {_TEXTS[name]: value for name, value in given.items() if name in _TEXTS and value is not None}
    return {**(context or {}), **texts}


def readable(content: Any, config: RailsConfig) -> str:
    """The text of a message's content.

    Raises:
        UnreadableContentError: it holds more than text, or, where `rails.input.allow_images` is set, than text and media.
    """
    if isinstance(content, str):
        return content
    allowed = config.rails.input.allow_images
    unseen = next(unread_parts(content, allow_media=allowed), None)
    if unseen is not None:
        hint = "" if allowed else "; set rails.input.allow_images to let images, sounds and files pass"
        raise UnreadableContentError(
            f"the message holds {kind_of(unseen)!r}, which this rail cannot read{hint}"
        )
    return text_in(content)


def asked_variables(context: Mapping[str, Any], config: RailsConfig) -> dict[str, Any]:
    """The variables of a prompt that judges what the user says: the context, and both messages as text.

    Raises:
        UnreadableContentError: as `readable`.
    """
    variables = answer_variables(context)
    return {**variables, "user_input": readable(context.get("user_message"), config)}


def answer_variables(context: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a prompt that judges what the bot says: of what the user said its text, for orientation."""
    return {
        **context,
        "user_input": text_in(context.get("user_message")),
        "bot_response": text_in(context.get("bot_message")),
    }
