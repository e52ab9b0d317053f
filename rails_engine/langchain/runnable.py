"""`RunnableRails`: rails around a model or a chain, as a step of LangChain's own.

    RunnableRails(config) | model            the model answers behind the rails
    prompt | (RunnableRails(config) | model) | parser
    RunnableRails(config) | chain            the chain answers behind the rails, in passthrough mode

Piping gives a new step and leaves the old one as it was. Nothing of a call lives on a step: what a caller asked travels
with its request, so one step may serve many calls at once. A step is traced as LangChain's own are; `sealing` says what
of a caller's configuration reaches the model and the chain behind the rails.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase, coerce_to_runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

from rails_engine.background import background_loop
from rails_engine.config import RailsConfig
from rails_engine.errors import ConfigurationError
from rails_engine.langchain.chain import ChainCall
from rails_engine.langchain.forms import ANSWER_KEY, QUESTION_KEY, ChainInput, Keys, read_question, said
from rails_engine.langchain.messages import ai_message
from rails_engine.langchain.sealing import seal
from rails_engine.llm import Reading
from rails_engine.options import GenerationLogOptions, GenerationOptions
from rails_engine.rails import LLMRails
from rails_engine.request import Request
from rails_engine.response import GenerationResponse

INPUT_BLOCKED: Final = "I cannot process this request."
OUTPUT_BLOCKED: Final = "I cannot provide this response."

_INPUT_KINDS: Final = frozenset({"input", "tool_input"})
_LOGGED: Final = GenerationLogOptions(activated_rails=True, llm_calls=True)

log = logging.getLogger(__name__)


class RunnableRails(Runnable[Any, Any]):
    """A step that answers behind rails. See the module; `forms` says in which forms it is asked and answers.

    `rails` is the `LLMRails` inside. `passthrough` gives the caller's messages to the model as they are and is what
    lets a chain answer; without it the dialog rails make the prompts. The two messages are said where a rail blocks
    without words of its own. What a call is given besides the configuration of LangChain goes to the model as
    parameters.

    Raises:
        ConfigurationError: a chain is to answer, but under Colang 2.x.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- the public signature that users call
        self,
        config: RailsConfig,
        llm: Any = None,
        tools: Sequence[Any] | None = None,
        passthrough: bool = True,
        runnable: Runnable[Any, Any] | None = None,
        input_key: str = QUESTION_KEY,
        output_key: str = ANSWER_KEY,
        verbose: bool = False,
        input_blocked_message: str = INPUT_BLOCKED,
        output_blocked_message: str = OUTPUT_BLOCKED,
    ) -> None:
        self.llm = llm
        self.passthrough = passthrough
        self.passthrough_runnable = runnable
        self.input_blocked_message = input_blocked_message
        self.output_blocked_message = output_blocked_message
        self._keys = Keys(input_key, output_key)
        self._is_piped = False
        self.rails = LLMRails(config.model_copy(update={"passthrough": passthrough}), llm, verbose)
        for tool in tools or ():
            self.rails.register_action(tool, tool.name)
        self._require_a_way()

    @property
    def passthrough_user_input_key(self) -> str:
        """Where a dictionary has its question."""
        return self._keys.question

    @property
    def passthrough_bot_output_key(self) -> str:
        """Where a dictionary is given its answer."""
        return self._keys.answer

    def _require_a_way(self) -> None:
        """The chain must come to be asked."""
        if self.passthrough_runnable is None:
            return
        if self.rails.config.colang_version != "1.0":
            raise ConfigurationError(
                "a chain can answer behind rails of Colang 1.0 alone; pipe a model instead"
            )
        if not self.passthrough:
            log.warning("the chain behind these rails is never asked: with passthrough=False a model answers")

    # --- putting chains together -----------------------------------------------------------------------------------

    def __or__(self, other: Any) -> Any:
        """A model or a chain behind these rails; an output parser, or whatever follows a model, comes after them."""
        if self._is_piped or isinstance(other, BaseLLMOutputParser):
            return super().__or__(other)
        step = coerce_to_runnable(other)
        piped = copy.copy(self)
        piped._is_piped = True
        if _is_model(step):
            piped.llm, piped.rails = step, self.rails.beside(step)
        else:
            piped.passthrough_runnable = step
            piped._require_a_way()
        return piped

    def pipe(self, *others: Any, name: str | None = None) -> Any:
        """As `|` with each of them in turn."""
        chain: Any = self
        for other in others:
            chain = chain | other
        return chain.with_config(run_name=name) if name else chain

    # --- answering -------------------------------------------------------------------------------------------------

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002 -- LangChain's name
        """The answer, in the form of the question.

        Raises:
            ValueError: the question has no form known here.
            LLMCallException: the model failed. What a chain behind the rails raises goes through unchanged.
            RuntimeError: called inside a running event loop, where `ainvoke` is awaited.
        """
        return self._call_with_config(self._answer, input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002 -- LangChain's name
        """As `invoke`."""
        return await self._acall_with_config(self._aanswer, input, config, **kwargs)

    def _answer(self, value: Any, run_manager: object, config: RunnableConfig, **kwargs: Any) -> Any:
        return background_loop().run(self._aanswer(value, run_manager, config, **kwargs), "ainvoke(…)")

    async def _aanswer(self, value: Any, run_manager: object, config: RunnableConfig, **kwargs: Any) -> Any:
        del run_manager
        asked = read_question(value, self._keys)
        call = ChainCall(asked, self.passthrough_runnable, seal(config), kwargs)
        response = await self.rails.answer(self._request(asked, call, kwargs))
        if not isinstance(response, GenerationResponse):
            raise TypeError(f"a call with options gives a GenerationResponse, not {type(response).__name__}")
        if call.failure is not None:
            raise call.failure
        return self._shaped(asked, call, response)

    def _request(self, asked: ChainInput, call: ChainCall, kwargs: Mapping[str, Any]) -> Request:
        options = GenerationOptions(llm_params=_parameters(kwargs) or None, log=_LOGGED)
        request = self.rails.request(messages=asked.request_messages(), options=options)
        return replace(request, passthrough=call.answer) if self.passthrough_runnable is not None else request

    def _shaped(self, asked: ChainInput, call: ChainCall, response: GenerationResponse) -> Any:
        """The answer in the form of the question."""
        words = said(response)
        stopped = self._blocked_message(response)
        if isinstance(words, Mapping) and asked.is_text:
            return asked.wrapped(words)
        if call.has_answered:
            return call.shaped(words, stopped)
        text = words if isinstance(words, str) and words else stopped or ""
        if asked.is_text:
            return asked.wrapped(text)
        if asked.is_plain:
            return asked.wrapped({"role": "assistant", "content": text})
        calls = response.log.llm_calls if response.log is not None else None
        own = next((each for each in reversed(calls or ()) if each.completion == text), None)
        return asked.wrapped(ai_message(text, response, own))

    def _blocked_message(self, response: GenerationResponse) -> str | None:
        """What to say where a rail that stopped the call said nothing itself; None where none stopped it."""
        rails = response.log.activated_rails if response.log is not None else []
        stopped = next((rail for rail in rails if rail.stop), None)
        if stopped is None:
            return None
        return self.input_blocked_message if stopped.type in _INPUT_KINDS else self.output_blocked_message

    # --- piece by piece --------------------------------------------------------------------------------------------

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002 -- LangChain's name
        """The answer piece by piece as the output rails let it out; see `LLMRails.stream_async` for its errors."""
        yield from self.transform(iter([input]), config, **kwargs)

    async def astream(
        self,
        input: Any,  # noqa: A002 -- LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """As `stream`."""

        async def given() -> AsyncIterator[Any]:
            yield input

        async for piece in self.atransform(given(), config, **kwargs):
            yield piece

    def transform(
        self,
        input: Iterator[Any],  # noqa: A002 -- LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """As `stream`, of a question that comes in pieces itself."""
        yield from self._transform_stream_with_config(_in_pieces(input), self._pieces, config, **kwargs)

    async def atransform(
        self,
        input: AsyncIterator[Any],  # noqa: A002 -- LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """As `transform`."""
        async for piece in self._atransform_stream_with_config(input, self._apieces, config, **kwargs):
            yield piece

    def _pieces(
        self, pieces: Iterator[Any], run_manager: object, config: RunnableConfig, **kwargs: Any
    ) -> Iterator[Any]:
        del run_manager
        whole = _Whole()
        for piece in pieces:
            whole.add(piece)
        yield from background_loop().iterate(self._said(whole.value, config, kwargs), "astream(…)")

    async def _apieces(
        self, pieces: AsyncIterator[Any], run_manager: object, config: RunnableConfig, **kwargs: Any
    ) -> AsyncIterator[Any]:
        del run_manager
        whole = _Whole()
        async for piece in pieces:
            whole.add(piece)
        async with Reading(self._said(whole.value, config, kwargs)) as answer:
            async for piece in answer:
                yield piece

    async def _said(
        self, value: Any, config: RunnableConfig, kwargs: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        asked = read_question(value, self._keys)
        call = ChainCall(asked, self.passthrough_runnable, seal(config), kwargs)
        async with Reading(self.rails.frames(self._request(asked, call, kwargs))) as frames:
            async for frame in frames:
                if call.failure is not None:
                    raise call.failure
                piece = asked.piece(frame)
                if piece is not None:
                    yield piece


class _Whole:
    """A question that comes in pieces, which add up as LangChain's do; of pieces that do not, the last one counts."""

    def __init__(self) -> None:
        self.value: Any = None

    def add(self, piece: Any) -> None:
        """Take the next piece."""
        try:
            self.value = piece if self.value is None else self.value + piece
        except TypeError:
            self.value = piece


def _in_pieces(value: object) -> Iterator[Any]:
    return value if isinstance(value, Iterator) else iter([value])


def _is_model(step: Runnable[Any, Any]) -> bool:
    """Whether a step is a model, perhaps with tools or parameters bound to it."""
    while isinstance(step, RunnableBindingBase):
        step = step.bound
    return isinstance(step, BaseLanguageModel)


def _parameters(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a call was given for its model, tools in the form that models know."""
    tools = kwargs.get("tools")
    return {**kwargs, "tools": [convert_to_openai_tool(tool) for tool in tools]} if tools else dict(kwargs)
