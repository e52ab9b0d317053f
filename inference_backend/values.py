"""The values that travel between callers and the engine. No torch, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from inference_backend.errors import EngineError, InvalidParameterError

FinishReason: TypeAlias = Literal["stop", "length", "cancelled", "error"]
Pooling: TypeAlias = Literal["last", "mean"]

MAX_LOGPROBS = 64
MAX_CHOICES = 128
MAX_STOPS = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """The output is exactly one of these texts."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole output matches this pattern (no look-around, no back-references)."""

    pattern: str


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The output is one JSON value valid under this schema (JSON text)."""

    schema: str


@dataclass(frozen=True, slots=True)
class Continued:
    """What a constraint leaves open once these tokens of the output are there: how beams are held to one."""

    constraint: Choice | Regex | JsonSchema
    tokens: tuple[int, ...]


Constraint: TypeAlias = Choice | Regex | JsonSchema | Continued


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """How tokens are chosen and when a generation ends.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1 and `min_p` 0 are off. `max_tokens` None runs to the model's last
    position. `seed` None draws a fresh seed. `logprobs` is the number of alternatives returned beside each chosen
    token (0: the chosen one alone; None: none), among those that the constraint allows with `allowed_logprobs`;
    `prompt_logprobs` the same for the prompt's tokens. `beam_width` above 1 is beam search, which ignores the sampling
    fields; `length_penalty` is the exponent of the length that a beam's score is divided by.

    Raises:
        InvalidParameterError: on construction, naming the field.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    n: int = 1
    max_tokens: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    include_stop: bool = False
    skip_special_tokens: bool = True
    logprobs: int | None = None
    allowed_logprobs: bool = False
    prompt_logprobs: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    constraint: Constraint | None = None
    beam_width: int = 1
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            _within(name, getattr(self, name), low, high)
        for name, low, high in _OPTIONAL_RANGES:
            value = getattr(self, name)
            if value is not None:
                _within(name, value, low, high)
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise InvalidParameterError(
                f"min_tokens ({self.min_tokens}) is above max_tokens ({self.max_tokens})", param="min_tokens"
            )
        if any(not stop for stop in self.stop):
            raise InvalidParameterError("a stop string is empty", param="stop")
        if len(self.stop) > MAX_STOPS:
            raise InvalidParameterError(f"at most {MAX_STOPS} stop strings are allowed", param="stop")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken."""
        return self.temperature == 0.0

    @property
    def most_logprobs(self) -> int | None:
        """The alternatives that a sampled position of its sequence may need; None where it needs no log probability."""
        asked = [count for count in (self.logprobs, self.prompt_logprobs) if count is not None]
        return max(asked, default=None)

    @property
    def penalised(self) -> bool:
        """Whether the tokens so far change the logits."""
        return self.presence_penalty != 0.0 or self.frequency_penalty != 0.0 or self.repetition_penalty != 1.0


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("temperature", 0.0, 100.0),
    ("top_k", 0, 2**31 - 1),
    ("top_p", 1e-9, 1.0),
    ("min_p", 0.0, 1.0),
    ("presence_penalty", -2.0, 2.0),
    ("frequency_penalty", -2.0, 2.0),
    ("repetition_penalty", 1e-3, 100.0),
    ("n", 1, MAX_CHOICES),
    ("min_tokens", 0, 2**31 - 1),
    ("beam_width", 1, MAX_LOGPROBS // 2),
    ("length_penalty", -10.0, 10.0),
)
_OPTIONAL_RANGES: tuple[tuple[str, float, float], ...] = (
    ("logprobs", 0, MAX_LOGPROBS),
    ("prompt_logprobs", 0, MAX_LOGPROBS),
    ("max_tokens", 1, 2**31 - 1),
)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        raise InvalidParameterError(f"{name} is {value}, but must lie between {low} and {high}", param=name)


@dataclass(frozen=True, slots=True)
class Request:
    """One generation asked of the engine.

    `prompt_ids` are token ids; ids at or above the vocabulary's size name rows of a loaded prompt-tuned prefix.
    `priority`: smaller runs first. `cache_salt` keeps prefix caches of tenants apart. `deadline_s`: seconds from
    arrival until the answer must be complete. `pooling` set makes this an embedding request: no token is
    generated, the pooled hidden state is the answer.
    """

    id: str
    prompt_ids: tuple[int, ...]
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    priority: int = 0
    cache_salt: str = ""
    adapter: str | None = None
    deadline_s: float | None = None
    pooling: Pooling | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A chosen token with its log probability (natural logarithm) and the most likely alternatives."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request: of its prompt, generated, and of the prompt those taken from the prefix cache."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """What is new for one choice of one request; the last one of a choice carries `finish`.

    `text` never splits a character and never shows a stop string. `prompt_logprobs` are those of the prompt's tokens
    from the second on (nothing comes before the first), of choice 0, in order. `stop_reason` is the stop string or
    token id that ended the choice. `error` is set exactly where `finish` is "error" or "cancelled". `embedding` is
    the answer of an embedding request, float32 values.
    """

    request_id: str
    index: int = 0
    text: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_logprobs: tuple[TokenLogprob, ...] = ()
    finish: FinishReason | None = None
    stop_reason: str | int | None = None
    error: EngineError | None = None
    usage: Usage | None = None
    embedding: tuple[float, ...] | None = None
