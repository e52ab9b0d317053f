"""What a client's older messages may show to a model.

A list of messages is the client's word for what was said before. Whatever in it this engine has neither said itself nor
checked before is checked now: what users said by the input rails, what an assistant is said to have answered by the
output rails, what tools are said to have returned by the tool-input rails. What a rail rewrites is shown as rewritten,
and what it refuses is hidden. Verdicts are kept by content, so that a message is judged once and not again each turn.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rails_engine.chat import ChatMessage, digest
from rails_engine.config import RailsConfig
from rails_engine.options import DEFAULT_OPTIONS, GenerationOptions, GenerationRailsOptions
from rails_engine.prompts import HIDDEN
from rails_engine.request import Request

KEPT: Final = 8192
"""Messages whose verdict, or whose origin, is remembered."""

AT_ONCE: Final = 8
"""Messages of one request that are judged side by side."""

_NO_RAILS = GenerationRailsOptions(
    input=False, output=False, retrieval=False, dialog=False, tool_output=False, tool_input=False
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rails made of a message: its content as it may be shown, None where they refused it.

    `certain`: no rail failed, so that asking again would give the same.
    """

    content: Any
    certain: bool


Judge: TypeAlias = Callable[[Request], Awaitable[Judged]]
"""Runs the rails that the request names over its last message, and no model but theirs."""


class MessageChecks:
    """Judges messages by content, and remembers."""

    def __init__(self, config: RailsConfig, judge: Judge) -> None:
        self._rails = config.rails
        self._judge = judge
        self._verdicts: OrderedDict[str, Any] = OrderedDict()
        self._own: OrderedDict[str, None] = OrderedDict()

    def said(self, text: str) -> None:
        """Remember an answer of this engine's own: it went through the rails when it was made."""
        _keep(self._own, digest([{"role": "assistant", "content": text}]), None)

    def learn(self, request: Request, judged: Judged) -> None:
        """Remember what a turn made of its last user message."""
        place = next((p for p in range(len(request.messages) - 1, -1, -1) if _is_user(request, p)), None)
        question = self._question(request, place) if place is not None else None
        if question is not None and judged.certain:
            _keep(self._verdicts, _key(question.messages[-1], question), judged.content)

    def places(self, request: Request, first: int, start: int) -> list[int]:
        """The places of the messages from `first` on that a turn that begins at `start` does not judge itself.

        It judges its last user message and the results of its tools.
        """
        messages = request.messages
        if first >= start >= len(messages) - 1:
            return []
        now = [p for p in range(start, len(messages)) if messages[p].get("role") == "user"][:-1]
        return [*range(first, start), *now]

    async def review(
        self, request: Request, places: Sequence[int], start: int
    ) -> tuple[Sequence[ChatMessage], ChatMessage | None]:
        """The messages with those at `places` as prompts may show them, and the first from `start` on that is refused."""
        messages = list(request.messages)
        questions = [(place, asked) for place in places if (asked := self._question(request, place))]
        if not questions:
            return request.messages, None
        limit = asyncio.Semaphore(AT_ONCE)

        async def judged(place: int, question: Request) -> Any:
            async with limit:
                # Rails that wait for nothing must not keep other conversations waiting.
                await asyncio.sleep(0)
                return await self._content(messages[place], question)

        contents = await asyncio.gather(*(judged(place, question) for place, question in questions))
        for (place, _), content in zip(questions, contents, strict=True):
            if content != messages[place].get("content"):
                messages[place] = {**messages[place], "content": HIDDEN if content is None else content}
        refused = [
            p for (p, _), content in zip(questions, contents, strict=True) if content is None and p >= start
        ]
        return messages, request.messages[refused[0]] if refused else None

    async def _content(self, message: ChatMessage, question: Request) -> Any:
        key = _key(message, question)
        if key in self._verdicts:
            self._verdicts.move_to_end(key)
            return self._verdicts[key]
        judged = await self._judge(question)
        if judged.certain:
            _keep(self._verdicts, key, judged.content)
        return judged.content

    def _question(self, request: Request, place: int) -> Request | None:
        """The request that has a message judged; None where nobody has to."""
        message = request.messages[place]
        asked = (request.options or DEFAULT_OPTIONS).rails
        role, content = message.get("role"), message.get("content")
        if not content:
            return None
        if role == "user" or (role in {"system", "developer"} and self._rails.input.check_system_messages):
            if not (self._rails.input.flows and asked.input):
                return None
            return _only(({"role": "user", "content": content},), input=asked.input)
        if role == "assistant":
            if not (self._rails.output.flows and asked.output) or digest([message]) in self._own:
                return None
            return _only((_before(request.messages, place, "user"), message), output=asked.output)
        if role == "tool" and self._rails.tool_input.flows and asked.tool_input:
            calling = _before(request.messages, place, "assistant")
            return _only((calling, message), tool_input=asked.tool_input)
        return None


def _is_user(request: Request, place: int) -> bool:
    return request.messages[place].get("role") == "user"


def _key(message: ChatMessage, question: Request) -> str:
    return f"{digest([message])} {question.options}"


def _before(messages: Sequence[ChatMessage], place: int, role: str) -> ChatMessage:
    """The nearest message of that role before a place."""
    found = (messages[p] for p in range(place - 1, -1, -1) if messages[p].get("role") == role)
    return next(found, {"role": role, "content": ""})


def _only(messages: tuple[ChatMessage, ...], **rails: Any) -> Request:
    """A request that runs these rails and nothing else; nothing of it is remembered."""
    options = GenerationOptions(rails=_NO_RAILS.model_copy(update=rails))
    return Request(messages, options, story={})


def _keep(table: OrderedDict[str, Any], key: str, value: Any) -> None:
    table[key] = value
    if len(table) > KEPT:
        table.popitem(last=False)
