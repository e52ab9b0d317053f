"""The engine of one configuration: it opens a conversation's state, runs a turn on a fork, and keeps the fork.

It holds what all conversations share and none may change: the program, the actions, the services. Whatever belongs to
one conversation is in its `State`, except for asynchronous actions still on their way, which no JSON could carry.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import colang
from rails_engine.effects import Effects
from rails_engine.judge import Heard, Judge
from rails_engine.scene import Scene, Services
from rails_engine.speculation import SpeculativeEffects
from rails_engine.speculative_calls import copy_of_a_turn
from rails_engine.state import EVENT_BOUND, HISTORY_BOUND, Snapshot, State
from rails_engine.trace import Trace
from rails_engine.turn import Call, Job, Stage, Turn
from rails_engine.umim import EventDict

WAITING_BOUND: Final = 10_000
"""Conversations with asynchronous actions on their way; beyond it the oldest are given up."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Runs turns; calls for different conversations may overlap, those for one wait for each other."""

    program: colang.Program
    effects: Effects
    source_uid: str
    _unfinished: dict[str, list[Job]] = field(default_factory=dict)

    async def run(self, state: State, call: Call, services: Services, trace: Trace) -> list[EventDict]:
        """Run one call and return the events for the caller; `state` changes only if it succeeds.

        `trace` is filled in either case.

        Raises:
            InvalidStateError: the state is not one of this program.
            ColangBudgetError: a flow ran past its step budget.
            LLMCallException: the main model failed.
        """
        async with state.lock:
            before = state.open(self.program)
            scene = self._scene(state, before, services, trace)
            turn = Turn(scene, self.effects, call, Stage(self.source_uid, trace))
            running = await turn.run(self._of_this_loop(state))
            self._keep(state, running)
            state.snapshot = _after(scene)
            trace.history = state.snapshot.history
            return turn.outputs

    async def run_ahead(self, before: Snapshot | None, call: Call, services: Services) -> None:
        """Run a copy of the call for the sake of its model calls; whatever ends it early is no matter."""
        trace = Trace()
        scene = self._scene(State(), before, services, trace)
        stage = Stage(self.source_uid, trace)
        silent = call.teller.stand_in() if call.teller is not None else None
        turn = Turn(scene, SpeculativeEffects(*self.effects.parts()), replace(call, teller=silent), stage)
        with copy_of_a_turn():
            await turn.run(())

    def judge(
        self,
        before: Snapshot | None,
        services: Services,
        trace: Trace,
        given: Mapping[str, Any] = MappingProxyType({}),
    ) -> Judge:
        """Who asks the rails beside the conversation as it stands in `before`, None for one not yet begun.

        `given` are global variables that count instead of the conversation's own.
        """

        async def beside(event: EventDict) -> Heard:
            return await self._beside(before, event, services, trace, given)

        return Judge(self.program, beside, trace)

    async def _beside(
        self,
        before: Snapshot | None,
        event: EventDict,
        services: Services,
        trace: Trace,
        given: Mapping[str, Any] = MappingProxyType({}),
    ) -> Heard:
        """Start a flow beside the conversation: nothing of it is kept, and `main` does not begin for it."""
        call = Call([event], blocking=True, instant=_SPEECH, aside=str(event["flow_id"]))
        scene = self._scene(State(), before, services, trace)
        colang.set_globals(scene.machine, given)
        turn = Turn(scene, self.effects, call, Stage(self.source_uid, trace))
        await turn.run(())
        return Heard(turn.outputs, scene.context)

    async def close(self) -> None:
        """Give up the actions that are still on their way."""
        jobs = [job for state_uid in list(self._unfinished) for job in self._unfinished.pop(state_uid)]
        loop = asyncio.get_running_loop()
        tasks = {job.launch() for job in jobs if job.launch().get_loop() is loop}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            for task in tasks:
                _ = task.cancelled() or task.exception()  # nobody else will ask

    def _scene(self, state: State, before: Snapshot | None, services: Services, trace: Trace) -> Scene:
        machine = before.machine.fork() if before else colang.new_state(self.program, secrets.randbits(64))
        history = list(before.history) if before else []
        events = list(before.events) if before else []

        async def beside(event: EventDict) -> Heard:
            now = Snapshot(self.program, machine, tuple(history), tuple(events))
            return await self._beside(now, event, services, trace)

        judge = Judge(self.program, beside, trace)
        return Scene(self.program, machine, history, events, services, state, judge)

    def _of_this_loop(self, state: State) -> Sequence[Job]:
        """Actions of earlier calls; those of an event loop that has ended since can never be awaited."""
        loop = asyncio.get_running_loop()
        jobs = self._unfinished.get(state.uid, ())
        return [job for job in jobs if job.launch().get_loop() is loop or job.launch().done()]

    def _keep(self, state: State, running: list[Job]) -> None:
        self._unfinished.pop(state.uid, None)
        if running:
            self._unfinished[state.uid] = running
            if len(self._unfinished) > WAITING_BOUND:
                for job in self._unfinished.pop(next(iter(self._unfinished))):
                    job.launch().cancel()


def _after(scene: Scene) -> Snapshot:
    history, events = tuple(scene.history[-HISTORY_BOUND:]), tuple(scene.events[-EVENT_BOUND:])
    return Snapshot(scene.program, scene.machine, history, events)


_SPEECH: Final = frozenset({"UtteranceBotAction"})
"""What ends at once beside a conversation: a refusal is read, not spoken."""


def instant_actions(configured: Sequence[str] | None) -> frozenset[str]:
    """The actions that end at once under `generate`, where nobody plays them: utterances by default."""
    return frozenset(("UtteranceBotAction",) if configured is None else configured)
