"""The calls of `LLMRails` that answer, with what each gives back by what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, overload

from rails_engine.background import background_loop
from rails_engine.llm import Reading
from rails_engine.messages import NOTHING_SAID
from rails_engine.options import GenerationOptions
from rails_engine.request import Request
from rails_engine.response import GenerationResponse
from rails_engine.state import State
from rails_engine.streaming import Frame

Messages: TypeAlias = Sequence[Mapping[str, Any]]
Wanted: TypeAlias = Mapping[str, Any] | GenerationOptions
Options: TypeAlias = Wanted | None
Saved: TypeAlias = State | Mapping[str, Any]
AnyState: TypeAlias = Saved | None
Answer: TypeAlias = str | dict[str, Any] | GenerationResponse


class Answering(ABC):
    """Answers whole or piece by piece, inside an event loop or without one."""

    @abstractmethod
    def request(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
    ) -> Request:
        """What a call asks for, read and held to the bounds.

        Raises:
            ValueError, InvalidStateError: as `generate_async`.
        """

    @abstractmethod
    async def answer(self, request: Request, streaming_handler: Any = None) -> Answer:
        """Answer a request that has been read; see `generate_async`."""

    @abstractmethod
    def frames(self, request: Request, generator: AsyncIterator[Any] | None = None) -> AsyncIterator[Frame]:
        """The answer to a request that has been read, piece by piece; see `stream_async`."""

    @overload
    async def generate_async(
        self,
        prompt: str,
        messages: None = None,
        options: None = None,
        state: None = None,
        streaming_handler: Any = None,
    ) -> str: ...

    @overload
    async def generate_async(
        self,
        prompt: None = None,
        *,
        messages: Messages,
        options: None = None,
        state: None = None,
        streaming_handler: Any = None,
    ) -> dict[str, Any]: ...

    @overload
    async def generate_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        *,
        options: Wanted,
        state: AnyState = None,
        streaming_handler: Any = None,
    ) -> GenerationResponse: ...

    @overload
    async def generate_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        *,
        state: Saved,
        streaming_handler: Any = None,
    ) -> GenerationResponse: ...

    @overload
    async def generate_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
        streaming_handler: Any = None,
    ) -> Answer: ...

    async def generate_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
        streaming_handler: Any = None,
    ) -> Any:
        """Answer a prompt with a text, or messages with a message; with `options` or `state` a GenerationResponse.

        Where a rail raises its exception (`enable_rails_exceptions`) the answer to a prompt is the exception's event.

        Raises:
            ValueError: neither or both of `prompt` and `messages`, or one of them malformed.
            InvalidStateError: `state` was not given out by this configuration.
            LLMCallException: the main model failed; a state that was passed is as it was.
        """
        return await self.answer(self.request(prompt, messages, options, state), streaming_handler)

    @overload
    def generate(
        self, prompt: str, messages: None = None, options: None = None, state: None = None
    ) -> str: ...

    @overload
    def generate(
        self, prompt: None = None, *, messages: Messages, options: None = None, state: None = None
    ) -> dict[str, Any]: ...

    @overload
    def generate(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        *,
        options: Wanted,
        state: AnyState = None,
    ) -> GenerationResponse: ...

    @overload
    def generate(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        *,
        state: Saved,
    ) -> GenerationResponse: ...

    @overload
    def generate(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
    ) -> Answer: ...

    def generate(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
    ) -> Any:
        """As `generate_async`, for code without an event loop.

        Raises:
            RuntimeError: called inside a running event loop.
        """
        # By name, as subclasses may have them in another order.
        work = self.generate_async(prompt=prompt, messages=messages, options=options, state=state)
        return background_loop().run(work, "generate_async(…)")

    @overload
    def stream_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
        include_metadata: Literal[False] | None = False,
        generator: AsyncIterator[Any] | None = None,
        include_generation_metadata: Literal[False] | None = None,
    ) -> AsyncIterator[str]: ...

    @overload
    def stream_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
        *,
        include_metadata: Literal[True],
        generator: AsyncIterator[Any] | None = None,
        include_generation_metadata: bool | None = None,
    ) -> AsyncIterator[dict[str, Any]]: ...

    @overload
    def stream_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
        include_metadata: bool | None = False,
        generator: AsyncIterator[Any] | None = None,
        include_generation_metadata: bool | None = None,
    ) -> AsyncIterator[str | dict[str, Any]]: ...

    async def stream_async(  # noqa: PLR0913, PLR0917 -- the public signature that users call
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
        include_metadata: bool | None = False,
        generator: AsyncIterator[Any] | None = None,
        include_generation_metadata: bool | None = None,
    ) -> AsyncIterator[Any]:
        """The answer piece by piece; a failure ends it with an error frame (see `streaming`).

        `generator` is a model's answer from elsewhere that is to pass the output rails. With `include_metadata` each
        piece is `{"text": …, "metadata": {…}}`: reasoning, tool calls and usage come in the metadata. Closing the
        iterator stops the model.

        Raises:
            ValueError: as `generate_async`; StreamingNotSupportedError among them, where there are output rails and
                `rails.output.streaming.enabled` is false.
        """
        framed = bool(include_metadata or include_generation_metadata)
        asked = NOTHING_SAID if generator is not None and prompt is None and messages is None else messages
        request = self.request(prompt, asked, options, state)
        async with Reading(self.frames(request, generator)) as frames:
            async for frame in frames:
                shown = frame.shown(framed=framed)
                if shown is not None:
                    yield shown
