"""The output rails of Colang 1.0 asked about one window of a streamed answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rails_engine.canonical.runner import CanonicalRunner, Verdict
from rails_engine.canonical.turn import CanonicalTurn
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
        tasks = [asyncio.ensure_future(self._ruling(flow, text, reasoning)) for flow in self.flows]
        try:
            for ended in asyncio.as_completed(tasks):
                ruling = await ended
                if ruling.refused_by is not None:
                    return ruling
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        # Of several that rewrite, each after the first is asked about what those before it have left.
        current = text
        for flow, task in zip(self.flows, tasks, strict=True):
            ruling = task.result()
            if ruling.text == text:
                continue
            if current != text:
                ruling = await self._ruling(flow, current, reasoning)
            if ruling.refused_by is not None:
                return ruling
            current = ruling.text
        return Ruling(current)

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
            return Ruling(refused_by=flow, failed=_failed(verdict), events=tuple(verdict.events))
        self.turn.trace.events += (verdict.events[0], verdict.events[-1])
        return Ruling(str(verdict.variables.get("bot_message", text)))


def _failed(verdict: Verdict) -> bool:
    """True where the rail stopped because an action of its own did not succeed."""
    return any(_is_failure(event) for event in verdict.events)


def _is_failure(event: EventDict) -> bool:
    return event["type"] == "InternalSystemActionFinished" and event.get("status") == "failed"
