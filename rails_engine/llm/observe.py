"""What a finished call was like: feeds `explain()`, the log and the trace."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import uuid4

from rails_engine.llm.answer import Completion, Gathering, complete
from rails_engine.llm.base import LLM, Chunk, LLMRequest
from rails_engine.llm.layer import Layer
from rails_engine.llm.streams import Reading
from rails_engine.llm.wire import text_of


@dataclass(slots=True)
class LLMCall:
    """One call from its request to its end. `error` is set where it failed; then `completion` is what had come.

    `started_at` is in seconds since the epoch, `duration_s` in seconds.
    """

    task: str | None
    model_name: str
    provider_name: str
    request: LLMRequest
    completion: Completion
    started_at: float
    duration_s: float
    error: BaseException | None = None
    _uid: str = field(default="", repr=False, compare=False)

    @property
    def uid(self) -> str:
        """Made when somebody first asks for it, which few do: randomness from the system costs more than the record."""
        if not self._uid:
            self._uid = str(uuid4())
        return self._uid

    @property
    def prompt_text(self) -> str:
        """The prompt as one text, for people to read."""
        if self.request.prompt is not None:
            return self.request.prompt
        return "\n".join(f"[{message.role}]\n{text_of(message)}" for message in self.request.messages)


Sink: TypeAlias = Callable[[LLMCall], None]


class Observed(Layer):
    """Wraps an `LLM` for the length of a turn and tells `sink` of every call, also of a failed or closed one."""

    def __init__(self, inner: LLM, sink: Sink, task: str | None = None) -> None:
        super().__init__(inner)
        self._sink = sink
        self._task = task

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`."""
        began = time.time(), time.perf_counter()
        gathering = Gathering()
        try:
            async with Reading(self._inner.stream(request)) as chunks:
                async for chunk in chunks:
                    gathering.add(chunk)
                    yield chunk
        except BaseException as error:  # the call is told of whatever ended it, and the cause goes on
            self._sink(_call(self._inner, request, self._task, gathering.result(), began, error))
            raise
        self._sink(_call(self._inner, request, self._task, gathering.result(), began))

    def complete(self, request: LLMRequest) -> Awaitable[Completion]:
        """See `Completing.complete`."""
        return observed(self._inner, request, self._sink, self._task)


async def observed(llm: LLM, request: LLMRequest, sink: Sink, task: str | None = None) -> Completion:
    """Run one request to its end, and tell `sink` of it, however it ended.

    Raises:
        as `LLM.stream`.
    """
    began = time.time(), time.perf_counter()
    try:
        completion = await complete(llm, request)
    except BaseException as error:  # as above
        sink(_call(llm, request, task, Completion(), began, error))
        raise
    sink(_call(llm, request, task, completion, began))
    return completion


def _call(
    llm: LLM,
    request: LLMRequest,
    task: str | None,
    completion: Completion,
    began: tuple[float, float],
    failure: BaseException | None = None,
) -> LLMCall:
    started_at, start = began
    return LLMCall(
        request.task or task,
        request.model or llm.model_name or completion.model or "",
        llm.provider_name,
        request,
        completion,
        started_at,
        time.perf_counter() - start,
        failure,
    )
