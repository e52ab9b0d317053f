"""The outside world of a turn: models with their prompts, and the knowledge base."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from rails_engine.config import RailsConfig
from rails_engine.error_boundary import ErrorBoundary
from rails_engine.errors import ConfigurationError, LLMCallException, NoModelError, PromptError
from rails_engine.http import PooledHTTPClient
from rails_engine.knowledge import Example, Knowledge
from rails_engine.llm import (
    LLM,
    NO_SAMPLING,
    Chunk,
    Gathering,
    LLMCall,
    LLMRequest,
    Message,
    Models,
    Observed,
    Reading,
    Sampling,
    gathered,
    observed,
    request_of,
)
from rails_engine.llm import Completion as Answer
from rails_engine.prompts import LLMTaskManager, PromptLibrary
from rails_engine.scene import Completion, Piece
from rails_engine.speculative_calls import SpeculationEndedError, SpeculativeCalls
from rails_engine.values import value_class
from rails_engine.windows import StreamStoppedError

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 4 << 20
"""Of one answer that an action asks a service for."""

NO_MODEL = (
    "no main model: add one to `models` in config.yml, pass one as `LLMRails(config, llm=…)`, "
    "or use flows that need none"
)


@dataclass(slots=True)
class Resources:
    """What all turns of one configuration share. Only `use_main` changes it, when the caller says so."""

    config: RailsConfig
    models: Models
    prompts: PromptLibrary
    knowledge: Knowledge
    http: PooledHTTPClient = field(default_factory=lambda: PooledHTTPClient(limit=MAX_ANSWER_BYTES))
    """What actions call services with; it keeps its connections."""

    @property
    def task_manager(self) -> LLMTaskManager:
        """The prompts as users' actions know them."""
        return LLMTaskManager(self.config, self.prompts)

    def use_main(self, llm: LLM) -> None:
        """Another main model from now on; calls on their way keep theirs."""
        self.models = self.models.replaced("main", llm)

    def model(self, task: str) -> LLM:
        """The model that the configuration has for a task.

        Raises:
            NoModelError: it has none, nor a main one.
        """
        model = self.models.serving(task)
        if model is None:
            raise NoModelError(NO_MODEL)
        return model


