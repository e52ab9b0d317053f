"""`LLMRails`: a configuration that answers.

Both dialects stand behind it. It keeps nothing of a request but the record of the last one, for `explain()`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Self

from colang import Program
from rails_engine.assembly import Assembly, assemble
from rails_engine.background import background_loop
from rails_engine.colang2 import Colang2, Request, with_state
from rails_engine.config import RailsConfig
from rails_engine.errors import InvalidRequestError
from rails_engine.llm import as_llm, public_model
from rails_engine.options import GenerationOptions, read_options
from rails_engine.response import ExplainInfo, GenerationResponse
from rails_engine.runtime import Runtime
from rails_engine.state import State
from rails_engine.streaming import error_frame
from rails_engine.trace import Trace, call_info, history_text
from rails_engine.turn import Call
from rails_engine.umim import EventDict
from rails_engine.verbose import set_verbose

Messages = Sequence[Mapping[str, Any]]
Options = Mapping[str, Any] | GenerationOptions | None
AnyState = State | Mapping[str, Any] | None


class LLMRails:
    """Guardrails for one configuration. Safe to call from many tasks at once: conversations share nothing.

    `llm` takes the place of the configuration's main model: an `LLMModel`, or a LangChain chat model.
    """

    def __init__(self, config: RailsConfig, llm: Any = None, verbose: bool = False) -> None:
        if verbose:
            set_verbose(verbose=True)
        self.config = config
        self._parts: Assembly = assemble(config, as_llm(llm) if llm is not None else None)
        self._last = Trace()
        self._dialect = Colang2(self._parts.engine, self._parts.resources)
        for module in self._parts.modules:
            module.initialise(self)

    # --- answering -------------------------------------------------------------------------------------------------

    async def generate_async(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
        streaming_handler: Any = None,
    ) -> str | dict[str, Any] | GenerationResponse:
        """Answer a prompt with a text, or messages with a message; with `options` or `state` a GenerationResponse.

        Raises:
            ValueError: neither or both of `prompt` and `messages`, or one of them malformed.
            InvalidStateError: `state` was not given out by this configuration.
            LLMCallException: the main model failed; a state that was passed is as it was.
        """
        request = _request(prompt, messages, options, state)
        if streaming_handler is not None:
            return await self._pushed(request, streaming_handler)
        trace = Trace()
        try:
            return await self._dialect.generate(request, trace)
        finally:
            self._remember(trace)

    def generate(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
    ) -> str | dict[str, Any] | GenerationResponse:
        """As `generate_async`, for code without an event loop.

        Raises:
            RuntimeError: called inside a running event loop.
        """
        work = self.generate_async(prompt, messages, options, state)
        return background_loop().run(work, "generate_async(…)")

    async def stream_async(  # noqa: PLR0913, PLR0917 -- the public signature that users call
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
        include_metadata: bool | None = False,
        generator: AsyncIterator[str] | None = None,
        include_generation_metadata: bool | None = None,
    ) -> AsyncIterator[str | dict[str, Any]]:
        """The answer piece by piece; a failure ends it with an error frame (see `streaming`).

        `generator` is a model's answer from elsewhere that is to pass the output rails. With `include_metadata` each
        piece is `{"text": …, "metadata": {…}}`.

        Raises:
            ValueError: as `generate_async`.
        """
        framed = bool(include_metadata or include_generation_metadata)
        pieces = (
            generator if generator is not None else self._pieces(_request(prompt, messages, options, state))
        )
        async for piece in pieces:
            yield {"text": piece, "metadata": {}} if framed and not piece.startswith('{"error"') else piece

    async def _pieces(self, request: Request) -> AsyncIterator[str]:
        trace = Trace()
        try:
            async for piece in self._dialect.stream(request, trace):
                yield piece
        except Exception as error:  # noqa: BLE001 -- the rim: a stream that has begun can only end with a frame
            yield error_frame(error)
        finally:
            self._remember(trace)

    async def _pushed(self, request: Request, handler: Any) -> str | dict[str, Any] | GenerationResponse:
        """Answer while giving each piece to a streaming handler."""
        said: list[str] = []
        async for piece in self._pieces(request):
            said.append(piece)
            await handler.push_chunk(piece)
        await handler.finish()
        text = "".join(said)
        return text if request.as_text else {"role": "assistant", "content": text}

    # --- events ----------------------------------------------------------------------------------------------------

    async def process_events_async(
        self, events: Sequence[Mapping[str, Any]], state: AnyState = None, blocking: bool = False
    ) -> tuple[list[EventDict], State]:
        """Give UMIM events to the flows: the events that they sent, and the state to pass next time.

        `blocking` also waits for actions that run in the background.

        Raises:
            InvalidStateError: `state` was not given out by this configuration.
            LLMCallException: the main model failed; the state is as it was.
        """
        trace = Trace()
        try:
            return await self._dialect.process_events(Call(events, blocking), state, trace)
        finally:
            self._remember(trace)

    def process_events(
        self, events: Sequence[Mapping[str, Any]], state: AnyState = None, blocking: bool = False
    ) -> tuple[list[EventDict], State]:
        """As `process_events_async`, for code without an event loop.

        Raises:
            RuntimeError: called inside a running event loop.
        """
        work = self.process_events_async(events, state, blocking)
        return background_loop().run(work, "process_events_async(…)")

    # --- what happened ---------------------------------------------------------------------------------------------

    def explain(self) -> ExplainInfo:
        """The model calls and the history of the last call on this object that has ended."""
        calls = [call_info(call) for call in self._last.llm_calls]
        return ExplainInfo(llm_calls=calls, colang_history=history_text(self._last.history))

    def _remember(self, trace: Trace) -> None:
        self._last = trace

    # --- registering -----------------------------------------------------------------------------------------------

    @property
    def llm(self) -> Any:
        """The main model as users' code knows it; None where there is none."""
        main = self._parts.resources.models.main
        return public_model(main) if main is not None else None

    @property
    def program(self) -> Program:
        """The flows, as loaded."""
        return self._parts.engine.program

    @property
    def runtime(self) -> Runtime:
        """The actions, as older code reaches them."""
        return Runtime(self._parts)

    async def aclose(self) -> None:
        """Close the connections to models; await it on the loop that used them."""
        await self._parts.resources.models.close()

    def update_llm(self, llm: Any) -> None:
        """Use another main model from now on."""
        self._parts.resources.use_main(as_llm(llm))

    def register_action(self, action: Callable[..., Any] | type, name: str | None = None) -> Self:
        """Let flows call `action` by `name`, by default its own."""
        self._parts.registry.register(action, name)
        return self

    def register_action_param(self, name: str, value: Any) -> Self:
        """Hand `value` to every action that has a parameter of this name."""
        self._parts.params[name] = value
        return self

    def register_filter(self, filter_fn: Callable[..., Any], name: str | None = None) -> Self:
        """Let prompt templates use a filter."""
        self._parts.resources.prompts.register_filter(filter_fn, name)
        return self

    def register_output_parser(self, output_parser: Callable[[str], Any], name: str) -> Self:
        """Let prompts name a parser for what the model answers."""
        self._parts.resources.prompts.register_output_parser(output_parser, name)
        return self

    def register_prompt_context(self, name: str, value_or_fn: Any) -> Self:
        """Let prompt templates use a variable; a function is called each time."""
        self._parts.resources.prompts.register_context(name, value_or_fn)
        return self

    def register_embedding_search_provider(self, name: str, cls: type[Any]) -> Self:
        """Let the configuration name a search provider of the caller's (an `EmbeddingsIndex`)."""
        self._parts.resources.knowledge.register(name, cls)
        return self

    def register_embedding_provider(self, cls: type[Any], name: str | None = None) -> Self:
        """Let models of type `embeddings` name an engine of the caller's (an `EmbeddingModel`)."""
        from rails_engine.retrieval import EMBEDDING_PROVIDERS

        EMBEDDING_PROVIDERS.register(cls, name)
        return self


def _request(prompt: str | None, messages: Messages | None, options: Options, state: AnyState) -> Request:
    if prompt is not None and messages is not None:
        raise InvalidRequestError("give `prompt` or `messages`, not both")
    if prompt is None and messages is None:
        raise InvalidRequestError("give a `prompt` or `messages`")
    asked: Messages = [{"role": "user", "content": prompt}] if prompt is not None else messages or []
    request = Request(asked, read_options(options), as_text=prompt is not None)
    return with_state(request, state)
