"""The rails of a Colang 2.x configuration asked for a verdict, without a conversation around it.

A flow of the `guardrails` library runs the input or output rails on one text and tells how they ended. It runs beside
`main`, on a state of its own or on a fork of the conversation's, and nothing of it is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from colang import ColangError
from rails_engine.engine import Engine
from rails_engine.errors import ConfigurationError, LLMCallException
from rails_engine.options import RailType
from rails_engine.services import TurnServices
from rails_engine.state import Snapshot
from rails_engine.trace import Trace
from rails_engine.turn import Call
from rails_engine.umim import EventDict
from rails_engine.windows import Ruling

log = logging.getLogger(__name__)

VERDICT: Final = "RailsVerdict"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How the rails of one direction ended: `text` as they leave it, or the rail that refused and what was said.

    `failed`: a rail's action did not succeed. `exception`: the event that was raised instead of speaking.
    """

    passed: bool
    text: str = ""
    rail: str = ""
    said: str = ""
    exception: EventDict | None = None
    failed: bool = False

    @property
    def told(self) -> str:
        """The refusal in words."""
        return str(self.exception.get("message", "")) if self.exception else self.said


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks the rails; calls may overlap. `before` is the conversation that they see, None for none."""

    engine: Engine
    services: TurnServices
    trace: Trace
    before: Snapshot | None = None

    def has(self, kind: RailType) -> bool:
        """True if the program has rails of this direction, and the library that runs them."""
        flows = self.engine.program.flows
        return f"{kind.value} rails" in flows and f"_judge {kind.value}" in flows

    async def input(self, text: str) -> Judgement:
        """The verdict of the input rails; without any, `text` passes."""
        return await self._verdict(RailType.INPUT, {"text": text})

    async def output(self, text: str, asked: str | None = None, thought: str = "") -> Judgement:
        """The verdict of the output rails on an answer to `asked`; without any, `text` passes."""
        return await self._verdict(
            RailType.OUTPUT, {"text": text, "asked": asked, "thought": thought or None}
        )

    async def window(self, text: str, asked: str, thought: str) -> Ruling:
        """The verdict of the output rails on a window of a streamed answer."""
        judgement = await self.output(text, asked, thought)
        if judgement.passed:
            return Ruling(judgement.text)
        return Ruling(refused_by=judgement.rail, failed=judgement.failed)

    async def _verdict(self, kind: RailType, given: dict[str, Any]) -> Judgement:
        if not self.has(kind):
            return Judgement(passed=True, text=given["text"])
        start: EventDict = {"type": "StartFlow", "flow_id": f"_judge {kind.value}", **given}
        ran = len(self.trace.actions)
        try:
            outputs = await self.engine.aside(
                self.before, Call([start], True, _SPEECH), self.services, self.trace
            )
        except (ColangError, ConfigurationError, LLMCallException) as error:
            log.warning("the %s rails could not judge: %r", kind.value, error)
            return Judgement(passed=False, rail=f"{kind.value} rails", failed=True)
        failed = any(run.failure is not None for run in self.trace.actions[ran:])
        return _judgement(f"{kind.value} rails", outputs, failed=failed)


_SPEECH: Final = frozenset({"UtteranceBotAction"})
"""What ends at once: a refusal is read, not spoken."""


def _judgement(hook: str, outputs: Sequence[EventDict], *, failed: bool) -> Judgement:
    """What the outputs amount to. Rails that came to no end have not let the text pass."""
    verdict = next((event for event in outputs if event["type"] == VERDICT), {})
    if verdict.get("passed") is True:
        return Judgement(passed=True, text=str(verdict.get("text")))
    said = [str(event.get("final_script", "")) for event in outputs if event["type"] in _SPOKEN]
    exception = next((event for event in outputs if event["type"].endswith("Exception")), None)
    rail = str(verdict.get("rail") or hook)
    return Judgement(False, "", rail, "\n".join(said), exception, failed or not verdict)


_SPOKEN: Final = frozenset({"UtteranceBotActionFinished"})
