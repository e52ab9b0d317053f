"""The rails of a Colang 2.x configuration asked for a verdict, beside the conversation.

A flow of the `guardrails` library runs the rails of one direction and tells how they ended. It runs beside `main`, on
a state of its own or on a fork of the conversation's, and nothing of it is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

CONTENT: Final[Mapping[str, str]] = {
    "input": "user_message",
    "output": "bot_message",
    "retrieval": "relevant_chunks",
    "tool input": "tool_messages",
    "tool output": "tool_calls",
}
"""The global variable that the rails of a direction read and rewrite."""

FAILED_RUNS: Final = "_failed_runs"
"""The global variable with the flows of `guardrails`, by their uids, in which the action of a rail failed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the flows sent for an event, and the global variables behind it."""

    outputs: Sequence[EventDict]
    variables: Mapping[str, Any]


Beside: TypeAlias = Callable[[EventDict], Awaitable[Heard]]
"""Runs one event beside the conversation. Raises as a turn does."""


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
    sent: tuple[EventDict, ...] = ()
    """What the rails sent besides speech and verdict, the exception among it."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """The global variables as the rails leave them."""

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

    async def tool_output(self, calls: Sequence[Mapping[str, Any]]) -> Judgement:
        """The verdict of the tool-output rails on calls; without any rails, they pass."""
        return await self._verdict(TOOL_OUTPUT, [dict(each) for each in calls], {})

    async def window(self, text: str, asked: str | None, thought: str) -> Ruling:
        """The verdict of the output rails on a window of a streamed answer."""
        judgement = await self.output(text, asked, thought)
        if judgement.passed:
            return Ruling(judgement.text, said=judgement.said)
        events = (judgement.exception,) if judgement.exception else ()
        return Ruling("", judgement.rail, judgement.failed, events, judgement.said)

    async def listed(self, direction: str, number: int, content: Any) -> Judgement:
        """The verdict of one rail of a direction, by its number in the list of `config.yml`."""
        return await self._heard(
            f"{direction} rails", f"_judge listed {direction}", {"content": content, "number": number}
        )

    async def _verdict(self, direction: str, content: Any, given: dict[str, Any]) -> Judgement:
        if not self.has(direction):
            return Judgement(passed=True, content=content)
        return await self._heard(f"{direction} rails", f"_judge {direction}", {"content": content, **given})

    async def _heard(self, hook: str, flow: str, given: Mapping[str, Any]) -> Judgement:
        try:
            heard = await self.beside({"type": "StartFlow", "flow_id": flow, **given})
        except (ColangError, ConfigurationError, LLMCallException) as error:
            log.warning("the %s could not judge: %r", hook, error)
            return Judgement(passed=False, rail=hook, failed=True)
        return replace(_judgement(hook, heard.outputs), variables=heard.variables)


def _judgement(hook: str, outputs: Sequence[EventDict]) -> Judgement:
    """What the outputs amount to. Rails that came to no end have not let the content pass."""
    verdict = next((event for event in outputs if event["type"] == VERDICT), {})
    said = "\n".join(str(event.get("final_script", "")) for event in outputs if event["type"] in _SPOKEN)
    sent = tuple(event for event in outputs if event["type"] not in _UNSENT)
    if verdict.get("passed") is True:
        return Judgement(passed=True, content=verdict.get("content"), said=said, sent=sent)
    exception = next((event for event in sent if event["type"].endswith("Exception")), None)
    rail, failed = str(verdict.get("rail") or hook), not verdict or bool(verdict.get("failed"))
    return Judgement(False, "", rail, said, exception, failed, sent)


_SPOKEN: Final = frozenset({"UtteranceBotActionFinished"})

_UNSENT: Final = _SPOKEN | {VERDICT}
