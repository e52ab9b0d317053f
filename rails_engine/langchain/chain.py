"""A chain of the caller's that answers behind the rails, in the main model's place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel

from rails_engine.content_parts import flattened, text_in
from rails_engine.error_boundary import OnError
from rails_engine.langchain.forms import ChainInput, last_user_text
from rails_engine.langchain.messages import plain_message
from rails_engine.llm import Completion, message_of
from rails_engine.umim import EventDict


class ChainCall:
    """One call of it. `failure` is what the chain raised, which the caller is to see."""

    def __init__(
        self,
        asked: ChainInput,
        runnable: Runnable[Any, Any] | None,
        config: RunnableConfig,
        kwargs: Mapping[str, Any],
    ) -> None:
        self.failure: BaseException | None = None
        self.has_answered = False
        self._asked = asked
        self._runnable = runnable
        self._config = config
        self._kwargs = kwargs
        self._raw: Any = None
        self._text = ""

    async def answer(self, context: Mapping[str, Any], events: list[EventDict]) -> Completion:
        """The chain's answer to the question as the input rails left it, for the output rails to judge."""
        del events
        if self._runnable is None:
            raise RuntimeError("there is no chain to ask")
        with OnError(self._failed, Exception):
            self._raw = await self._runnable.ainvoke(self._question(context), self._config, **self._kwargs)
        self.has_answered = True
        spoken = self._spoken()
        self._text = _text_of(spoken)
        calls = message_of(plain_message(spoken)).tool_calls if isinstance(spoken, AIMessage) else ()
        return Completion(self._text, tool_calls=calls)

    def _failed(self, error: BaseException) -> None:
        self.failure = error

    def _question(self, context: Mapping[str, Any]) -> Any:
        """What the caller gave; where a rail changed the user's message, with the changed one in it."""
        left = context.get("user_message")
        changed = isinstance(left, str) and left != flattened(last_user_text(self._asked.messages))
        return self._asked.rewritten(left) if changed and isinstance(left, str) else self._asked.value

    def _spoken(self) -> Any:
        """The answer in what the chain gave; all of it where it has no place of its own."""
        key = self._asked.keys.answer
        return self._raw[key] if isinstance(self._raw, Mapping) and key in self._raw else self._raw

    def shaped(self, words: str | Mapping[str, Any], stopped: str | None) -> Any:
        """What the chain gave, with `words` for its answer where the rails changed it.

        Where they `stopped` it, nothing else of what the chain gave is left: no rail has seen it.
        """
        if stopped is None and words == self._text:
            return self._raw
        if isinstance(words, Mapping):
            words = stopped or ""
        words = words or stopped or ""
        raw, key = self._raw, self._asked.keys.answer
        if isinstance(raw, Mapping) and key in raw:
            rest = raw if stopped is None else {}
            return {**rest, key: _message_or_text(raw[key], words, is_new=stopped is not None)}
        if isinstance(raw, str | BaseMessage):
            return _message_or_text(raw, words, is_new=stopped is not None)
        return self._asked.wrapped(words if self._asked.is_text else AIMessage(words))


def _message_or_text(given: Any, words: str, *, is_new: bool) -> Any:
    if not isinstance(given, BaseMessage):
        return words
    return AIMessage(words) if is_new else given.model_copy(update={"content": words})


def _text_of(answer: Any) -> str:
    """What output rails are shown of a chain's answer: its text, or data as JSON."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, BaseMessage):
        return text_in(answer.content)
    if isinstance(answer, BaseModel):
        return answer.model_dump_json()
    return json.dumps(answer, default=str, ensure_ascii=False)
