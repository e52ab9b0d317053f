"""OpenAI-compatible embedding endpoints: OpenAI, NVIDIA (`input_type`, `truncate`), Azure, and any server of the kind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rails_engine.loops import PerLoop
from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.errors import OFFLINE, EmbeddingConfigError, EmbeddingError, EmbeddingRemoteError
from rails_engine.retrieval.unsized import UnsizedEmbedder
from rails_engine.retrieval.vectors import Vectors, of_one_length, remote_rows

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Truncate = Literal["NONE", "START", "END"]

_NVIDIA_BASE_URL = "https://integrate.api.nvidia.com/v1"
_LOCAL_KEY = "not-needed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to ask.

    `asymmetric` sends `input_type` query or passage, which NVIDIA's retrievers need. `azure_version` set means an Azure
    resource at `base_url`, whose deployment is `model`. `extra` is sent as further body fields.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    asymmetric: bool = False
    truncate: Truncate | None = None
    azure_version: str | None = None
    batch_size: int = 128
    timeout_s: float = 30.0
    retries: int = 2
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def resolved_key(self) -> str:
        """The key as given, or from its variable; a server of one's own may need none.

        Raises:
            EmbeddingConfigError: a hosted service and no key.
        """
        key = self.api_key or os.environ.get(self.key_variable)
        if key:
            return key
        if self.base_url and not self.azure_version and self.base_url != _NVIDIA_BASE_URL:
            return _LOCAL_KEY
        raise EmbeddingConfigError(
            f"the embedding model {self.model!r} needs a key: set {self.key_variable}, or name an endpoint of your own "
            "(parameters.base_url), or leave the engine out to use the built-in offline embedder"
        )


class EndpointEmbedder(UnsizedEmbedder):
    """An `Embedder` over an OpenAI-compatible `/embeddings`; one client for each event loop, made on first use."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._clients: PerLoop[AsyncOpenAI] = PerLoop(lambda: _make_client(endpoint))

    @property
    def model_name(self) -> str:
        """See `Embedder.model_name`."""
        return f"{self._endpoint.base_url or 'openai'}#{self._endpoint.model}"

    async def _vectors(self, texts: Sequence[str], kind: EmbeddingKind) -> Vectors:
        """As declared; `batch_size` texts a request, requests one after another.

        Raises:
            EmbeddingConfigError: the key is missing or refused.
            EmbeddingRemoteError: the endpoint failed after its retries or answered nonsense.
        """
        size = self._endpoint.batch_size
        parts = [await self._request(texts[i : i + size], kind) for i in range(0, len(texts), size)]
        return of_one_length(parts, self._dimension, self.model_name)

    async def aclose(self) -> None:
        """Close the client of the running loop."""
        client = self._clients.take()
        if client is not None:
            await client.close()

    async def _request(self, texts: Sequence[str], kind: EmbeddingKind) -> Vectors:
        import openai

        client = self._clients.get()
        try:
            # The SDK asks for base64 unless told otherwise and decodes it, which halves the bytes on the wire.
            reply = await client.embeddings.create(
                # An empty text is an error at most endpoints; a blank one is not.
                model=self._endpoint.model,
                input=[text or " " for text in texts],
                extra_body=self._extra(kind),
            )
            rows = [entry.embedding for entry in sorted(reply.data, key=lambda entry: entry.index)]
        except openai.OpenAIError as error:
            raise _translated(error, self.model_name, self._endpoint.key_variable) from error
        except (TypeError, AttributeError, ValueError) as error:
            raise EmbeddingRemoteError(f"{self.model_name}: the reply is no list of embeddings") from error
        return remote_rows(rows, len(texts), self.model_name)

    def _extra(self, kind: EmbeddingKind) -> dict[str, Any]:
        body = dict(self._endpoint.extra)
        if self._endpoint.asymmetric:
            body["input_type"] = kind.value
        if self._endpoint.truncate:
            body["truncate"] = self._endpoint.truncate
        return body


def nvidia_base_url(base_url: str | None) -> str:
    """The given address, or NVIDIA's hosted catalogue."""
    return base_url or _NVIDIA_BASE_URL


def _make_client(endpoint: Endpoint) -> AsyncOpenAI:
    import openai

    # By itself the SDK follows redirects, and takes every header but one along to wherever they lead.
    carrier = openai.DefaultAsyncHttpxClient(follow_redirects=False)
    if endpoint.azure_version:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=endpoint.base_url or "",
            azure_deployment=endpoint.model,
            api_version=endpoint.azure_version,
            api_key=endpoint.resolved_key(),
            timeout=endpoint.timeout_s,
            max_retries=endpoint.retries,
            default_headers=endpoint.headers,
            http_client=carrier,
        )
    return openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.resolved_key(),
        timeout=endpoint.timeout_s,
        max_retries=endpoint.retries,
        default_headers=endpoint.headers,
        http_client=carrier,
    )


def _translated(error: Exception, name: str, key_variable: str) -> EmbeddingError:
    import openai

    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return EmbeddingConfigError(f"{name}: the key was refused; check {key_variable}")
    if isinstance(error, openai.APIStatusError):
        return EmbeddingRemoteError(f"{name}: HTTP {error.status_code}: {error.message}", error.status_code)
    if isinstance(error, openai.APIConnectionError):
        return EmbeddingRemoteError(f"{name}: cannot be reached ({error.__cause__ or error}). {OFFLINE}")
    return EmbeddingRemoteError(f"{name}: {error}")
