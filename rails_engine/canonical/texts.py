"""What is taken from a model's text in Colang 1.0, and how the texts of bot messages are filled in."""

from __future__ import annotations

import re
from typing import Final

from rails_engine.canonical.wording import NOTHING_TO_SAY, Wording
from rails_engine.dialog import first_line

UNKNOWN_MESSAGE: Final = "unknown message"
GENERAL_RESPONSE: Final = "general response"
INTERNAL_ERROR: Final = "I'm sorry, an internal error has occurred."

_VARIABLE = re.compile(r"""\$([^\s"'!?\-,;</$]*[A-Za-z0-9_\]])""")


def intent_of(completion: str) -> str:
    """The user's intent: the first line that is not blank, without `user ` in front."""
    line = first_line(completion).removeprefix("user ").strip()
    return line or UNKNOWN_MESSAGE


def next_intent_of(completion: str) -> str:
    """The bot's next intent: `bot NAME` on the first line, cut at a quotation or a comma."""
    line = first_line(completion)
    if not line.startswith("bot "):
        return GENERAL_RESPONSE
    name = re.split(r'[",]', line.removeprefix("bot "))[0].strip()
    return name or GENERAL_RESPONSE


def message_of(completion: str) -> str:
    """What the bot says: the lines before a new turn, without the quotes around them."""
    return Wording(turns=True).whole(completion) or NOTHING_TO_SAY


def value_of(completion: str) -> str:
    """A generated value: the first line as text; a quoted one without its quotes."""
    line = first_line(completion).removesuffix(";").strip()
    quoted = len(line) > 1 and line[0] == line[-1] and line[0] in "\"'"
    return line[1:-1] if quoted else line


def template_of(text: str) -> str:
    """A message's text as a Jinja template: `$name` stands for the variable."""
    return _VARIABLE.sub(lambda match: "{{ " + match.group(1) + " }}", text)


def single_call_of(completion: str) -> tuple[str, str | None, str | None]:
    """Intent, bot intent and message from one completion of up to three parts."""
    lines = [line for line in completion.splitlines() if line.strip()]
    intent = intent_of(lines[0]) if lines else UNKNOWN_MESSAGE
    bot = next((number for number, line in enumerate(lines) if line.strip().startswith("bot ")), None)
    if bot is None:
        return intent, None, None
    rest = "\n".join(line.strip() for line in lines[bot + 1 :])
    return intent, next_intent_of(lines[bot].strip()), message_of(rest) if rest else None
