"""Between the public model protocol and ours, both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from rails_engine.errors import ModelInitializationError
from rails_engine.llm.answer import Completion, complete, completion_of, tool_calls_of
from rails_engine.llm.base import (
    LLM,
    Chunk,
    LLMRequest,
)
from rails_engine.llm.layer import address_of, users_object
from rails_engine.llm.public import (
    LLMModel,
    LLMResponse,
    LLMResponseChunk,
    Prompt,
)
from rails_engine.llm.public import ToolCall as PublicToolCall
from rails_engine.llm.shapes import (
    call_of,
    chunk_of_piece,
    chunk_of_response,
    public_call,
    public_chunk_of,
    request_of,
    response_of,
)
from rails_engine.llm.streams import Reading
from rails_engine.llm.think import parted, undivided


class PublicModel:
    """An `LLM` of ours as users' code sees it: implements `LLMModel`. What a user's own model has besides, it has too."""

    def __init__(self, llm: LLM) -> None:
        self.llm = llm

    def __getattr__(self, name: str) -> Any:
        own = users_object(self.llm) if "llm" in self.__dict__ else None
        if own is None:
            raise AttributeError(f"a model has no attribute {name!r}")
        return getattr(own, name)

    @property
    def model_name(self) -> str:
        """See `LLMModel.model_name`."""
        return self.llm.model_name

    @property
    def provider_name(self) -> str:
        """See `LLMModel.provider_name`."""
        return self.llm.provider_name

    @property
    def provider_url(self) -> str | None:
        """See `LLMModel.provider_url`."""
        return address_of(self.llm)

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """See `LLMModel.generate_async`."""
        return response_of(await complete(self.llm, request_of(prompt, stop, kwargs)))

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        """See `LLMModel.stream_async`."""
        request = request_of(prompt, stop, {**kwargs, "streaming": True})
        calls = _Calls()
        async with Reading(self.llm.stream(request)) as chunks:
            async for chunk in chunks:
                yield public_chunk_of(chunk, calls.whole(chunk))
        rest = calls.rest()
        if rest:
            yield LLMResponseChunk(delta_tool_calls=rest)


class _Calls:
    """Users get a call once its arguments are whole: with the piece that says why the model stopped, or at the end."""

    def __init__(self) -> None:
        self._pieces: list[Chunk] = []

    def whole(self, chunk: Chunk) -> list[PublicToolCall] | None:
        """The calls that are whole with this piece of the answer."""
        if chunk.tool_calls:
            self._pieces.append(chunk)
        return self.rest() if chunk.finish_reason else None

    def rest(self) -> list[PublicToolCall] | None:
        """The calls not given out yet."""
        pieces, self._pieces = self._pieces, []
        return [public_call(call) for call in tool_calls_of(pieces)] or None


class UserModel:
    """A user's `LLMModel` as an `LLM` of ours."""

    def __init__(self, model: LLMModel) -> None:
        self.model = model

    @property
    def users(self) -> object:
        """The user's object."""
        return self.model

    @property
    def model_name(self) -> str:
        """See `LLM.model_name`."""
        return self.model.model_name or ""

    @property
    def provider_name(self) -> str:
        """See `LLM.provider_name`."""
        return self.model.provider_name or ""

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`; what the user's model raises goes through unchanged."""
        async with Reading(parted(self._chunks(request), streaming=request.streaming)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: LLMRequest) -> Completion:
        """See `Completing.complete`."""
        return completion_of(undivided(await self._whole(request)))

    async def _whole(self, request: LLMRequest) -> Chunk:
        prompt, stop, kwargs = call_of(request)
        response = await self.model.generate_async(prompt, stop=stop, **kwargs)
        if not hasattr(response, "content"):  # whatever looks like an answer is one
            kind = type(self.model).__name__
            raise TypeError(f"generate_async of {kind} gave {response!r:.80}; an LLMResponse is due")
        return chunk_of_response(response)

    async def _chunks(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        if not request.streaming:
            yield await self._whole(request)
            return
        prompt, stop, kwargs = call_of(request)
        async with Reading(self.model.stream_async(prompt, stop=stop, **kwargs)) as pieces:
            earlier = 0
            async for piece in pieces:
                yield chunk_of_piece(piece, earlier)
                earlier += len(piece.delta_tool_calls or ())


def public_model(llm: LLM) -> LLMModel:
    """What an action gets for `llm`: the user's own object where there is one."""
    return llm.model if isinstance(llm, UserModel) else PublicModel(llm)


def as_llm(model: object) -> LLM:
    """Any model object a user may pass, as an `LLM`.

    Raises:
        ModelInitializationError: it has none of the protocols known here.
    """
    if isinstance(model, PublicModel):
        return model.llm
    if hasattr(model, "generate_async") and hasattr(model, "stream_async"):
        return UserModel(cast("LLMModel", model))
    if hasattr(model, "ainvoke"):
        from rails_engine.llm.langchain import LangChainModel

        return LangChainModel(model)
    if hasattr(model, "stream") and hasattr(model, "model_name"):
        return cast("LLM", model)
    raise ModelInitializationError(
        f"{type(model).__name__} is no model: it needs `generate_async` and `stream_async` (LLMModel), "
        "or `ainvoke` (LangChain)"
    )
