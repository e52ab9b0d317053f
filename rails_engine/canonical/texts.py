"""What is taken from a model's text in Colang 1.0, and how the texts of bot messages are filled in."""

from __future__ import annotations

import ast
import re
from typing import Any, Final

from rails_engine.canonical.wording import NOTHING_TO_SAY, Notation
from rails_engine.dialog import first_line

UNKNOWN_MESSAGE: Final = "unknown message"
GENERAL_RESPONSE: Final = "general response"
INTERNAL_ERROR: Final = "I'm sorry, an internal error has occurred."

_VARIABLE = re.compile(r"""\$([^\s"'!?\-,;</$]*[A-Za-z0-9_\]])""")
_FIGURES = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def intent_of(completion: str) -> str:
    """The user's intent: the first line that is not blank, without `user ` or `User intent:` in front."""
    line = first_line(completion)
    intent = _labelled(line, "user intent:") or line.removeprefix("user ").strip()
    return intent or UNKNOWN_MESSAGE


def next_intent_of(completion: str) -> str:
    """The bot's next intent: `bot NAME` or `Bot intent: NAME` on the first line, cut at a quotation or a comma."""
    named = _named_by_bot(first_line(completion))
    return re.split(r'[",]', named)[0].strip() or GENERAL_RESPONSE


def _named_by_bot(line: str) -> str:
    return _labelled(line, "bot intent:") or (line[4:] if line.startswith("bot ") else "")


def _labelled(line: str, label: str) -> str:
    """What follows a label, as models write it that were shown conversations with labels; empty without it."""
    return line[len(label) :].strip() if line[: len(label)].lower() == label else ""


_TURNS: Final = Notation(turns=True)


def message_of(completion: str) -> str:
    """What the bot says: the lines before a new turn, without the quotes around them."""
    return _TURNS.whole(completion) or NOTHING_TO_SAY


def written(text: str) -> str:
    r"""A text of the configuration's as it is said: the two characters `\n` stand for a line break."""
    return text.replace("\\n", "\n") or NOTHING_TO_SAY


def value_of(completion: str) -> str | tuple[Any, ...]:
    """A generated value: the first line as text; one that is a quoted text, or begins several values, is those."""
    line = first_line(completion).removesuffix(";").strip()
    try:
        value = ast.literal_eval(line) if line[:1] in {'"', "'"} else line
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return line
    return value if isinstance(value, str | tuple) else line


def template_of(text: str) -> str:
    """A message's text as a Jinja template: `$name` stands for the variable, and of `$5.50` the figures are said."""
    return _VARIABLE.sub(_filled_in, text)


def _filled_in(match: re.Match[str]) -> str:
    name = match.group(1)
    return name if _FIGURES.fullmatch(name) else "{{ " + name + " }}"


def single_call_of(completion: str) -> tuple[str, str | None, str | None]:
    """Intent, bot intent and message from one completion of up to three parts."""
    lines = [line for line in completion.splitlines() if line.strip()]
    intent = intent_of(lines[0]) if lines else UNKNOWN_MESSAGE
    bot = next((number for number, line in enumerate(lines) if _named_by_bot(line.strip())), None)
    if bot is None:
        return intent, None, None
    rest = "\n".join(line.strip() for line in lines[bot + 1 :])
    return intent, next_intent_of(lines[bot].strip()), message_of(rest) if rest else None