@value_class
class TurnServices:
    """What one turn may use; `sink` is told of each model call, `llm_params` go into each one.

    `speculative_calls` were begun before the turn came to them; `is_speculative` in the copy that begins them.
    """

    resources: Resources
    sink: Callable[[LLMCall], None]
    llm_params: Mapping[str, Any] = field(default_factory=dict)
    speculative_calls: SpeculativeCalls | None = None
    is_speculative: bool = False

    def scoped(self, sink: Callable[[LLMCall], None]) -> TurnServices:
        """The same services for one action: `sink` is told of its calls too."""

        def both(call: LLMCall) -> None:
            self.sink(call)
            sink(call)

        return TurnServices(
            self.resources, both, self.llm_params, self.speculative_calls, self.is_speculative
        )

    async def complete(self, completion: Completion, piece: Piece | None = None) -> str:
        """See `Services.complete`."""
        task = completion.task
        piecewise = None if self.resources.prompts.has_parser(task) else piece
        answer = await self._asked(self.resources.model(task), self.request(completion), task, piecewise)
        return self.parsed(task, answer.text)

    def request(self, completion: Completion) -> LLMRequest:
        """The model request of a prompt task.

        Raises:
            PromptError: there is no such prompt, or it cannot be filled in.
        """
        rendered = self.resources.prompts.render(completion.task, completion.variables)
        temperature = (
            self.resources.config.lowest_temperature if completion.steady else completion.temperature
        )
        tuned = self.llm_params if completion.tunable else {}
        if temperature is None and rendered.max_tokens is None and not tuned:
            messages, prompt = rendered.messages, rendered.prompt or ""
            sampling = _stopping(completion.stop or rendered.stop)
            return LLMRequest(messages, None if messages else prompt, None, sampling)
        asked = {"temperature": temperature, "max_tokens": rendered.max_tokens, **tuned}
        given = {name: value for name, value in asked.items() if value is not None}
        stop = None if given.get("stop") else list(completion.stop or rendered.stop)
        return request_of(rendered.messages or rendered.prompt or "", stop, given)

    def parsed(self, task: str, text: str) -> str:
        """A model's text through the output parser of the task's prompt; as it is where nobody knows that parser."""
        if not self.resources.prompts.has_parser(task):
            return text
        try:
            return str(self.resources.prompts.parse(task, text))
        except PromptError as error:
            log.warning("the answer is taken as it is: %s", error)
            return text

    async def answer(self, messages: tuple[Message, ...], piece: Piece | None = None) -> Answer:
        """See `Services.answer`."""
        return await self._asked(self.resources.model("main"), self.tuned(messages), "general", piece)

    async def _asked(self, model: LLM, request: LLMRequest, task: str, piece: Piece | None) -> Answer:
        if piece is None:
            return await self.call(model, request, task)
        return await self.stream(model, replace(request, streaming=True), task, piece)

    def tuned(self, messages: tuple[Message, ...]) -> LLMRequest:
        """A request of these messages with the caller's parameters."""
        if not self.llm_params:
            return LLMRequest(messages=messages)
        return request_of(messages, None, self.llm_params)

    async def relevant_chunks(self, query: str) -> list[str] | None:
        """See `Services.relevant_chunks`."""
        return await self.resources.knowledge.chunks(query)

    async def nearest_examples(self, examples: Sequence[Example], said: str, limit: int) -> list[Example]:
        """See `Services.nearest_examples`."""
        return await self.resources.knowledge.nearest(examples, said, limit)

    def fill(self, template: str, variables: Mapping[str, Any]) -> str:
        """See `Services.fill`."""
        return self.resources.prompts.fill(template, variables)

    async def call(self, model: LLM, request: LLMRequest, task: str) -> Answer:
        """The whole answer of a model.

        Raises:
            LLMCallException: the model failed.
            ConfigurationError: it cannot be asked as configured.
        """
        with _one_name(task):
            if self.speculative_calls is None:
                return await observed(model, request, self.sink, task)
            return await gathered(self._chunks(model, request, task))

    async def stream(self, model: LLM, request: LLMRequest, task: str, piece: Piece) -> Answer:
        """As `call`, giving each chunk to `piece` as it comes.

        Raises:
            as `call`, and whatever `piece` raises.
        """
        gathering = Gathering()
        with _one_name(task):
            async with Reading(self._chunks(model, request, task)) as chunks:
                async for chunk in chunks:
                    gathering.add(chunk)
                    await piece(chunk)
        return gathering.result()

    def _chunks(self, model: LLM, request: LLMRequest, task: str) -> AsyncIterator[Chunk]:
        """The model's answer, from a call that is under way already where there is one."""
        if self.speculative_calls is not None and self.is_speculative:
            return self.speculative_calls.begin(model, request, task)
        taken = (
            self.speculative_calls.take(model, request, task, self.sink)
            if self.speculative_calls is not None
            else None
        )
        return taken or Observed(model, self.sink, task).stream(request)


@lru_cache(maxsize=64)
def _stopping(stop: tuple[str, ...]) -> Sampling:
    """Nothing but where to stop; most prompts of a configuration ask for the same."""
    return Sampling(stop=stop) if stop else NO_SAMPLING


@lru_cache(maxsize=64)
def _one_name(task: str) -> ErrorBoundary:
    """A user's model may raise anything; callers know one name for it."""
    passing = (ConfigurationError, LLMCallException, StreamStoppedError, SpeculationEndedError)
    return ErrorBoundary(
        lambda error: LLMCallException(error, f"the model call for `{task}` failed"), passing
    )
