"""The output rails of Colang 1.0 asked about one window of a streamed answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rails_engine.canonical.runner import CanonicalRunner, Verdict
from rails_engine.canonical.turn import CanonicalTurn
from rails_engine.config import asks_elsewhere
from rails_engine.parallel_rails import ParallelRails
from rails_engine.trace import Trace
from rails_engine.umim import EventDict
from rails_engine.windows import Ruling

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """Runs each rail on a fork of the turn, so that a window leaves nothing behind but its record.

    In a row each rail sees what the one before it made of the text; `side_by_side` all see the same, and the first
    refusal ends the others.
    """

    runner: CanonicalRunner
    turn: CanonicalTurn
    flows: Sequence[str]
    side_by_side: bool = False

    async def __call__(self, text: str, reasoning: str) -> Ruling:
        """The ruling over one window; see `Check`."""
        if self.side_by_side:
            return await self._all_at_once(text, reasoning)
        for flow in self.flows:
            ruling = await self._ruling(flow, text, reasoning)
            if ruling.refused_by is not None:
                return ruling
            text = ruling.text
        return Ruling(text)

    async def _all_at_once(self, text: str, reasoning: str) -> Ruling:
        rails: ParallelRails[str, Ruling] = ParallelRails(
            ask=lambda flow, current: self._ruling(flow, current, reasoning),
            refuses=lambda ruling: ruling.refused_by is not None,
            left=lambda ruling, _: ruling.text,
            is_slow=asks_elsewhere,
        )
        done, left = await rails.judged(self.flows, text)
        return done[-1] if done and done[-1].refused_by is not None else Ruling(left)

    async def _ruling(self, flow: str, text: str, reasoning: str) -> Ruling:
        machine = self.turn.scene.machine.fork()
        machine.variables["bot_message"] = text
        if reasoning:
            machine.variables["bot_thinking"] = reasoning
        scene, trace = replace(self.turn.scene, machine=machine, shown=None), Trace()
        fork = CanonicalTurn(scene, self.runner, trace)
        try:
            verdict = await self.runner.alone(fork, "output", flow)
        except Exception as error:  # noqa: BLE001 -- whatever keeps a rail from judging, its window stays here
            log.warning("the output rail %s could not judge: %r", flow, error)
            return Ruling(refused_by=flow, failed=True)
        if verdict.stopped:
            self.turn.trace.actions += trace.actions
            self.turn.trace.has_failed |= trace.has_failed
            return Ruling(refused_by=flow, failed=_failed(verdict), events=tuple(verdict.events))
        self.turn.trace.events += (verdict.events[0], verdict.events[-1])
        return Ruling(str(verdict.variables.get("bot_message", text)))


def _failed(verdict: Verdict) -> bool:
    """True where the rail stopped because an action of its own did not succeed."""
    return any(_is_failure(event) for event in verdict.events)


def _is_failure(event: EventDict) -> bool:
    return event["type"] == "InternalSystemActionFinished" and event.get("status") == "failed"
