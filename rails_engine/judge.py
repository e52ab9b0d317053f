"""The rails of a Colang 2.x configuration asked for a verdict, beside the conversation.

A flow of the `guardrails` library runs the rails of one direction and tells how they ended. It runs beside `main`, on
a state of its own or on a fork of the conversation's, and nothing of it is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from colang import ColangError, Program
from rails_engine.errors import ConfigurationError, LLMCallException
from rails_engine.trace import Trace
from rails_engine.umim import EventDict
from rails_engine.windows import Ruling

log = logging.getLogger(__name__)

VERDICT: Final = "RailsVerdict"

INPUT: Final = "input"
OUTPUT: Final = "output"
RETRIEVAL: Final = "retrieval"
TOOL_INPUT: Final = "tool input"
TOOL_OUTPUT: Final = "tool output"
"""The directions, as their flows are named: `<direction> rails` is the configuration's own, `_judge <direction>` asks it."""

Beside: TypeAlias = Callable[[EventDict], Awaitable[Sequence[EventDict]]]
"""Runs one event beside the conversation, and gives what the flows sent for it. Raises as a turn does."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How the rails of one direction ended: `content` as they leave it, or the rail that refused and what was said.

    `content` is a text, for tool results the list of their messages. `failed`: a rail's action did not succeed.
    `exception`: the event that was raised instead of speaking.
    """

    passed: bool
    content: Any = ""
    rail: str = ""
    said: str = ""
    exception: EventDict | None = None
    failed: bool = False

    @property
    def text(self) -> str:
        """The content of a direction that is text."""
        return str(self.content)

    @property
    def told(self) -> str:
        """The refusal in words."""
        return str(self.exception.get("message", "")) if self.exception else self.said


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks the rails of a program; calls may overlap."""

    program: Program
    beside: Beside
    trace: Trace

    def has(self, direction: str) -> bool:
        """True if the program has rails of this direction, and the library that runs them."""
        flows = self.program.flows
        return f"{direction} rails" in flows and f"_judge {direction}" in flows

    def has_flow(self, direction: str) -> bool:
        """True if the program has rails of this direction, whoever runs them."""
        return f"{direction} rails" in self.program.flows

    async def input(self, text: str) -> Judgement:
        """The verdict of the input rails; without any, `text` passes."""
        return await self._verdict(INPUT, text, {})

    async def output(self, text: str, asked: str | None = None, thought: str = "") -> Judgement:
        """The verdict of the output rails on an answer to `asked`; without any, `text` passes."""
        return await self._verdict(OUTPUT, text, {"asked": asked, "thought": thought or None})

    async def retrieval(self, text: str) -> Judgement:
        """The verdict of the retrieval rails on what was found; without any, it passes."""
        return await self._verdict(RETRIEVAL, text, {})

    async def tool_input(
        self, results: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]]
    ) -> Judgement:
        """The verdict of the tool-input rails on messages that answer `calls`; without any rails, they pass."""
        return await self._verdict(TOOL_INPUT, [dict(each) for each in results], {"calls": list(calls)})

    async def window(self, text: str, asked: str | None, thought: str) -> Ruling:
        """The verdict of the output rails on a window of a streamed answer."""
        judgement = await self.output(text, asked, thought)
        if judgement.passed:
            return Ruling(judgement.text)
        events = (judgement.exception,) if judgement.exception else ()
        return Ruling("", judgement.rail, judgement.failed, events, judgement.said)

    async def _verdict(self, direction: str, content: Any, given: dict[str, Any]) -> Judgement:
        if not self.has(direction):
            return Judgement(passed=True, content=content)
        start: EventDict = {
            "type": "StartFlow",
            "flow_id": f"_judge {direction}",
            "content": content,
            **given,
        }
        ran = len(self.trace.actions)
        try:
            outputs = await self.beside(start)
        except (ColangError, ConfigurationError, LLMCallException) as error:
            log.warning("the %s rails could not judge: %r", direction, error)
            return Judgement(passed=False, rail=f"{direction} rails", failed=True)
        failed = any(run.failure is not None for run in self.trace.actions[ran:])
        return _judgement(f"{direction} rails", outputs, failed=failed)


def _judgement(hook: str, outputs: Sequence[EventDict], *, failed: bool) -> Judgement:
    """What the outputs amount to. Rails that came to no end have not let the content pass."""
    verdict = next((event for event in outputs if event["type"] == VERDICT), {})
    if verdict.get("passed") is True:
        return Judgement(passed=True, content=verdict.get("content"))
    said = [str(event.get("final_script", "")) for event in outputs if event["type"] in _SPOKEN]
    exception = next((event for event in outputs if event["type"].endswith("Exception")), None)
    rail = str(verdict.get("rail") or hook)
    return Judgement(False, "", rail, "\n".join(said), exception, failed or not verdict)


_SPOKEN: Final = frozenset({"UtteranceBotActionFinished"})
