"""What a stream gives out: pieces of text, what stands beside them, and the error that ends one.

`Outlet` is the way from whoever produces frames to the one who reads them; `relay` runs the producer for as long as
somebody reads.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from rails_engine.errors import LLMCallException, LLMClientError

HELD: Final = 64
"""Frames that wait for their reader before the producer is held up."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of text, or what stands beside the text; an error's text is JSON.

    `metadata` has `reasoning_content` (a piece of the model's reasoning), `tool_calls`, or the `usage` of the whole.
    """

    text: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def shown(self, *, framed: bool) -> str | dict[str, Any] | None:
        """As the caller of a stream gets it; None where a stream of plain texts has nothing to show."""
        if not framed:
            return self.text or None
        return {"text": self.text, "metadata": dict(self.metadata)} if self.metadata else {"text": self.text}


class Thought:
    """A model's reasoning on its way out. Where it `waits`, rails guard the answer: it goes out with the text it led to."""

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits
        self._held = ""
        self._begun = False

    def beside(self, text: str, reasoning: str) -> Frame | None:
        """The frame of a piece; None where there is nothing to give out yet."""
        self._held += reasoning
        if not text and (self._waits or not self._held):
            return None
        self._begun = self._begun or bool(text)
        return Frame(text, self.taken())

    def behind(self) -> Frame | None:
        """The frame of what still waits behind a text, so that rails see it with the end of the text."""
        return Frame(metadata=self.taken()) if self._begun and self._held else None

    def taken(self) -> dict[str, Any]:
        """What waits, as metadata of a frame; it waits no longer."""
        held, self._held = self._held, ""
        return {"reasoning_content": held} if held else {}


class Outlet:
    """Frames on their way to one reader. `give` never waits; a producer that can wait asks for `room`."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    def give(self, frame: Frame) -> None:
        """Add a frame for the reader. Nothing is refused or dropped: who may write much asks for `room` first."""
        self._frames.put_nowait(frame)
        if self._frames.qsize() >= HELD:
            self._room.clear()

    async def room(self) -> None:
        """Wait while the reader is far behind."""
        await self._room.wait()

    def close(self) -> None:
        """No frame follows."""
        self._frames.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        frame = await self._frames.get()
        self._room.set()
        if frame is None:
            raise StopAsyncIteration
        return frame


async def relay(produce: Callable[[Outlet], Awaitable[object]]) -> AsyncIterator[Frame]:
    """The frames of a producer that runs in a task of its own; closing the iterator cancels it and waits for its end."""
    outlet = Outlet()
    task = asyncio.ensure_future(_produced(produce, outlet))
    try:
        async for frame in outlet:
            yield frame
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _produced(produce: Callable[[Outlet], Awaitable[object]], outlet: Outlet) -> None:
    try:
        await produce(outlet)
    except BaseException as error:  # the rim: a stream that has begun can only end with a frame
        outlet.give(error_frame(error))
        if not isinstance(error, Exception):  # cancelled by somebody else, or worse
            raise
        outlet.give(closing_frame(None))
    finally:
        outlet.close()


def error_frame(error: BaseException) -> Frame:
    """An error as the JSON text that ends a stream: `{"error": {message, type, param, code}}`.

    `code` is the status where a remote model answered with one.
    """
    if isinstance(error, LLMCallException | LLMClientError):
        cause = error.inner_exception if isinstance(error, LLMCallException) else error
        status = getattr(error, "status", None) or getattr(cause, "status_code", None)
        if status:
            return _frame(str(error), "downstream_error", getattr(cause, "param", None), status)
        return _frame(str(error), "generation_error", None, "generation_failed")
    return _frame(f"{type(error).__name__}: {error}", "generation_error", None, "generation_failed")


class Counts(Protocol):
    """Token counts of a model call."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens that the model read."""

    @property
    def completion_tokens(self) -> int:
        """Tokens that the model wrote."""

    @property
    def total_tokens(self) -> int:
        """Both together."""


def closing_frame(counts: Counts | None) -> Frame:
    """The last frame of a stream: what the answer took, where its model told."""
    usage = None
    if counts is not None:
        usage = {
            "input_tokens": counts.prompt_tokens,
            "output_tokens": counts.completion_tokens,
            "total_tokens": counts.total_tokens,
        }
    told = {"usage": usage} if usage else {}
    return Frame(metadata={**told, "response_metadata": None, "usage_metadata": usage})


def violation_frame(rail: str | None, message: str | None = None) -> Frame:
    """The frame of a stream that a rail has ended."""
    return _frame(
        message or (f"Blocked by the rail `{rail}`." if rail else "Blocked by a rail."),
        "guardrails_violation",
        rail,
        "content_blocked",
    )


def rail_failure_frame(rail: str) -> Frame:
    """The frame of a stream that ended because a rail could not give its verdict."""
    return _frame(f"The rail `{rail}` could not be run.", "internal_error", rail, "rail_execution_failure")


def _frame(message: str, kind: str, param: str | None, code: Any) -> Frame:
    return Frame(json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}))
