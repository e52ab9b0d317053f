"""The forms in which LangChain's callers ask, and the same forms for the answer.

text                    ->  text (a stream gives message chunks)
StringPromptValue       ->  text
message, messages, ChatPromptValue  ->  AIMessage
{input_key: any of these}           ->  {output_key: the same}
{input_key: list of dictionaries}   ->  {output_key: a dictionary with role and content}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue, PromptValue, StringPromptValue

from rails_engine.langchain.messages import (
    PlainMessage,
    ai_chunk,
    as_messages,
    plain_messages,
    with_last_user_text,
)
from rails_engine.response import GenerationResponse
from rails_engine.streaming import Frame

FORMS: Final = "a text, a message, a list of messages, a prompt value, or a dictionary with one of these"
QUESTION_KEY: Final = "input"
ANSWER_KEY: Final = "output"
CONTEXT: Final = "context"


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the question and the answer stand in dictionaries."""

    question: str = QUESTION_KEY
    answer: str = ANSWER_KEY


@dataclass(frozen=True, slots=True)
class ChainInput:
    """What a caller gave: the whole `value`, the `question` in it, and the `messages` that it stands for.

    `key` is where the question stands in a dictionary; None where it is the whole value.
    """

    value: Any
    question: Any
    messages: Sequence[PlainMessage]
    keys: Keys
    key: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_text(self) -> bool:
        """Whether the answer is a text rather than a message."""
        return isinstance(self.question, str | StringPromptValue)

    @property
    def is_plain(self) -> bool:
        """Whether the answer is a dictionary with a role, as the messages were."""
        listed = self.question if isinstance(self.question, list) else []
        return self.key is not None and bool(listed) and all(isinstance(item, Mapping) for item in listed)

    def request_messages(self) -> list[PlainMessage]:
        """The messages of the request, the context in front of them."""
        before = [{"role": "context", "content": dict(self.context)}] if self.context else []
        return [*before, *self.messages]

    def wrapped(self, answer: Any) -> Any:
        """An answer where the caller looks for it."""
        return answer if self.key is None else {self.keys.answer: answer}

    def piece(self, frame: Frame) -> Any:
        """A piece of a stream; None where this form has nothing to show for it."""
        as_text = self.is_text and (self.key is not None or not isinstance(self.question, str))
        if as_text:
            return self.wrapped(frame.text) if frame.text else None
        chunk = ai_chunk(frame)
        is_empty = not (chunk.content or chunk.tool_calls or chunk.additional_kwargs or chunk.usage_metadata)
        return None if is_empty else self.wrapped(chunk)

    def rewritten(self, text: str) -> Any:
        """The whole value with the user's last message as the rails left it."""
        question = _rewritten(self.question, text)
        return question if self.key is None else {**self.value, self.key: question}


def _rewritten(question: Any, text: str) -> Any:
    if isinstance(question, str):
        return text
    if isinstance(question, StringPromptValue):
        return StringPromptValue(text=text)
    if isinstance(question, BaseMessage):
        return with_last_user_text([question], text)[0]
    if isinstance(question, PromptValue):
        return ChatPromptValue(messages=with_last_user_text(question.to_messages(), text))
    return with_last_user_text(as_messages(question), text)


def read_question(value: Any, keys: Keys) -> ChainInput:
    """What a caller gave, in one of the forms above.

    Raises:
        ValueError: it has none of them.
    """
    if not isinstance(value, Mapping):
        return ChainInput(value, value, _messages_of(value), keys)
    key = next((name for name in (keys.question, QUESTION_KEY) if name in value), None)
    if key is None:
        found = ", ".join(repr(name) for name in value) or "none"
        raise ValueError(f"a dictionary has its question under {keys.question!r}; keys given: {found}")
    context = value.get(CONTEXT)
    if context is not None and not isinstance(context, Mapping):
        raise ValueError(f"{CONTEXT!r} is a dictionary of variables, not {type(context).__name__}")
    question = value[key]
    return ChainInput(value, question, _messages_of(question), keys, key, context or {})


def _messages_of(question: Any) -> list[PlainMessage]:
    if isinstance(question, str):
        return [{"role": "user", "content": question}]
    if isinstance(question, StringPromptValue):
        return [{"role": "user", "content": question.text}]
    if isinstance(question, PromptValue):
        return plain_messages(question.to_messages())
    if isinstance(question, BaseMessage):
        return plain_messages([question])
    if isinstance(question, list | tuple):
        return plain_messages(question)
    raise ValueError(f"Unsupported input type {type(question).__name__!r}: give {FORMS}")


def last_user_text(messages: Sequence[PlainMessage]) -> Any:
    """The content of the user's last message; None where there is none."""
    return next((m["content"] for m in reversed(messages) if m["role"] == "user"), None)


def said(response: GenerationResponse) -> str | Mapping[str, Any]:
    """The text of an answer, or the event of the rail that raised its exception instead."""
    if isinstance(response.response, str):
        return response.response
    content = response.response[-1].get("content") if response.response else ""
    return content if isinstance(content, Mapping) else str(content or "")
