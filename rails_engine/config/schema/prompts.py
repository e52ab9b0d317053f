"""`instructions` and `prompts`: what the models are told."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from rails_engine.config.schema.base import Section

DEFAULT_MAX_LENGTH = 16_000


class Instruction(Section):
    type: str
    content: str


class MessageTemplate(Section):
    """One message of a chat prompt; `type` is its role, `content` a template."""

    type: str
    content: str


class TaskPrompt(Section):
    """The prompt of one task: a text template, or a list of message templates.

    `max_length` is in characters of the rendered prompt, `max_tokens` bounds the completion.
    """

    task: str
    content: str | None = None
    messages: list[MessageTemplate | str] | None = None
    models: list[str] | None = None
    output_parser: str | None = None
    max_length: int | None = Field(default=DEFAULT_MAX_LENGTH, ge=1)
    mode: str | None = "standard"
    stop: list[str] | None = None
    max_tokens: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if not self.content and not self.messages:
            raise ValueError(f"the prompt of task `{self.task}` needs `content` or `messages`")
        if self.content and self.messages:
            raise ValueError(f"the prompt of task `{self.task}` has both `content` and `messages`; keep one")
        return self
