"""`engine: local`: a model of this process, by the LLM engine of `inference_backend`.

With `local_options` the only file of this package that knows that engine, and it loads it late: the entry is checked when
the configuration is read, the weights are loaded by the first call. Entries of one configuration with the same folder and
settings share one engine, so that guard prompts ride in the same batch as the answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rails_engine.config import Model
from rails_engine.errors import (
    LLMBadRequestError,
    LLMContextWindowError,
    LLMRateLimitError,
    LLMTimeoutError,
    ModelEngineError,
    ModelInitializationError,
)
from rails_engine.llm.base import Chunk, LLMRequest, TokenLogprob, ToolCallFragment, Usage
from rails_engine.llm.endpoint import Endpoint
from rails_engine.llm.local_options import LocalOptions, local_options
from rails_engine.llm.think import ThinkSplitter
from rails_engine.llm.wire import body_of

if TYPE_CHECKING:
    from inference_backend import (
        CalledTool,
        ChatModel,
        Delta,
        EngineError,
        Prepared,
        ToolCallReader,
    )


class LocalEngine:
    """One loaded model, shared by the entries that name it. Loads at first use; `close` frees it."""

    def __init__(self, options: LocalOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._model: ChatModel | None = None

    async def model(self) -> ChatModel:
        """The model, loaded if it is not yet.

        Raises:
            ModelInitializationError: it cannot be loaded.
        """
        model = self._model
        return await asyncio.to_thread(self._load) if model is None else model

    async def close(self) -> None:
        """Free the model; the next call loads it again."""
        with self._lock:
            model, self._model = self._model, None
        if model is not None:
            await asyncio.to_thread(model.close)

    def _load(self) -> ChatModel:
        from inference_backend import ChatModel, EngineError, open_model

        with self._lock:
            if self._model is None:
                try:
                    opened = open_model(self.options.settings)
                    registry = opened.engine.adapter_registry
                    for name, folder in self.options.adapters.items():
                        registry.load(name, folder)
                    for name, folder in self.options.prefixes.items():
                        registry.load_prefix(name, folder)
                    self._model = ChatModel(opened, fitting=True)
                except EngineError as error:
                    raise ModelInitializationError(f"engine: local: {error}") from error
            return self._model


class LocalLLM:
    """Implements `LLM` on a local engine."""

    def __init__(self, engine: LocalEngine, options: LocalOptions) -> None:
        self._engine = engine
        self._adapter = options.adapter
        name = Path(options.settings.model).name
        self._endpoint = Endpoint(base_url="", model=name, provider="local", defaults=dict(options.defaults))

    @property
    def model_name(self) -> str:
        """See `LLM.model_name`."""
        return self._endpoint.model

    @property
    def provider_name(self) -> str:
        """See `LLM.provider_name`."""
        return "local"

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`."""
        from inference_backend import EngineError

        model = await self._engine.model()
        try:
            prepared = await asyncio.to_thread(self._prepared, model, request)
            answer = _Answer(model, prepared, tools=bool(request.tools))
            async for delta in model.generate(prepared):
                yield answer.chunk(delta)
            yield answer.rest()
        except EngineError as error:
            raise _translated(error) from error

    def _prepared(self, model: ChatModel, request: LLMRequest) -> Prepared:
        body = body_of(request, self._endpoint)
        body["model"] = request.adapter or self._adapter or model.name
        own = {
            "priority": request.priority or None,
            "cache_salt": request.cache_salt,
            "deadline_s": request.deadline_s,
        }
        body |= {name: value for name, value in own.items() if value is not None}
        if request.prompt is not None and model.opened.template is None:
            return model.completions({**body, "prompt": request.prompt})[0]
        return model.chat(body)


class _Answer:
    """Deltas of one answer to chunks: reasoning and tool calls are told apart from speech."""

    def __init__(self, model: ChatModel, prepared: Prepared, *, tools: bool) -> None:
        from inference_backend import ToolCallReader

        self._model = model
        self._prepared = prepared
        self._thinking = ThinkSplitter()
        self._tools: ToolCallReader | None = ToolCallReader() if tools else None
        self._last: Delta | None = None

    def chunk(self, delta: Delta) -> Chunk:
        """What of a delta is speech, and what reasoning; a tool call is held back until `rest`."""
        text, reasoning = self._thinking.feed(delta.text) if delta.text else ("", "")
        if self._tools is not None and text:
            text = self._tools.push(text)
        self._last = delta
        return Chunk(text=text, reasoning=reasoning, logprobs=self._logprobs(delta))

    def rest(self) -> Chunk:
        """What was held back, and how the answer ended."""
        text, reasoning = self._thinking.finish()
        calls: tuple[ToolCallFragment, ...] = ()
        if self._tools is not None:
            text = self._tools.push(text)
            held, found = self._tools.finish()
            text += held
            calls = tuple(self._fragment(number, call) for number, call in enumerate(found))
        last = self._last
        finish = last.finish if last is not None else None
        return Chunk(
            text=text,
            reasoning=reasoning,
            tool_calls=calls,
            finish_reason="tool_calls" if calls else finish,
            usage=_usage(last),
            model=self._model.name,
            request_id=self._prepared.request.id,
        )

    def _fragment(self, number: int, call: CalledTool) -> ToolCallFragment:
        name = f"call_{self._prepared.request.id}_{number}"
        return ToolCallFragment(number, name, call.name, call.arguments)

    def _logprobs(self, delta: Delta) -> tuple[TokenLogprob, ...]:
        if not delta.logprobs:
            return ()
        show = self._model.tokenizer.token_text
        return tuple(
            TokenLogprob(
                show(entry.token_id), entry.logprob, tuple((show(token), value) for token, value in entry.top)
            )
            for entry in delta.logprobs
        )


def _usage(last: Delta | None) -> Usage | None:
    used = last.usage if last is not None else None
    if used is None:
        return None
    return Usage(used.prompt_tokens, used.completion_tokens, cached_tokens=used.cached_tokens)


def _translated(error: EngineError) -> Exception:
    """The engine's error as the one that callers of any model know."""
    from inference_backend import DeadlineError, OverloadedError, RequestError, RequestTooLongError

    described: dict[str, Any] = {"provider_name": "local"}
    if isinstance(error, RequestTooLongError):
        return LLMContextWindowError(400, str(error), **described)
    if isinstance(error, RequestError):
        return LLMBadRequestError(400, str(error), param=error.param, **described)
    if isinstance(error, OverloadedError):
        return LLMRateLimitError(429, str(error), retry_after_seconds=1.0, **described)
    if isinstance(error, DeadlineError):
        return LLMTimeoutError(0, str(error), **described)
    return ModelEngineError(str(error))


class LocalEngines:
    """The local engines of one configuration: one per distinct folder and settings."""

    def __init__(self) -> None:
        self._engines: dict[str, LocalEngine] = {}

    def llm(self, entry: Model) -> LocalLLM:
        """The model of an entry.

        Raises:
            InvalidModelConfigurationError: the entry is at fault.
        """
        options = local_options(entry)
        key = repr((options.settings, sorted(options.adapters.items()), sorted(options.prefixes.items())))
        engine = self._engines.setdefault(key, LocalEngine(options))
        return LocalLLM(engine, options)

    async def close(self) -> None:
        """Free every model."""
        for engine in self._engines.values():
            await engine.close()
