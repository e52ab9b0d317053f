"""`check`: do the rails let these messages pass? The main model is not asked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from rails_engine.chat import ChatMessage
from rails_engine.content_parts import flattened
from rails_engine.options import (
    GenerationLogOptions,
    GenerationOptions,
    GenerationRailsOptions,
    RailsResult,
    RailStatus,
    RailType,
)
from rails_engine.response import GenerationResponse

log = logging.getLogger(__name__)


def rail_types_of(messages: Sequence[ChatMessage]) -> list[RailType]:
    """What a list of messages wants checked: its user's part, its assistant's part, or both."""
    roles = {message.get("role") for message in messages}
    kinds = [(RailType.INPUT, "user"), (RailType.OUTPUT, "assistant")]
    return [kind for kind, role in kinds if role in roles]


def check_options(kinds: Sequence[RailType]) -> GenerationOptions:
    """Options that run these rails and nothing else."""
    rails = GenerationRailsOptions(
        input=RailType.INPUT in kinds,
        output=RailType.OUTPUT in kinds,
        retrieval=False,
        dialog=False,
        tool_input=False,
        tool_output=False,
    )
    return GenerationOptions(rails=rails, log=GenerationLogOptions(activated_rails=True))


def checked_text(messages: Sequence[ChatMessage], kinds: Sequence[RailType]) -> str:
    """The text whose verdict is wanted: the assistant's where output is checked, else the user's, else the last.

    Where input is to be checked and no user has spoken, it is empty.
    """
    role = "assistant" if RailType.OUTPUT in kinds else "user"
    texts = [message.get("content") for message in messages if message.get("role") == role]
    if not texts and RailType.INPUT in kinds:
        return ""
    last = texts[-1] if texts else (messages[-1].get("content") if messages else "")
    return "" if isinstance(last, Mapping) else str(flattened(last) or "")


def passed(messages: Sequence[ChatMessage], kinds: Sequence[RailType]) -> RailsResult:
    """The answer where there is nothing to check."""
    log.warning("nothing to check: there is no message of those whom these rails look at")
    return RailsResult(status=RailStatus.PASSED, content=checked_text(messages, kinds))


def verdict(response: GenerationResponse, asked: str) -> RailsResult:
    """What the rails made of `asked`."""
    rails = response.log.activated_rails if response.log else []
    blocking = next((rail.name for rail in rails if rail.stop), None)
    message: dict[str, Any] = response.response[-1] if isinstance(response.response, list) else {}
    content = message.get("content", "")
    if blocking is not None or message.get("role") == "exception":
        text = content.get("message", "") if isinstance(content, dict) else str(content)
        return RailsResult(status=RailStatus.BLOCKED, content=text, rail=blocking)
    return let_pass(asked, str(content))


def let_pass(given: str, left: str) -> RailsResult:
    """The answer where rails have let a text pass, as it was `given` or as they `left` it."""
    return RailsResult(status=RailStatus.PASSED if left == given else RailStatus.MODIFIED, content=left)
