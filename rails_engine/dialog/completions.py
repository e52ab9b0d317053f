"""What a model's text has to look like for each task, and what is taken from it.

A model may answer anything. Each function takes the part that its task allows and raises `LlmResponseError` where
there is none; nothing here runs or trusts the text. The forms are those of the Colang 2.x specification, section 15.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

from rails_engine.errors import LlmResponseError

UNCLEAR = "user was unclear"

_RESERVED = (("and", "_and_"), ("or", "_or_"), ("as", "_as_"))
_NUMBER = re.compile(r"(?<=\s)\d+(?=\s|$)")
_ODD = re.compile(r"[^\w\s]")
_BLANKS = re.compile(r"\s+")


def value(completion: str) -> Any:
    """The Python literal on the first line.

    Raises:
        LlmResponseError: the line is no literal.
    """
    line = first_line(completion).removesuffix(";")
    try:
        return ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise LlmResponseError(f"expected one literal value, such as 5 or \"text\", not {line!r}") from None


def first_line(text: str) -> str:
    """The first line that is not blank, trimmed; empty where there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def user_intent(completion: str) -> str:
    """The name of the user intent; text of another form means that the user was unclear."""
    line = first_line(completion)
    if ":" in line:
        marker, _, rest = line.partition(":")
        if marker.strip() != "user intent":
            return UNCLEAR
        line = rest.strip()
    return flow_name(line) if line else UNCLEAR


def flow_name(text: str) -> str:
    """Text as a legal flow name: reserved words and free numbers are wrapped, punctuation goes."""
    name = text.strip()
    for word, wrapped in _RESERVED:
        name = name.replace(f" {word} ", wrapped)
    name = _NUMBER.sub(lambda match: f"_{match.group()}_", name.replace("-", "_"))
    return _BLANKS.sub(" ", _ODD.sub("", name)).strip()


@dataclass(frozen=True, slots=True)
class Continuation:
    """How the bot goes on: an intent's name and the statement that carries it out, possibly of several lines."""

    intent: str | None
    action: str


def continuation(completion: str) -> Continuation:
    """The bot's intent and its first action.

    Raises:
        LlmResponseError: there is no `bot action:` line.
    """
    lines = completion.splitlines()
    return Continuation(_bot_intent(lines), _bot_action(lines))


def _bot_intent(lines: list[str]) -> str | None:
    filled = [line.strip() for line in lines if line.strip()]
    if filled and filled[0].startswith("bot ") and not filled[0].startswith(("bot action:", "bot intent:")):
        return filled[0]
    return labelled(filled, "bot intent")


def labelled(lines: list[str], label: str) -> str | None:
    """What follows `label:` on the first line that begins so."""
    for line in lines:
        if line.strip().startswith(f"{label}:"):
            return line.strip().removeprefix(f"{label}:").strip()
    return None


def _bot_action(lines: list[str]) -> str:
    start = next((number for number, line in enumerate(lines) if line.strip().startswith("bot action:")), None)
    if start is None:
        raise LlmResponseError("expected a line `bot action: …`")
    action = lines[start].strip().removeprefix("bot action:").strip()
    for line in lines[start + 1 :]:
        if _open_quote(action):
            action += "\\n" + line
        elif line.startswith("  ") and line.strip().startswith(("and ", "or ")):
            action += "\n" + line
        else:
            break
    return action


def _open_quote(text: str) -> bool:
    return text.replace('\\"', "").count('"') % 2 == 1
