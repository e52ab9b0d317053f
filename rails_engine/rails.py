"""`LLMRails`: a configuration that answers.

Both dialects stand behind it. It keeps nothing of a request but the record of the last one, for `explain()`.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, cast

from colang import Program
from rails_engine.answering import Answering, AnyState, Messages, Options
from rails_engine.assembly import Assembly, assemble, colang1, colang2
from rails_engine.background import background_loop
from rails_engine.canonical import Speech
from rails_engine.colang1 import Colang1, history_of
from rails_engine.colang2 import Colang2, open_state
from rails_engine.config import RailsConfig
from rails_engine.context import call_context, recorded, tell
from rails_engine.error_boundary import OnError
from rails_engine.errors import NoMessagesError, RailTypeNotConfiguredError, WrongDialectError
from rails_engine.generation import LLMGenerationActions
from rails_engine.llm import LLMCall, Reading, as_llm, public_model
from rails_engine.messages import (
    EXAMPLE,
    NOTHING_CHECKED,
    NOTHING_SAID,
    prompt_message,
    require_events,
    require_foreign_events,
    require_messages,
    require_plain_events,
)
from rails_engine.options import RailsResult, RailType, read_options
from rails_engine.rail_checks import (
    check_options,
    checked_text,
    passed,
    rail_types_of,
    verdict,
)
from rails_engine.registration import Registration
from rails_engine.request import Request
from rails_engine.response import ExplainInfo, GenerationResponse
from rails_engine.runtime import Runtime, Watcher
from rails_engine.saved import open_story
from rails_engine.state import State
from rails_engine.streaming import Frame, Outlet, error_frame
from rails_engine.trace import Trace, call_info, history_text
from rails_engine.turn import Call
from rails_engine.umim import EventDict
from rails_engine.verbose import is_verbose, set_verbose, show

CALLS_EXPLAINED: Final = 100
"""Model calls that `explain()` tells of."""


class LLMRails(Answering, Registration):
    """Guardrails for one configuration. Safe to call from many tasks at once: conversations share nothing.

    `llm` takes the place of the configuration's main model: an `LLMModel`, or a LangChain chat model.
    """

    def __init__(self, config: RailsConfig, llm: Any = None, verbose: bool = False) -> None:
        if verbose:
            set_verbose(verbose=True, llm_calls=True)
        self.config = config
        self.watchers: list[Watcher] = []
        self._open(assemble(config, as_llm(llm) if llm is not None else None))
        for module in self._parts.modules:
            module.initialise(self)
        self._parts.resources.knowledge.read()

    def _open(self, parts: Assembly) -> None:
        self._parts = parts
        self._runtime = Runtime(parts, self)
        self._last = Trace()
        self._last_task: weakref.ref[asyncio.Task[Any]] | None = None
        self._calls: deque[LLMCall] = deque(maxlen=CALLS_EXPLAINED)
        self._colang2: Colang2 | None = None
        self._colang1: Colang1 | None = None
        self._speech: Speech | None = None
        if self.config.colang_version == "1.0":
            self._colang1, self._speech = colang1(parts)
        else:
            self._colang2 = colang2(parts)
        for kind, model in parts.resources.models.items():
            if not hasattr(type(self), name := f"{kind}_llm"):
                setattr(self, name, public_model(model))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """`<type>_llm`: the model of this type, as users' code knows it."""

    def beside(self, llm: Any) -> Self:
        """A second one that asks `llm`: what is registered with either holds for both, their conversations are apart."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._open(self._parts.with_main(as_llm(llm)))
        twin.passthrough_fn = self.passthrough_fn
        return twin

    # --- answering -------------------------------------------------------------------------------------------------

    async def answer(
        self, request: Request, streaming_handler: Any = None
    ) -> str | dict[str, Any] | GenerationResponse:
        """Answer a request that has been read; see `generate_async`."""
        trace = Trace(is_read=bool(self.watchers) or is_verbose())
        try:
            with call_context(request.options, request.raw or request.messages):
                if streaming_handler is not None:
                    return await self._pushed(request, trace, streaming_handler)
                return await self._side.generate(request, trace)
        finally:
            self._remember(trace)

    async def frames(
        self, request: Request, generator: AsyncIterator[Any] | None = None
    ) -> AsyncIterator[Frame]:
        """The answer to a request that has been read, piece by piece; see `stream_async`."""
        trace = Trace()
        side = self._side
        answer = (
            side.stream(request, trace) if generator is None else side.check_stream(request, generator, trace)
        )
        try:
            async with Reading(answer) as frames:
                with call_context(request.options, request.raw or request.messages):
                    # The turn's task starts here, and takes its copy of the context with it.
                    first = await anext(frames, None)
                if first is not None:
                    yield first
                async for frame in frames:
                    yield frame
        finally:
            self._remember(trace)

    async def _pushed(
        self, request: Request, trace: Trace, handler: Any
    ) -> str | dict[str, Any] | GenerationResponse:
        """Answer while giving each piece to a streaming handler."""
        outlet = Outlet()

        async def push() -> None:
            async for frame in outlet:
                await handler.push_chunk(frame.text, dict(frame.metadata) or None)

        pushing = asyncio.ensure_future(push())
        try:
            with OnError(lambda error: outlet.give(error_frame(error)), Exception):
                return await self._side.generate(request, trace, outlet)
        finally:
            outlet.close()
            await pushing
            await handler.finish()

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
        require_plain_events(events, self.config.limits)
        require_foreign_events(events)
        trace = Trace()
        try:
            blocking = blocking or self._runtime.disable_async_execution
            return await self._require_colang2().process_events(Call(events, blocking), state, trace)
        finally:
            self._remember(trace)

    def process_events(
        self, events: Sequence[Mapping[str, Any]], state: AnyState = None, blocking: bool = False
    ) -> tuple[list[EventDict], State]:
        """As `process_events_async`, for code without an event loop.

        Raises:
            RuntimeError: called inside a running event loop.
        """
        work = self.process_events_async(events, state=state, blocking=blocking)
        return background_loop().run(work, "process_events_async(…)")

    async def generate_events_async(self, events: Sequence[EventDict]) -> list[EventDict]:
        """Colang 1.0: the events that follow from a history, up to `Listen`.

        Raises:
            InvalidRequestError: `events` is empty, or an event has no type.
            WrongDialectError: a Colang 2.x configuration.
            LLMCallException: the main model failed.
        """
        trace = Trace()
        try:
            return await self._require_colang1().generate_events(
                require_events(events, self.config.limits), trace
            )
        finally:
            self._remember(trace)

    def generate_events(self, events: Sequence[EventDict]) -> list[EventDict]:
        """As `generate_events_async`, for code without an event loop.

        Raises:
            RuntimeError: called inside a running event loop.
        """
        return background_loop().run(self.generate_events_async(events), "generate_events_async(…)")

    @property
    def passthrough_fn(self) -> Any:
        """Takes the main model's place in passthrough mode: `async (context, events) -> text or (text, raw)`."""
        return self._speech.passthrough_fn if self._speech is not None else None

    @passthrough_fn.setter
    def passthrough_fn(self, function: Any) -> None:
        if self._speech is not None:
            self._speech.passthrough_fn = function

    # --- checking --------------------------------------------------------------------------------------------------

    async def check_async(
        self, messages: Messages, rail_types: Sequence[RailType] | None = None
    ) -> RailsResult:
        """Whether the rails let these messages pass; the main model is not asked.

        Without `rail_types` user messages go through the input rails and assistant messages through the output rails.

        Raises:
            RailTypeNotConfiguredError: a kind was asked for that has no flows.
            InvalidRequestError: a message is malformed.
        """
        if rail_types is not None:
            self._require_rails(rail_types)
        require_messages(messages, self.config.limits)
        kinds = [kind for kind in rail_types_of(messages) if rail_types is None or kind in rail_types]
        if not kinds:
            return passed(messages, rail_types or ())
        trace = Trace()
        try:
            if self._colang2 is not None:
                return await self._colang2.check(messages, kinds, trace)
            request = Request(list(messages), check_options(kinds))
            response = await self._require_colang1().generate(request, trace)
        finally:
            self._remember(trace)
        return verdict(cast("GenerationResponse", response), checked_text(messages, kinds))

    def _require_rails(self, wanted: Sequence[RailType]) -> None:
        missing = next((kind for kind in wanted if not self.guards(kind)), None)
        if missing is not None:
            raise RailTypeNotConfiguredError(f"the configuration has no {missing.value} rails")

    def guards(self, kind: RailType) -> bool:
        """True if the configuration has rails of this kind."""
        if self._colang2 is not None:
            return self._colang2.guards(kind)
        return bool(self.config.rails.directions()[kind.value].flows)

    def check(self, messages: Messages, rail_types: Sequence[RailType] | None = None) -> RailsResult:
        """As `check_async`, for code without an event loop.

        Raises:
            RuntimeError: called inside a running event loop.
        """
        return background_loop().run(self.check_async(messages, rail_types=rail_types), "check_async(…)")

    # --- what happened ---------------------------------------------------------------------------------------------

    def explain(self) -> ExplainInfo:
        """The latest model calls of the task that called last, and the history of its last call."""
        calls = [call_info(call) for call in self._calls]
        return ExplainInfo(llm_calls=calls, colang_history=self._history(self._last) or None)

    @property
    def explain_info(self) -> ExplainInfo:
        """As `explain()`."""
        return self.explain()

    def _history(self, trace: Trace) -> str:
        return history_of(trace.story) if self._colang1 is not None else history_text(trace.history)

    def _remember(self, trace: Trace) -> None:
        """Keep the record of a call; the calls of one task add up."""
        if recorded():
            tell([call_info(call) for call in trace.llm_calls], self._history(trace))
        task = asyncio.current_task()
        if task is None or self._last_task is None or self._last_task() is not task:
            self._last_task = weakref.ref(task) if task is not None else None
            self._calls.clear()
        self._calls.extend(trace.llm_calls)
        self._last = trace
        for watcher in self.watchers:
            for event in trace.events:
                watcher(event)
        if is_verbose():
            show(trace)

    # --- registering -----------------------------------------------------------------------------------------------

    @property
    def llm(self) -> Any:
        """The main model as users' code knows it; None where there is none. Setting it is `update_llm`."""
        main = self._parts.resources.models.main
        return public_model(main) if main is not None else None

    @llm.setter
    def llm(self, llm: Any) -> None:
        self.update_llm(llm)

    main_llm = llm

    def __getstate__(self) -> dict[str, Any]:
        """A copy is made of the configuration alone; what was registered and said stays here."""
        return {"config": self.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copy is built as the original was; subclasses take the same first argument.
        self.__init__(state["config"])  # type: ignore[misc]

    @property
    def events_history_cache(self) -> dict[str, Any]:
        """Empty: conversations are kept inside, in bounds, and none of them is handed out."""
        return {}

    @property
    def kb(self) -> Any:
        """The knowledge base; None where the configuration has no documents."""
        return self._parts.resources.knowledge.base

    async def build_knowledge_base(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Index the documents now rather than at the first question; `progress` hears of chunks done, and of how many.

        Raises:
            EmbeddingError: a text could not be embedded, or the engine is unknown.
        """
        await self._parts.resources.knowledge.build(progress)

    @property
    def program(self) -> Program:
        """The flows, as loaded."""
        return self._require_colang2().program

    @property
    def runtime(self) -> Runtime:
        """The actions, as older code reaches them."""
        return self._runtime

    @property
    def llm_generation_actions(self) -> LLMGenerationActions:
        """The steps of a Colang 1.0 dialog one by one, as older code reaches them."""
        return LLMGenerationActions(self, self._parts.resources.task_manager, self._require_colang1)

    @property
    def flows(self) -> Mapping[str, Any]:
        """The flows by name, those of the library and of the system among them."""
        return (
            self._require_colang1().flows
            if self._colang1 is not None
            else self._require_colang2().program.flows
        )

    async def aclose(self) -> None:
        """Give up actions still on their way, close the connections to models, endpoints and the actions server.

        Await it on the loop that used them.
        """
        if self._colang2 is not None:
            await self._colang2.close()
        await self._parts.resources.models.close()
        await self._parts.resources.http.close()
        await self._parts.resources.knowledge.close()
        await self._parts.registered.close()

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def _side(self) -> Colang1 | Colang2:
        """What answers in the dialect of the configuration."""
        return self._colang1 or self._require_colang2()

    def _require_colang2(self) -> Colang2:
        """The Colang 2.x side.

        Raises:
            WrongDialectError: this configuration is Colang 1.0.
        """
        if self._colang2 is None:
            raise WrongDialectError(
                "this is a Colang 1.0 configuration: give its events to `generate_events(_async)`; `process_events` "
                "and `program` need `colang_version: 2.x`"
            )
        return self._colang2

    def _require_colang1(self) -> Colang1:
        """The Colang 1.0 side.

        Raises:
            WrongDialectError: this configuration is Colang 2.x.
        """
        if self._colang1 is None:
            raise WrongDialectError(
                "this is a Colang 2.x configuration: give its events to `process_events(_async)`; `generate_events` "
                "needs `colang_version: 1.0`"
            )
        return self._colang1

    def request(
        self,
        prompt: str | None = None,
        messages: Messages | None = None,
        options: Options = None,
        state: AnyState = None,
    ) -> Request:
        """See `Answering.request`."""
        if prompt is not None and messages is not None:
            raise ValueError("give `prompt` or `messages`, not both")
        if prompt is None and messages is None:
            raise ValueError("give a `prompt` or `messages`")
        given = prompt_message(prompt) if prompt is not None else messages
        checked = (
            self._colang1.checked(given) if self._colang1 is not None and state is None else NOTHING_CHECKED
        )
        asked = require_messages(given, self.config.limits, checked)
        read = read_options(options)
        if self._colang1 is not None:
            if not asked and asked is not NOTHING_SAID:
                raise NoMessagesError(f"`messages` is empty: give at least one message {EXAMPLE}")
            return Request(asked, read, story=open_story(state), as_text=prompt is not None, raw=given or ())
        wanted = isinstance(state, Mapping)
        return Request(asked, read, open_state(state), as_text=prompt is not None, state_wanted=wanted)
