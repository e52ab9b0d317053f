"""Small readers of events and of models' answers, for users' actions. Their names are public."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from rails_engine.prompts.filters import remove_text_messages
from rails_engine.prompts.history import Event, as_colang

_LABELS = ("user intent: ", "user action: ", "bot intent: ", "bot action: ")
_RETRIEVAL = "retrieve_relevant_chunks"
_WORD_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBER = re.compile(r"(?<=\s)\d+(?=\s|$)")


def strip_quotes(s: str) -> str:
    """`s` without a double quote at its beginning, and without one at its end."""
    return s.removeprefix('"').removesuffix('"') if s else s


def get_first_nonempty_line(s: str) -> str | None:
    """The first line that is neither blank nor a comment, trimmed; None where there is none."""
    lines = get_top_k_nonempty_lines(s, 1)
    return lines[0] if lines else None


def get_top_k_nonempty_lines(s: str, k: int = 1) -> list[str] | None:
    """The first `k` lines that are neither blank nor comments, trimmed; None where there is none."""
    lines = [
        line.strip() for line in (s or "").splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    return lines[:k] or None


def get_multiline_response(s: str) -> str:
    """The answer up to the line at which the model begins to speak for somebody."""
    kept: list[str] = []
    for line in s.strip("\n").splitlines():
        if kept and line.startswith(("user ", "bot ")):
            break
        if line.strip():
            kept.append(line)
    return "\n".join(kept)


def get_first_user_intent(strings: list[str]) -> str | None:
    """What follows the first `user intent: `; None where no line has it."""
    return _after(strings, "user intent: ")


def get_first_bot_intent(strings: list[str]) -> str | None:
    """What follows the first `bot intent: `; None where no line has it."""
    return _after(strings, "bot intent: ")


def _after(lines: list[str], label: str) -> str | None:
    return next((line[len(label) :] for line in lines if line.startswith(label)), None)


def get_first_bot_action(strings: list[str]) -> str | None:
    """The first `bot action: …` with the indented lines that go on with it."""
    for index, line in enumerate(strings):
        if line.startswith("bot action: "):
            rest = (more for more in _until_flush(strings[index + 1 :]))
            return line.removeprefix("bot action: ") + "".join(rest)
    return None


def _until_flush(lines: list[str]) -> list[str]:
    end = next((i for i, line in enumerate(lines) if not line.startswith("  ")), len(lines))
    return lines[:end]


def get_initial_actions(strings: list[str]) -> list[str]:
    """The lines before the first one that names a bot's intent."""
    end = next((i for i, line in enumerate(strings) if line.startswith("bot intent: ")), len(strings))
    return strings[:end]


def remove_action_intent_identifiers(lines: list[str]) -> list[str]:
    """The lines without their labels, such as `user intent: `."""
    return [next((line[len(label) :] for label in _LABELS if line.startswith(label)), line) for line in lines]


def escape_flow_name(name: str) -> str:
    """A text as a legal flow name."""
    for word in ("and", "or", "as"):
        name = name.replace(f" {word} ", f"_{word}_")
    name = _NUMBER.sub(lambda match: f"_{match.group()}_", name.replace("-", "_"))
    return re.sub(r"[^\w\s]", "", name)


def from_log_event_to_identifier(event_name: str) -> str:
    """`UserIntentLog` as `user intent`."""
    return _WORD_BOUNDARY.sub(" ", event_name.removesuffix("Log")).lower()


# --- events --------------------------------------------------------------------------------------------------------


def _last(events: Sequence[Event], *types: str) -> dict[str, Any] | None:
    return next((dict(event) for event in reversed(events) if event.get("type") in types), None)


def _reader(*types: str) -> Callable[[Sequence[Event]], dict[str, Any] | None]:
    def read(events: Sequence[Event]) -> dict[str, Any] | None:
        return _last(events, *types)

    return read


get_last_user_utterance_event = _reader("UserMessage")
get_last_user_utterance_event_v2_x = _reader("UtteranceUserActionFinished")
get_last_user_intent_event = _reader("UserIntent")
get_last_bot_intent_event = _reader("BotIntent")
get_last_bot_utterance_event = _reader("StartUtteranceBotAction")


def get_last_user_utterance(events: Sequence[Event]) -> str | None:
    """Colang 1.0: what the user said last; None before that."""
    event = _last(events, "UserMessage")
    return event.get("text") if event else None


def get_retrieved_relevant_chunks(
    events: Sequence[Event], skip_user_message: bool | None = False
) -> str | None:
    """What was last retrieved in this turn; with `skip_user_message` also in an earlier one."""
    for event in reversed(events):
        if event.get("type") == "UserMessage" and not skip_user_message:
            return None
        chunks = (
            (event.get("data") or {}).get("relevant_chunks") if event.get("type") == "ContextUpdate" else None
        )
        if chunks:
            return str(chunks).strip()
    return None


def extract_bot_thinking_from_events(events: Sequence[Event]) -> str | None:
    """What the model thought before its last answer; None where it told nothing."""
    event = _last(events, "BotThinking")
    return event.get("content") if event else None


def extract_tool_calls_from_events(events: Sequence[Event]) -> list[Any] | None:
    """The last calls that the model asked for; None where it asked for none."""
    event = _last(events, "BotToolCalls")
    return event.get("tool_calls") if event else None


def get_colang_history(
    events: Sequence[Event], include_texts: bool = True, remove_retrieval_events: bool = False
) -> str:
    """Events in Colang's notation, with or without what was said."""
    kept = [e for e in events if not (remove_retrieval_events and e.get("action_name") == _RETRIEVAL)]
    if not include_texts:
        # A text may go over several lines; without any, a line that is left belongs to an intent.
        kept = [{**event, "text": "", "script": ""} for event in kept]
    history = as_colang(kept)
    return history if include_texts else remove_text_messages_from_history(history)


def remove_text_messages_from_history(history: str) -> str:
    """A history without what was said, each line ended."""
    text = remove_text_messages(history)
    return text if not text or text.endswith("\n") else f"{text}\n"
