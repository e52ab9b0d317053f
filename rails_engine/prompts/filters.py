"""The filters that prompt templates name. The names are public, and so is what each one gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rails_engine.prompts.history import as_chat, as_colang, as_log, as_sequence

Message: TypeAlias = dict[str, str]


@dataclass(slots=True)
class Turn:
    """A user turn of a 1.0 history: what the user said and meant, and every line until the next one, blank ones too."""

    text: str | None = None
    intent: str | None = None
    lines: list[str] = field(default_factory=list)


def turns_of(history: str) -> Iterator[Turn]:
    """The turns of a 1.0 history; bot lines before the first user line make a turn without text."""
    turn: Turn | None = None
    for line in _lines_of(history):
        if line.startswith("user "):
            if turn:
                yield turn
            said = line.removeprefix("user ").strip()
            quoted = said.startswith('"')
            turn = Turn(_unquoted(said) if quoted else None, None if quoted else said)
        elif turn and turn.intent is None and not any(turn.lines) and line.startswith("  "):
            turn.intent = line.strip()
        else:
            turn = turn or Turn()
            turn.lines.append(line)
    if turn:
        yield turn


def _lines_of(history: str) -> Iterator[str]:
    """The lines of a history; a text that goes on over several is one with what it belongs to."""
    lines = history.splitlines()
    closing = [len(lines)] * (len(lines) + 1)  # where the next line stands that ends with a quote
    for place in range(len(lines) - 1, -1, -1):
        closing[place] = place if lines[place].endswith('"') else closing[place + 1]
    place = 0
    while place < len(lines):
        line, last = lines[place], place
        if line.startswith(_TEXTS) and (not line.endswith('"') or line in _TEXTS):
            last = closing[place + 1]
        last = last if last < len(lines) else place
        yield "\n".join(lines[place : last + 1])
        place = last + 1


_TEXTS = ('user "', '  "')


def _unquoted(text: str) -> str:
    return text.removeprefix('"').removesuffix('"')


def first_turns(colang_history: str, n: int) -> str:
    """The first `n` user turns of a history."""
    kept: list[str] = []
    count = 0
    for line in _lines_of(colang_history):
        count += _starts_turn(line)
        if count > n:
            return "\n".join(kept)
        kept.append(line)
    return "\n".join(kept) + _ending(colang_history)


def last_turns(colang_history: str, n: int) -> str:
    """The last `n` user turns of a history."""
    lines = list(_lines_of(colang_history.rstrip("\n")))
    starts = [i for i, line in enumerate(lines) if _starts_turn(line)]
    first = starts[-n] if 0 < n <= len(starts) else 0
    return "\n".join(lines[first:]) + _ending(colang_history)


def _ending(text: str) -> str:
    """The last line break of a text, if it has one; what is made of the whole text keeps it."""
    return "\n" if text.endswith("\n") else ""


def _starts_turn(line: str) -> bool:
    return line.startswith(("user ", "user action: ")) and not line.startswith("user intent: ")


def remove_text_messages(colang_history: str) -> str:
    """A 1.0 history with intents alone: what was said is left out where its intent is known."""
    result: list[str] = []
    for turn in turns_of(colang_history):
        if turn.text is not None or turn.intent is not None:
            result.append(f"user {turn.intent}" if turn.intent is not None else f'user "{turn.text}"')
        result += [line for line in turn.lines if not line.startswith('  "')]
    return "\n".join(result) + _ending(colang_history)


def indent(text: str, n_spaces: int) -> str:
    """Every line that is not empty, moved in by `n_spaces`."""
    return "\n".join(" " * n_spaces + line if line.strip() else line for line in text.splitlines()) + _ending(
        text
    )


def verbose_v1(colang_history: str) -> str:
    """A 1.0 history with each line labelled, for models that do better with labels."""
    result: list[str] = []
    for turn in turns_of(colang_history):
        if turn.text is not None:
            result.append(f'User message: "{turn.text}"')
        if turn.intent is not None:
            result.append(f"User intent: {turn.intent}")
        result += [_labelled(line) for line in turn.lines]
    return "\n".join(result) + _ending(colang_history)


def _labelled(line: str) -> str:
    if line.startswith("bot "):
        return f"Bot intent: {line.removeprefix('bot ')}"
    return f"Bot message: {line.strip()}" if line.startswith('  "') else line


def to_messages(colang_history: str) -> list[Message]:
    """Chat messages: what the user said, then one answer with the intents and the text."""
    messages: list[Message] = []
    for turn in turns_of(colang_history):
        if turn.text is not None:
            messages.append(_message("user", turn.text))
        lines = [f"User intent: {turn.intent}"] if turn.intent is not None else []
        lines += [_labelled(line) for line in turn.lines if line.strip()]
        if lines:
            messages.append(_message("assistant", "\n".join(lines)))
    return messages


def to_intent_messages(colang_history: str) -> list[Message]:
    """Chat messages with intents alone; that of the last turn may still be open."""
    messages: list[Message] = []
    for turn in turns_of(colang_history):
        if turn.text is not None or turn.intent is not None:
            messages.append(_message("user", f"User intent: {turn.intent or ''}"))
        messages += [_message("assistant", _labelled(line)) for line in turn.lines if line.startswith("bot ")]
    return messages


def to_intent_messages_2(colang_history: str) -> list[Message]:
    """Chat messages: what the user said, then the bot's intents and texts one by one."""
    messages: list[Message] = []
    for turn in turns_of(colang_history):
        if turn.text is not None:
            messages.append(_message("user", turn.text))
        spoken = (line for line in turn.lines if line.startswith(("bot ", '  "')))
        messages += [_message("assistant", _labelled(line)) for line in spoken]
    return messages


def to_messages_v2(colang_history: str) -> list[Message]:
    """Chat messages of a 2.x history: each user action, then the lines up to the next one."""
    messages: list[Message] = []
    answer: list[str] = []
    for line in [*colang_history.splitlines(), "user action: "]:
        if not line.startswith("user action: "):
            answer += [line] if line.strip() else []
            continue
        if answer:
            messages.append(_message("assistant", "\n".join(answer)))
        answer = []
        messages.append(_message("user", line))
    return messages[:-1]


def _message(kind: str, content: str) -> Message:
    return {"type": kind, "content": content}


FILTERS: Mapping[str, Callable[..., Any]] = {
    "colang": as_colang,
    "co_v2": as_log,
    "colang_without_identifiers": as_colang,
    "remove_text_messages": remove_text_messages,
    "first_turns": first_turns,
    "last_turns": last_turns,
    "indent": indent,
    "user_assistant_sequence": as_sequence,
    "to_messages": to_messages,
    "to_messages_v2": to_messages_v2,
    "to_intent_messages": to_intent_messages,
    "to_intent_messages_2": to_intent_messages_2,
    "to_chat_messages": as_chat,
    "verbose_v1": verbose_v1,
}
