"""The one protocol for language models: a request goes in, an asynchronous stream of chunks comes out.

Everything that talks to a model sees these values alone: remote endpoints, the local engine, doubles in tests, and
the wrappers (retry, cache, limit, trace) that are folded round any of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import field
from typing import Any, Literal, Protocol, TypeAlias

from rails_engine.values import value_class

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]


@value_class
class ToolCall:
    """A function call that a model asks for; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@value_class
class ImagePart:
    """An image in a message: a URL or a `data:` URL."""

    url: str
    detail: str | None = None


@value_class
class TextPart:
    """A text among other parts of a message."""

    text: str


@value_class
class OtherPart:
    """A part that is passed on as it is: sound, a file, a film, or a text with notes for the provider."""

    field: Mapping[str, Any]

    @property
    def text(self) -> str:
        """What it says in words."""
        return str(self.field.get("text") or "") if self.field.get("type") == "text" else ""


Part: TypeAlias = TextPart | ImagePart | OtherPart
Content: TypeAlias = str | tuple[Part, ...]


@value_class
class Message:
    """One message of a conversation.

    `tool_calls` are an assistant's; `tool_call_id` is the call that a tool's message answers.
    """

    role: Role
    content: Content
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@value_class
class Tool:
    """A function that the model may call; `parameters` is its JSON Schema.

    `given` is the whole as its caller wrote it, where it came in the form that endpoints take: it is sent as it is.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool | None = None
    given: Mapping[str, Any] | None = None


@value_class
class Choice:
    """The output is exactly one of these texts."""

    options: tuple[str, ...]


@value_class
class Regex:
    """The whole output matches this pattern."""

    pattern: str


@value_class
class JsonSchema:
    """The output is one JSON value valid under this schema (JSON text)."""

    schema: str


Constraint: TypeAlias = Choice | Regex | JsonSchema


@value_class
class Sampling:
    """Sampling parameters; None leaves the choice to the model's own default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None


NO_SAMPLING = Sampling()
"""What a request without parameters has; this very object, so that it can be told by identity."""


@value_class
class LLMRequest:
    """One model call. Exactly one of `messages` and `prompt` is set.

    `streaming`: the caller reads piece by piece, so the endpoint is asked for pieces; without it the whole answer may
    come as one chunk. `priority`: smaller runs first. `deadline_s`: seconds from the call until it must be over.
    `cache_salt` keeps prefix caches of tenants apart. `task` says what the call is for, in logs. `extra` is sent to
    the endpoint as further body fields. `samples`: 0 for the answer; a number for that many answers drawn
    independently, which no cache gives and of which a model may give fewer.
    """

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    model: str | None = None
    sampling: Sampling = NO_SAMPLING
    tools: tuple[Tool, ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None
    constraint: Constraint | None = None
    streaming: bool = False
    adapter: str | None = None
    priority: int = 0
    deadline_s: float | None = None
    cache_salt: str | None = None
    task: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 0


@value_class
class ToolCallFragment:
    """A piece of a tool call; pieces with one `index` belong together, in order."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@value_class
class TokenLogprob:
    """A token's text and natural-log probability; `top` are the most probable tokens in its place, as (text, logprob)."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@value_class
class Usage:
    """Token counts as the model's server reports them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens


@value_class
class Chunk:
    """The next piece of an answer; every field may be empty.

    `cached`: it comes from a cache, no model ran. `metadata`: what the provider tells beside the answer, such as
    `response_headers`. `others`: the texts of the further answers, where several `samples` were asked for.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallFragment, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None
    cached: bool = False
    metadata: Mapping[str, Any] | None = None
    others: tuple[str, ...] = ()


class LLM(Protocol):
    """A language model. Implementations hold no per-request state and may be called concurrently."""

    @property
    def model_name(self) -> str:
        """What the model is called; empty where it does not say."""

    @property
    def provider_name(self) -> str:
        """Who runs it, as `engine` names it in a configuration."""

    def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """Run one request; closing the iterator early cancels it down to the engine.

        Raises:
            LLMClientError: a subclass saying what the remote model answered, at any point of the iteration.
            ConfigurationError: the model cannot be used as configured, such as without its key.
        """
        ...
