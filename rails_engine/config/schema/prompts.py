"""`instructions` and `prompts`: what the models are told."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from rails_engine.config.schema.base import Section

DEFAULT_MAX_LENGTH = 16_000


class Instruction(Section):
    """Text that prompts begin with."""

    type: str = Field(description="`general`, or a name of your own.")
    content: str = Field(description="The text.")


class MessageTemplate(Section):
    """One message of a chat prompt; `type` is its role, `content` a template."""

    type: str = Field(description="`system`, `user`, `assistant`, or a variable that holds messages.")
    content: str = Field(description="A template.")


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "mapping"


_MessageOfPrompt: TypeAlias = Annotated[
    Annotated[MessageTemplate, Tag("mapping")] | Annotated[str, Tag("text")], Discriminator(_kind)
]


class TaskPrompt(Section):
    """The prompt of one task: a text template, or a list of message templates.

    `max_length` is in characters of the rendered prompt, `max_tokens` bounds the completion.
    """

    task: str = Field(description="The task that the prompt is for.")
    content: str | None = Field(default=None, description="The prompt as one text template.")
    messages: list[_MessageOfPrompt] | None = Field(
        default=None, description="The prompt as messages; a text stands for messages of the conversation."
    )
    models: list[str] | None = Field(
        default=None, description="The models that it is for, as `engine/model`, an engine or a model."
    )
    output_parser: str | None = Field(default=None, description="What reads the answer.")
    max_length: int | None = Field(
        default=DEFAULT_MAX_LENGTH,
        ge=1,
        description="Characters of the prompt; the oldest turns of its history are left out beyond.",
    )
    mode: str | None = Field(default="standard", description="The prompting mode that it belongs to.")
    stop: list[str] | None = Field(default=None, description="Texts at which the model stops.")
    max_tokens: int | None = Field(default=None, ge=1, description="Bound on the answer.")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if not self.content and not self.messages:
            raise ValueError(f"the prompt of task `{self.task}` needs `content` or `messages`")
        if self.content and self.messages:
            raise ValueError(f"the prompt of task `{self.task}` has both `content` and `messages`; keep one")
        return self
