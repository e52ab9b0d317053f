"""Scripted LangChain models, what is said to them and by them, and configurations to put before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from nemoguardrails import RailsConfig

GATES = """
define bot refuse to respond
  "Nope."
define subflow gate in
  if "bad" in $user_message
    bot refuse to respond
    stop
define subflow gate out
  if "secret" in $bot_message
    bot refuse to respond
    stop
"""
GATED = {"input": {"flows": ["gate in"]}, "output": {"flows": ["gate out"], "streaming": {"chunk_size": 2}}}


def gated(colang: str = GATES, **keys: Any) -> RailsConfig:
    return RailsConfig.from_content(colang, config={"models": [], "rails": GATED, **keys})


def plain(**keys: Any) -> RailsConfig:
    return RailsConfig.from_content(config={"models": [], **keys})


class Chat(BaseChatModel):
    """Answers from a list, over and over; keeps what it was asked."""

    answers: Sequence[Any]
    asked: list[list[BaseMessage]] = []  # noqa: RUF012 -- a field, copied by pydantic
    given: list[dict[str, Any]] = []  # noqa: RUF012 -- as `asked`

    @property
    def _llm_type(self) -> str:
        return "chat"

    def _next(self, messages: list[BaseMessage], given: dict[str, Any]) -> AIMessage:
        answer = self.answers[len(self.asked) % len(self.answers)]
        self.asked.append(messages)
        self.given.append(given)
        if isinstance(answer, Exception):
            raise answer
        return AIMessage(content=answer) if isinstance(answer, str) else answer

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = self._next(messages, {**kwargs, **({"stop": stop} if stop else {})})
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        answer = self._next(messages, kwargs)
        for word in str(answer.content).split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{word} "))
        if answer.tool_calls:
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_calls=answer.tool_calls))

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def texts(self, call: int = -1) -> list[tuple[str, Any]]:
        return [(message.type, message.content) for message in self.asked[call]]


def chat(*answers: Any) -> Chat:
    return Chat(answers=answers)


HI = HumanMessage("hi")
CALL: Any = {"name": "weather", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}
CALLING = AIMessage(content="", tool_calls=[CALL])


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sun in {city}"
