"""What a model's text has to look like for each task, and what is taken from it.

A model may answer anything. Each function takes the part that its task allows and raises `LlmResponseError` where
there is none; nothing here runs or trusts the text.
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
_FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)


def value(completion: str, name: str = "") -> Any:
    """The Python literal on the first line; a repeated `$name = ` in front of it is passed over.

    Raises:
        LlmResponseError: the line is no literal.
    """
    line = first_line(completion).removesuffix(";")
    if line.startswith(f"${name}"):
        line = line.removeprefix(f"${name}").lstrip().removeprefix("=").lstrip()
    try:
        return ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise LlmResponseError(f'expected one literal value, such as 5 or "text", not {line!r}') from None


def lines_of(text: str) -> list[str]:
    """The lines of an answer. Only a line feed ends one: Unicode's separators may stand inside of quoted texts."""
    return text.replace("\r\n", "\n").split("\n")


def first_line(text: str) -> str:
    """The first line that is not blank, trimmed; empty where there is none."""
    return next((line.strip() for line in lines_of(text) if line.strip()), "")


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
    return _ODD.sub("", name).strip()


@dataclass(frozen=True, slots=True)
class Continuation:
    """How the bot goes on: an intent's name and the statement that carries it out, possibly of several lines."""

    intent: str
    action: str


def continuation(completion: str) -> Continuation:
    """The bot's intent and its first action.

    Raises:
        LlmResponseError: there is no `bot action:` line.
    """
    lines = lines_of(completion)
    action = bot_action(lines)
    if not action:
        raise LlmResponseError("expected a line `bot action: …`")
    return Continuation(bot_intent(lines) or flow_name(action), action)


def bot_intent(lines: list[str]) -> str | None:
    """The bot's intent: the first line if it begins so, else what follows `bot intent:`."""
    filled = [line.strip() for line in lines if line.strip()]
    if filled and filled[0].startswith("bot ") and not filled[0].startswith(("bot action:", "bot intent:")):
        return flow_name(filled[0])
    named = labelled(filled, "bot intent")
    return flow_name(named) if named else None


def labelled(lines: list[str], label: str) -> str | None:
    """What follows `label:` on the first line that begins so."""
    for line in lines:
        if line.strip().startswith(f"{label}:"):
            return line.strip().removeprefix(f"{label}:").strip()
    return None


def bot_action(lines: list[str]) -> str:
    """The statement of the first `bot action:` line; empty where there is none.

    Lines that go on with `and` or `or` belong to it, and so do those up to the end of an open quotation.
    """
    start = next(
        (number for number, line in enumerate(lines) if line.strip().startswith("bot action:")), None
    )
    if start is None:
        return ""
    action = lines[start].strip().removeprefix("bot action:").strip()
    for line in lines[start + 1 :]:
        if _open_quote(action):
            action += "\\n" + line
        elif line.startswith("  ") and line.strip().startswith(("and ", "or ")):
            action += line
        else:
            break
    return action


def _open_quote(text: str) -> bool:
    return text.replace('\\"', "").count('"') % 2 == 1


def indented(text: str) -> list[str]:
    """The lines of a flow's body, moved in by two blanks unless the first one is already."""
    lines = text.strip("\n").splitlines()
    if lines and lines[0].startswith("  "):
        return lines
    return [f"  {line}" for line in lines]


def unfenced(text: str) -> str:
    """Text without the code fence around it, if there is one."""
    match = _FENCED.fullmatch(text.strip())
    return match.group(1) if match else text


def body_of(text: str) -> str:
    """What stands below the name line of a flow that a model wrote; all of it where it left that line out."""
    lines = unfenced(text).strip("\n").splitlines()
    header = next((number for number, line in enumerate(lines) if line.strip()), 0)
    return "\n".join(lines[header + 1 :] if lines and lines[header].startswith("flow ") else lines)


def flow_body(text: str) -> list[str]:
    """A body that a model wrote for `...`, cut where the model has to be asked again.

    It is cut after the first `await`, since what follows depends on its result, and at a `...` of the model's own.
    """
    lines = indented(text) if text.strip() else []
    for number, line in enumerate(lines):
        if line.strip() == "...":
            before = lines[:number]
            waits = any(earlier.strip() == "wait user input" for earlier in before)
            return [*before, *([] if waits else ["  wait user input"]), "  ..."]
        if re.search(r"\bawait\b", line) and lines[number + 1 :]:
            return [*lines[: number + 1], "  ..."]
    return lines
