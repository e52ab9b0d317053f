"""Parsers that take what a model writes and give it the form that the dialog expects. The names are public."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rails_engine.prompts.verdicts import VERDICT_PARSERS

_LABELS = (
    ("user message:", "user "),
    ("user intent:", "  "),
    ("bot intent:", "bot "),
    ("bot message:", "  "),
)


def user_intent_parser(s: str) -> str:
    """`User intent: x` as the line that stands under what the user said."""
    return _stripped(s, "User intent:", "  ")


def bot_intent_parser(s: str) -> str:
    """`Bot intent: x` as `bot x`."""
    return _stripped(s, "Bot intent:", "bot ")


def bot_message_parser(s: str) -> str:
    """`Bot message: "x"` as the line that stands under a bot intent."""
    return _stripped(s, "Bot message:", "  ")


def _stripped(text: str, label: str, instead: str) -> str:
    begun = text.lstrip()
    if not begun.lower().startswith(label.lower()):
        return text
    return instead + begun[len(label) :].strip()


def verbose_v1_parser(s: str) -> str:
    """Every labelled line in the notation of Colang 1.0."""
    return "\n".join(_unlabelled(line) for line in s.splitlines())


def _unlabelled(line: str) -> str:
    begun = line.strip()
    for label, instead in _LABELS:
        if begun.lower().startswith(label):
            return instead + begun[len(label) :].strip()
    return line


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "user_intent": user_intent_parser,
    "bot_intent": bot_intent_parser,
    "bot_message": bot_message_parser,
    "verbose_v1": verbose_v1_parser,
    **VERDICT_PARSERS,
}
