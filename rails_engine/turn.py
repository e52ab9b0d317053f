"""One call into the runtime: events in, events out, and the actions in between.

The machine knows no time: each input is stepped to quiescence. What it sends goes to the caller, or is an action that
is carried out here; either way it is given back to the machine once, so that flows can watch their own conversation.

    inputs ──> step ──> sent ──> output to the caller
      ^          ^        ├────> local action ──> its Finished event ──┐
      │          └────────┘ (the next pass)                            │
      └────────────────────────────────────────────────────────────────┘

The turn works on a fork of the state and belongs to one task; whoever started it keeps the fork or drops it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import colang
from colang import Command, Event, Fault, History, LogLine, PrintLine, Send
from rails_engine import umim
from rails_engine.chat import TOOL_CALLS
from rails_engine.dialog import CALLING, HANDING_OVER, UTTERANCE, handed_over, spoken
from rails_engine.effects import Effects
from rails_engine.error_boundary import OnError
from rails_engine.judge import FAILED_RUNS, OUTPUT, TOOL_OUTPUT
from rails_engine.scene import STREAMED, Outcome, Plan, RunningRail, Scene
from rails_engine.teller import Teller
from rails_engine.trace import ActionRun, Trace
from rails_engine.umim import EventDict
from rails_engine.windows import Ruling, StreamStoppedError

log = logging.getLogger(__name__)

FAILED_RUNS_KEPT: Final = 100

GRACE_S: Final = 0.01
"""Seconds that a call waits for asynchronous actions which it started itself: what ends at once is part of its answer."""

EVENT_BOUND: Final = 500
"""Events that one call processes at most; flows that answer each other for ever end here."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the caller asks: the events, whether to wait for asynchronous actions, and which actions end at once."""

    events: Sequence[Mapping[str, Any]]
    blocking: bool = False
    instant: frozenset[str] = frozenset()
    teller: Teller | None = None
    """Tells each output as it comes to somebody who reads along."""
    aside: str = ""
    """The flow that runs beside a conversation: `main` does not begin, and only this flow's actions are carried out."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a turn writes under and to: the `source_uid` of its events, and its record."""

    source_uid: str
    trace: Trace


@dataclass(slots=True, eq=False)
class Job:
    """An action on its way; `task` is None while it has not been given to the event loop."""

    start: Event
    arguments: Mapping[str, Any]
    plan: Plan
    scene: Scene
    record: ActionRun
    task: asyncio.Task[Outcome] | None = None
    raised: bool = False
    """True once its failure has ended a call: the next call takes it for an action that failed, and goes on."""

    async def run(self) -> Outcome:
        """Carry the action out, and let out what it still holds for somebody who reads along.

        Raises:
            as `Plan.run`, except that a refusal by the rails is an outcome here.
        """
        try:
            outcome = await self.plan.run(self.scene, self.arguments)
            if self.scene.teller is not None:
                await self.scene.teller.flush()
        except StreamStoppedError as stop:
            return _refused(stop.ruling)
        return outcome

    def launch(self) -> asyncio.Task[Outcome]:
        """The task in which the action runs, begun by the first call; it needs a running event loop then."""
        if self.task is None:
            self.task = asyncio.ensure_future(self.run())
        return self.task


