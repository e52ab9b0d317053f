"""Where a remote model is and how it is spoken to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from rails_engine.errors import MissingKeyError
from rails_engine.values import value_class


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint for one model.

    `base_url` ends before `/chat/completions`. `key_variables` are the environment variables that may hold the key;
    without `key_required` an endpoint is called without one. `defaults` are body fields of every request. Times are
    in seconds: `timeout_s` for a whole answer, or between two pieces of a streamed one.
    """

    provider: str
    model: str
    base_url: str
    api_key: str | None = None
    key_variables: tuple[str, ...] = ()
    key_required: bool = False
    key_header: str = "Authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    mode: Literal["chat", "text"] = "chat"
    timeout_s: float = 600.0
    connect_timeout_s: float = 5.0
    verify_tls: bool = True

    @property
    def path(self) -> str:
        """What follows `base_url`."""
        return "/chat/completions" if self.mode == "chat" else "/completions"

    def described(self) -> dict[str, Any]:
        """What errors say of this endpoint; never the key."""
        return {"model_name": self.model, "provider_name": self.provider, "base_url": self.base_url}

    def request_headers(self) -> dict[str, str]:
        """The headers of every request.

        Raises:
            MissingKeyError: the endpoint needs a key and none is set.
        """
        if not self.api_key:
            if self.key_required:
                raise MissingKeyError(self._how_to_go_on())
            return dict(self.headers)
        value = f"Bearer {self.api_key}" if self.key_header == "Authorization" else self.api_key
        return {self.key_header: value, **self.headers}

    def _how_to_go_on(self) -> str:
        variable = self.key_variables[0] if self.key_variables else "api_key"
        return (
            f"model {self.model} of engine {self.provider} needs an API key and {variable} is not set. Three ways on: "
            f"set it (export {variable}=...), point the model at a local endpoint (engine: ollama or vllm, or "
            "parameters.base_url), or use an offline configuration such as configs/hello_world, which needs no model."
        )


@value_class
class Reply:
    """A JSON object that came back, and the header fields of the answer it came in, by lower-case name."""

    data: Mapping[str, Any]
    headers: Mapping[str, str]


class Channel(Protocol):
    """Carries requests to one endpoint; may be used concurrently."""

    async def answer(self, body: Mapping[str, Any], timeout_s: float) -> Reply:
        """POST `body`; what comes back.

        Raises:
            LLMClientError: the endpoint did not answer as asked.
            MissingKeyError: it needs a key and none is set.
        """
        ...

    def events(self, body: Mapping[str, Any], timeout_s: float) -> AsyncIterator[Reply]:
        """POST `body`, which asks for a stream; yields each server-sent event as it comes.

        Raises:
            LLMClientError, MissingKeyError: as `answer`, at any point of the iteration.
        """
        ...


class Transport(Protocol):
    """Makes channels, which share its connections."""

    def channel(self, endpoint: Endpoint) -> Channel:
        """A channel to one endpoint; opens nothing yet."""

    async def close(self) -> None:
        """Close every connection."""
        ...
