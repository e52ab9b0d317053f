"""What a client's older messages may show to a model.

A list of messages is the client's word for what was said before. Whatever in it this engine has neither said itself nor
checked before is checked now: what users said by the input rails, what an assistant is said to have answered by the
output rails, what tools are said to have returned by the tool-input rails. What a rail rewrites is shown as rewritten,
and what it refuses is hidden. Verdicts are kept by content, so that a message is judged once and not again each turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from rails_engine.chat import ChatMessage, hidden_call
from rails_engine.config import RailsConfig
from rails_engine.lru import LruTable
from rails_engine.message_digest import as_text, digest
from rails_engine.options import DEFAULT_OPTIONS, GenerationOptions, GenerationRailsOptions, RailChoice
from rails_engine.prompts import HIDDEN
from rails_engine.request import Request
from rails_engine.values import value_class

_OF_THE_CALL: Final = frozenset({"bot_message", "generation_options"})
"""Keys of a context that ask something of the call that they come with."""

KEPT: Final = 8192
"""Messages whose verdict, or whose origin, is remembered at least; of a call with more of them all are."""

SHORT: Final = 128
"""Characters up to which a message is remembered by its text, and not by a digest of it."""

AT_ONCE: Final = 8
"""Messages of one request that are judged side by side."""

_READ: Final = frozenset({"user", "assistant", "system", "developer"})
"""Roles of messages that are read where they stand; what tools returned is judged by the turn that it comes with."""

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


@value_class
class Context:
    """Variables as one context message, and the same name for the same variables."""

    message: ChatMessage
    name: str


@value_class
class Question:
    """A message for the rails of one direction: `choice` of them, over the last of `messages`.

    `tools` are those that the request offers to models, `context` the variables that its messages set.
    """

    direction: str
    choice: RailChoice
    messages: tuple[ChatMessage, ...]
    tools: Sequence[Any] = ()
    context: Context | None = None

    @property
    def key(self) -> str:
        """The same for questions that have the same answer."""
        offered = [str(self.tools)] if self.tools else []
        known = [self.context.name] if self.context else []
        return "\n".join([self.direction, str(self.choice), *map(_name, self.messages), *offered, *known])

    def request(self) -> Request:
        """The request that runs these rails and nothing else; nothing of it is remembered."""
        options = GenerationOptions(
            rails=_NO_RAILS.model_copy(update={self.direction: self.choice}),
            llm_params={"tools": list(self.tools)} if self.tools else None,
        )
        known = (self.context.message,) if self.context else ()
        return Request((*known, *self.messages), options, story={})

    def within(self, context: Context | None) -> Question:
        """The same question for rails that know these variables."""
        return self if context is None else replace(self, context=context)


class MessageChecks:
    """Judges messages by content, and remembers."""

    def __init__(self, config: RailsConfig, judge: Judge) -> None:
        self._rails = config.rails
        self._shows_all = bool(config.passthrough)
        self._judge = judge
        kept = max(KEPT, 2 * config.limits.max_messages)
        self._verdicts: LruTable[str, Any] = LruTable(kept)
        self._own: LruTable[str, None] = LruTable(kept)

    def said(self, text: str, calls: Sequence[Any] = ()) -> None:
        """Remember an answer of this engine's own, and its calls: they went through the rails when they were made."""
        self._own.keep(_name({"role": "assistant", "content": text}), None)
        if calls:
            self._own.keep(_name(_calling(calls)), None)

    def learn(self, request: Request, judged: Judged) -> None:
        """Remember what a turn made of its last user message."""
        place = next((p for p in range(len(request.messages) - 1, -1, -1) if _is_user(request, p)), None)
        question = self._question(request, place) if place is not None else None
        if question is not None:
            self._learn(question.within(_context_of(request.messages)), judged)

    def places(self, request: Request, first: int, start: int) -> list[int]:
        """The places of the messages from `first` on that a turn that begins at `start` does not judge itself.

        It judges its last user message, the results of its tools, and an answer that is only to be checked. Where it
        answers the results, or an event behind the message, it does not come to judge that message. A caller's event is
        answered in the message's stead, but a model that is given the messages as they are would see it.
        """
        messages = request.messages
        if first >= start >= len(messages) - 1:
            return []
        answers = (request.options or DEFAULT_OPTIONS).rails.dialog
        is_answer = not answers and messages[-1].get("role") == "assistant"
        said = range(start, len(messages) - is_answer)
        last = max((p for p in said if _is_user(request, p)), default=-1)
        is_beside = any(messages[p].get("role") == "tool" for p in said)
        if is_beside or (
            self._shows_all and any(messages[p].get("role") == "event" for p in said if p > last)
        ):
            last = -1
        return [*range(first, start), *(p for p in said if p != last and messages[p].get("role") in _READ)]

    async def review(
        self, request: Request, places: Sequence[int], start: int
    ) -> tuple[Sequence[ChatMessage], ChatMessage | None]:
        """The messages with those at `places` as prompts may show them, and the first from `start` on that is refused."""
        context = _context_of(request.messages)
        changed = await self._changed(
            {p: asked.within(context) for p in places if (asked := self._question(request, p))}
        )
        refused_calls = await self._changed(
            {p: asked.within(context) for p in places if (asked := self._about_calls(request, p))}
        )
        if not changed and not refused_calls:
            return request.messages, None
        messages = list(request.messages)
        for place, content in changed.items():
            messages[place] = {**messages[place], "content": HIDDEN if content is None else content}
        for place in refused_calls:
            calls = messages[place]["tool_calls"]
            messages[place] = {**messages[place], "tool_calls": [hidden_call(call) for call in calls]}
        answers = (p for p, content in changed.items() if content is None and p >= start)
        refused = next((p for p in answers if messages[p].get("role") != "assistant"), None)
        return messages, request.messages[refused] if refused is not None else None

    async def _changed(self, questions: Mapping[int, Question]) -> dict[int, Any]:
        """The verdicts by place, but for those on what may be shown as it is."""
        verdicts = {place: self._verdicts.get(asked.key, _UNKNOWN) for place, asked in questions.items()}
        unknown = [place for place, verdict in verdicts.items() if verdict is _UNKNOWN]
        if unknown:
            limit = asyncio.Semaphore(AT_ONCE)
            judging = (self._judged(questions[place], limit) for place in unknown)
            verdicts |= zip(unknown, await asyncio.gather(*judging), strict=True)
        return {place: verdict for place, verdict in verdicts.items() if verdict is not _AS_IT_IS}

    async def _judged(self, question: Question, limit: asyncio.Semaphore) -> Any:
        async with limit:
            await asyncio.sleep(0)  # rails that wait for nothing must not keep other conversations waiting
            return self._learn(question, await self._judge(question.request()))

    def _learn(self, question: Question, judged: Judged) -> Any:
        """The verdict, which is remembered if it is certain: new content, `_AS_IT_IS`, or None for a refusal."""
        given = question.messages[-1].get("content")
        verdict = _AS_IT_IS if judged.content == given else judged.content
        if judged.certain:
            self._verdicts.keep(question.key, verdict)
        return verdict

    def _question(self, request: Request, place: int) -> Question | None:
        """What is to be asked about a message; None where nobody has to."""
        message = request.messages[place]
        asked = (request.options or DEFAULT_OPTIONS).rails
        role, content = message.get("role"), message.get("content")
        if not content:
            return None
        if role == "user" or (role in {"system", "developer"} and self._rails.input.check_system_messages):
            if not (self._rails.input.flows and asked.input):
                return None
            said = message if role == "user" and len(message) == 2 else {"role": "user", "content": content}
            return Question("input", asked.input, (said,))
        if role == "assistant":
            if not (self._rails.output.flows and asked.output) or self._own.has(_name(message)):
                return None
            return Question("output", asked.output, (_before(request.messages, place, "user"), message))
        if role == "tool" and self._rails.tool_input.flows and asked.tool_input:
            calling = _before(request.messages, place, "assistant")
            return Question("tool_input", asked.tool_input, (calling, message))
        return None

    def _about_calls(self, request: Request, place: int) -> Question | None:
        """What is to be asked about the calls that an assistant is said to have made."""
        message, asked = request.messages[place], request.options or DEFAULT_OPTIONS
        calls = message.get("tool_calls")
        if not calls or message.get("role") != "assistant":
            return None
        if not (self._rails.tool_output.flows and asked.rails.tool_output) or self._own.has(
            _name(_calling(calls))
        ):
            return None
        told = {"role": "event", "event": {"type": "BotToolCalls", "tool_calls": calls}, "content": "calls"}
        return Question(
            "tool_output", asked.rails.tool_output, (told,), (asked.llm_params or {}).get("tools") or ()
        )


_UNKNOWN: Final = object()
_AS_IT_IS: Final = object()
"""The verdict on a message that prompts may show as it is; most are of this kind, and need not be kept a second time."""


def _context_of(messages: Sequence[ChatMessage]) -> Context | None:
    """All variables that the messages set: rails over older messages know those of the request."""
    variables: dict[str, Any] = {}
    for message in messages:
        content = message.get("content")
        if message.get("role") == "context" and isinstance(content, Mapping):
            variables.update((name, content[name]) for name in content if name not in _OF_THE_CALL)
    message = {"role": "context", "content": variables}
    return Context(message, _name(message)) if variables else None


def _calling(calls: Sequence[Any]) -> ChatMessage:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)}


def _is_user(request: Request, place: int) -> bool:
    return request.messages[place].get("role") == "user"


def _name(message: ChatMessage) -> str:
    """The same for messages of the same content."""
    text = as_text(message)
    return text if len(text) <= SHORT else digest([message])


def _before(messages: Sequence[ChatMessage], place: int, role: str) -> ChatMessage:
    """The nearest message of that role before a place."""
    found = (messages[p] for p in range(place - 1, -1, -1) if messages[p].get("role") == role)
    return next(found, {"role": role, "content": ""})