class Turn:
    """Runs one call to its end; `outputs` is what the caller gets."""

    def __init__(self, scene: Scene, effects: Effects, call: Call, stage: Stage) -> None:
        self.outputs: list[EventDict] = []
        if call.teller is not None:
            call.teller.begin(scene.judge)
        self._scene = replace(scene, teller=call.teller)
        self._effects = effects
        self._call = call
        self._source_uid = stage.source_uid
        self._trace = stage.trace
        self._inbox: deque[Event] = deque()
        self._sent: list[Event] = []
        self._local: list[Job] = []
        self._deferred: list[Job] = []
        self._unfinished: Sequence[Job] = ()
        self._failed_flows: set[str] = set()
        self._given_up: set[str] = set()
        self._processed = 0
        self._count_asked = False

    async def run(self, unfinished: Sequence[Job]) -> list[Job]:
        """Process the call; `unfinished` are asynchronous actions of earlier calls. Returns those still running.

        Where it raises, the actions that this call started are cancelled; the earlier ones go on.

        Raises:
            ColangBudgetError: a flow ran away.
            LLMCallException: the main model failed.
        """
        self._deferred = list(unfinished)
        self._unfinished = unfinished
        with OnError(lambda _: self._cancel(unfinished)):
            self._inbox.extend(umim.received(event) for event in self._call.events)
            # What main says at once ends behind the inputs: nobody hears a greeting before it was spoken.
            if not self._call.aside:
                self._perform(colang.begin(self._scene.program, self._scene.machine))
            self._processed += bool(self._sent)
            self._collect()
            self._drain()
            while await self._wait():
                self._drain()
        if self._call.teller is not None:
            # Said or not: in a later turn the same text has to be judged anew.
            colang.set_globals(self._scene.machine, {STREAMED: None})
        if self._count_asked:
            self._output(umim.engine_event("LocalAsyncCounter", counter=len(self._deferred)))
        return self._deferred

    # --- events to the machine -------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Step through the inputs; then once through all that was sent meanwhile; and so on until nothing is."""
        while self._inbox or self._sent:
            if not self._inbox:
                self._inbox.extend(self._sent)
                self._sent.clear()
            event = self._inbox.popleft()
            if event.name == "CheckLocalAsync":
                self._count_asked = True
                continue
            if self._processed >= EVENT_BOUND:
                log.warning("stopped at %d events in one call; the next one was %s", EVENT_BOUND, event.name)
                self._inbox.clear()
                self._sent.clear()
                return
            self._processed += 1
            seen = umim.as_dict(event)
            self._scene.events.append(seen)
            self._trace.events.append(seen)
            self._perform(colang.step(self._scene.program, self._scene.machine, event))

    def _perform(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, Send):
                if not self._send(command):
                    return
            elif isinstance(command, History):
                self._scene.history.append(command)
            elif isinstance(command, LogLine):
                log.info("%s", command.text)
            elif isinstance(command, Fault):
                log.warning("%s", command)
            elif isinstance(command, PrintLine):
                sys.stdout.write(f"{command.text}\n")

    # --- events from the machine -----------------------------------------------------------------------------------

    def _send(self, command: Send) -> bool:
        """Send one event; False where it was refused, which drops the rest of its step."""
        sent = command.event
        if command.flow_uid in self._failed_flows and sent.name.endswith("Exception"):
            sent = Event(sent.name, {**sent.arguments, "reason": "error"})
        try:
            event = umim.stamped(sent, self._source_uid)
        except umim.InvalidEventError as error:
            # Users' flows know this refusal by the type name `AssertionError`.
            refusal = Event("ColangError", {"type": "AssertionError", "error": str(error)})
            self._inbox.append(refusal)
            return False
        if event.arguments.get("action_uid") in self._given_up:
            return True
        self._sent.append(event)
        action = umim.started_action(event.name)
        if action is not None:
            self._start(action, event, command)
        elif event.name == TOOL_CALLS and self._has_to_be_judged(command):
            calls = event.arguments.get("tool_calls")
            self._inbox.append(Event("StartFlow", {"flow_id": HANDING_OVER, "calls": calls}))
        elif not self._withdraw(event) and not self._is_hearsay(event):
            self._output(event)
        return True

    def _output(self, event: Event) -> None:
        output = umim.as_dict(event)
        self.outputs.append(output)
        if self._call.teller is not None:
            self._call.teller.heard(output)

    def _finish_instantly(self, action: str, start: Event) -> None:
        end = umim.finished(action, start, {})
        self._output(end)
        self._inbox.append(end)

    def _start(self, action: str, start: Event, command: Send) -> None:
        plan = None if action in self._call.instant else self._effects.find(action)
        if plan is None:
            self._hand_over(action, start, command)
            return
        if self._call.aside and not self._is_of(self._call.aside, command.flow_uid):
            return
        job = self._job(plan, start, command)
        self._trace.actions.append(job.record)
        if plan.execute_async:
            self._deferred.append(job)
            job.launch()
        else:
            self._local.append(job)

    def _job(self, plan: Plan, start: Event, command: Send) -> Job:
        arguments = {key: value for key, value in command.event.arguments.items() if key != "action_uid"}
        record = ActionRun(plan.name, arguments, time.time())
        services = self._scene.services.scoped(record.llm_calls.append)
        uid = start.arguments["action_uid"]
        scene = replace(self._scene, services=services, flow_uid=command.flow_uid, action_uid=uid)
        if self._trace.is_read and (rail := scene.rail) is not None and rail.direction:
            record.direction, record.rail = rail.direction, rail.flows[max(0, len(rail.flows) - 2)]
        return Job(start, arguments, plan, scene, record)

    # --- what the caller gets to see -------------------------------------------------------------------------------

    def _hand_over(self, action: str, start: Event, command: Send) -> None:
        """Leave an action to the caller, or end it at once; rails that have not seen it yet come first."""
        plan = (
            None if self._call.aside else handed_over(replace(self._scene, flow_uid=command.flow_uid), action)
        )
        if plan is not None:
            self._local.append(self._job(plan, start, command))
        elif action in self._call.instant:
            self._finish_instantly(action, start)
        elif not self._call.aside or self._is_of(self._call.aside, command.flow_uid):
            self._output(start)

    def _handed_over(self, job: Job, arguments: Mapping[str, Any]) -> None:
        """The rails have let an action go, with these arguments."""
        rest = {key: value for key, value in job.start.arguments.items() if key not in job.arguments}
        start = Event(job.start.name, {**rest, **arguments})
        if job.plan.name in self._call.instant:
            self._finish_instantly(job.plan.name, start)
        else:
            self._output(start)

    def _withdraw(self, stop: Event) -> bool:
        """Whether `stop` ends an action that the rails still hold back: then the caller hears of neither."""
        uid = stop.arguments.get("action_uid")
        held = [
            job
            for job in self._local
            if job.plan.holds
            and job.start.arguments["action_uid"] == uid
            and job.plan.name not in self._call.instant  # that would have ended before
        ]
        for job in held:
            self._local.remove(job)
            if job.task is not None:
                job.task.cancel()
        return bool(held) and stop.name.startswith("Stop")

    def _has_to_be_judged(self, command: Send) -> bool:
        """Whether a flow tells of a model's calls by itself, past the flow of `guardrails` that has them judged."""
        if self._call.aside or not self._scene.judge.has(TOOL_OUTPUT):
            return False
        callers = colang.callers_of(self._scene.machine, command.flow_uid)
        return not callers or callers[0][1] != CALLING

    def _is_hearsay(self, event: Event) -> bool:
        """Whether a flow tells by itself of something said: output rails have seen what was said, not this."""
        if not event.name.startswith(UTTERANCE) or not self._scene.judge.has(OUTPUT):
            return False
        log.warning("a flow sent %s; with output rails only what `bot say` says is told", event.name)
        return True

    def _is_of(self, flow_id: str, flow_uid: str) -> bool:
        """Whether an instance runs for a flow of this name."""
        return any(name == flow_id for _, name in colang.callers_of(self._scene.machine, flow_uid))

    # --- actions ---------------------------------------------------------------------------------------------------

    async def _wait(self) -> bool:
        """Wait for the next action to end and queue its event; False if there is nothing left to wait for."""
        if len(self._local) == 1 and self._local[0].task is None and not self._deferred:
            # The usual case needs no task of its own.
            job = self._local.pop()
            self._finish(job, await job.run())
            return True
        waiting = [*self._local, *(self._deferred if self._call.blocking else ())]
        patience = None
        if not waiting:
            waiting, patience = [job for job in self._deferred if job not in self._unfinished], GRACE_S
        if not waiting:
            return False
        tasks = [job.launch() for job in waiting]
        ended, _ = await asyncio.wait(tasks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        self._collect()
        return bool(ended)

    def _collect(self) -> None:
        """Queue the end of every action that has ended."""
        for jobs in (self._local, self._deferred):
            for job in [job for job in jobs if job.task is not None and job.task.done()]:
                jobs.remove(job)
                self._finish(job, _outcome(job))

    def _finish(self, job: Job, outcome: Outcome) -> None:
        if outcome.asks is not None:
            self._handed_over(job, outcome.asks)
            return
        job.record.finished_at, job.record.value = time.time(), outcome.value
        job.record.failure = outcome.failure
        if outcome.context_updates:
            colang.set_globals(self._scene.machine, outcome.context_updates)
        if outcome.failed_rail is not None:
            self._fail_rail(job, outcome.failed_rail, passes=outcome.passes)
        if outcome.aborts:
            self._give_up(job, Event("StopFlow", {"flow_instance_uid": job.scene.flow_uid}))
        self._inbox.extend(umim.received(start) for start in outcome.starts)
        action = job.plan.name
        self._inbox.append(umim.finished(action, job.start, {"return_value": outcome.value}))
        if outcome.failure is not None:
            failed = umim.engine_event("ActionFailed", action_name=action, error=str(outcome.failure))
            self._inbox.append(failed)
        for extra in outcome.events:
            self._send(Send(umim.received(extra)))

    def _fail_rail(self, job: Job, rail: RunningRail, *, passes: bool) -> None:
        """A rail could not judge: it ends here and lets the text pass, or whoever ran it learns that it may not."""
        if passes and rail.uid:
            self._give_up(job, Event("FinishFlow", {"flow_instance_uid": rail.uid}))
        elif not passes:
            self._failed_flows.add(job.scene.flow_uid)
            self._tell_of_failure(job.scene.flow_uid)

    def _tell_of_failure(self, flow_uid: str) -> None:
        """Every flow above learns of it: whichever of them runs the rails blocks."""
        machine = self._scene.machine
        runs = [uid for uid, name in colang.callers_of(machine, flow_uid) if name.startswith("run ")]
        known = list(colang.globals_of(machine).get(FAILED_RUNS) or ())
        colang.set_globals(machine, {FAILED_RUNS: [*known, *runs][-FAILED_RUNS_KEPT:]})

    def _give_up(self, job: Job, end: Event) -> None:
        """End a flow that waits for an action which has ended: nobody has to stop the action."""
        self._given_up.add(job.start.arguments["action_uid"])
        self._inbox.append(end)

    def _cancel(self, unfinished: Sequence[Job]) -> None:
        for job in (*self._local, *self._deferred):
            if job.task is not None and job not in unfinished:
                job.task.cancel()


def _refused(ruling: Ruling) -> Outcome:
    """What the rails refused of a streamed text: the rail's own words are said instead, and who asked for it fails."""
    return Outcome(events=ruling.events, starts=spoken(ruling.said), aborts=True)


def _outcome(job: Job) -> Outcome:
    """What an ended task gave; one that was cancelled from outside counts as failed."""
    task = job.launch()
    if task.cancelled():
        return Outcome(failure=asyncio.CancelledError("the action was cancelled"))
    failure = task.exception()
    if failure is not None and job.raised:
        return Outcome(failure=failure)
    job.raised = failure is not None
    return task.result()
