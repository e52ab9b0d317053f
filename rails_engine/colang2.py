"""Colang 2.x behind `generate`: chat messages in, one reply out, with the state in between.

A conversation held as a list of messages has no state of its own. The state after each answer is kept for a while
under the digest of the list that led to it; where the list is not known here its earlier turns are played again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import colang
from rails_engine import state as states
from rails_engine.admission import admitted, judged_events, read_forms, refusal_reply, with_calls
from rails_engine.chat import ChatMessage, TurnInput, last_exchange, reply_of, turn_of, turns_of
from rails_engine.context import reading_along
from rails_engine.dialog import SKIPPED
from rails_engine.engine import Engine, instant_actions
from rails_engine.errors import InvalidStateError, StreamingNotSupportedError
from rails_engine.external_events import typed_texts
from rails_engine.judge import INPUT, OUTPUT, Judge, Judgement
from rails_engine.library import reach_of, skipped_rails
from rails_engine.llm import Reading
from rails_engine.lru import LruTable
from rails_engine.message_digest import Digest, digest
from rails_engine.options import DEFAULT_OPTIONS, GenerationOptions, RailsResult, RailStatus, RailType
from rails_engine.rail_checks import let_pass
from rails_engine.redaction import redacted
from rails_engine.request import Request
from rails_engine.response import GenerationResponse
from rails_engine.services import Resources, TurnServices
from rails_engine.speculation import rewrites
from rails_engine.speculative_calls import SpeculativeCalls, beside_a_copy
from rails_engine.state import Snapshot, State
from rails_engine.streaming import Frame, Outlet, relay, violation_frame
from rails_engine.streaming_handler import RelayingHandler
from rails_engine.teller import Teller
from rails_engine.trace import (
    Trace,
    call_info,
    executed_rails,
    generation_log,
    history_text,
    wanted_variables,
)
from rails_engine.turn import Call
from rails_engine.umim import EventDict
from rails_engine.windows import Ruling, Windows, pass_through

KEPT: Final = 1024
"""States that are remembered by the messages that led to them, the last two of each of 512 conversations.

One that is not has its earlier turns played again, models asked and all; it takes some 60 KB.
"""


class Remembered:
    """States by the messages that led to them; the least recently used go first."""

    def __init__(self) -> None:
        self._snapshots: LruTable[str, Snapshot | None] = LruTable(KEPT)

    def latest(self, messages: Sequence[ChatMessage], ends: Sequence[int]) -> tuple[int, Snapshot] | None:
        """The last of `ends`, by its number, such that the messages before it are remembered, and their state."""
        growing, keys, start = Digest(), [], 0
        for end in ends:
            growing.add(*messages[start:end])
            keys.append(growing.text())
            start = end
        for number in range(len(keys) - 1, -1, -1):
            snapshot = self._snapshots.get(keys[number], None)
            if snapshot is not None:
                return number, snapshot
        return None

    def keep(self, messages: Sequence[ChatMessage], state: State) -> None:
        """Remember the state that these messages led to, the answer among them; forget the oldest beyond `KEPT`."""
        if state.snapshot is not None:
            self._snapshots.keep(digest(messages), state.snapshot)


class Colang2:
    """Answers requests with a Colang 2.x engine."""

    def __init__(self, engine: Engine, resources: Resources) -> None:
        self._engine = engine
        self._resources = resources
        self._instant = instant_actions(resources.config.rails.actions.instant_actions)
        self._remembered = Remembered()
        self._rewriting: dict[str, bool] = {}
        self._reach = reach_of(resources.config)

    @property
    def program(self) -> colang.Program:
        """The flows, as loaded."""
        return self._engine.program

    async def close(self) -> None:
        """Give up the actions that are still on their way."""
        await self._engine.close()

    async def process_events(
        self, call: Call, state: State | Mapping[str, Any] | None, trace: Trace
    ) -> tuple[list[EventDict], State]:
        """One call into the runtime with UMIM events; the state that was passed is changed and returned.

        Raises:
            InvalidStateError: the state is not one of this program.
            LLMCallException: the main model failed; the state is as it was.
        """
        live = open_state(state) or State()
        services = self._services(trace, None)
        before = live.open(self.program)
        turn, refusals = turn_of(call.events), list[EventDict]()
        if turn.results or any(map(typed_texts, turn.events)):
            judge = self._engine.judge(before, services, trace)
            turn, refusals = await judged_events(turn, before, judge)
        call = replace(call, events=turn.events)
        outputs = await self._engine.run(live, call, services, trace)
        return [*refusals, *outputs], live

    async def generate(
        self, request: Request, trace: Trace, outlet: Outlet | None = None
    ) -> str | dict[str, Any] | GenerationResponse:
        """Answer the last turn of the messages; into an `outlet` also as it comes to be (see `teller`).

        Raises:
            InvalidRequestError: a message is malformed.
            LLMCallException: the main model failed.
        """
        streaming = self._resources.config.rails.output.streaming
        rewrites = self._may_rewrite(OUTPUT)
        teller = (
            Teller(outlet, streaming, rewrites=rewrites, reach=self._reach) if outlet is not None else None
        )
        with reading_along(RelayingHandler(teller.push) if teller is not None else None):
            state, reply = await self._answer(request, trace, teller)
        if teller is not None:
            usage = trace.llm_calls[-1].completion.usage if trace.llm_calls else None
            teller.finish(reply, _reasoning(reply, trace), usage)
        return self._shaped(request, state, reply, trace)

    def stream(self, request: Request, trace: Trace) -> AsyncIterator[Frame]:
        """The texts of the answer as they come to be; nothing goes out that its output rails have not let pass."""

        async def produce(outlet: Outlet) -> None:
            await self.generate(request, trace, outlet)

        return relay(produce)

    def check_stream(
        self, request: Request, pieces: AsyncIterator[Any], trace: Trace
    ) -> AsyncIterator[Frame]:
        """A model's answer from elsewhere, let out window by window by the output rails.

        What the user said goes through the input rails first; where they block it, that is the answer.

        Raises:
            StreamingNotSupportedError: there are output rails, and the configuration says not to stream.
        """
        rails = (request.options or DEFAULT_OPTIONS).rails
        settings = self._resources.config.rails.output.streaming
        asked = next(iter(last_exchange(request.messages)[0][-1:]), None)
        judge = self._judge(request, trace)
        checked = bool(rails.output) and judge.has(OUTPUT)
        if checked and not settings.enabled:
            raise StreamingNotSupportedError

        async def produce(outlet: Outlet) -> None:
            async with Reading(pieces) as items:
                refusal = await judge.input(asked) if rails.input and asked is not None else None
                if refusal is not None and not refusal.passed:
                    outlet.give(_refused(refusal))
                    return
                said = refusal.text if refusal is not None else asked

                async def check(text: str, thought: str) -> Ruling:
                    return await judge.window(text, said or "", thought)

                rewriting = checked and self._may_rewrite(OUTPUT)
                windows = Windows(
                    settings,
                    check if checked else None,
                    outlet.give,
                    rewrites=rewriting,
                    reach=self._reach,
                )
                await pass_through(items, windows, outlet)

        return relay(produce)

    async def check(
        self, messages: Sequence[ChatMessage], kinds: Sequence[RailType], trace: Trace
    ) -> RailsResult:
        """Whether the rails let the last exchange pass; `main` does not run.

        Raises:
            RailTypeNotConfiguredError: the configuration has no rails of one of these kinds.
            InvalidRequestError: a message is malformed.
        """
        asked, answer = last_exchange(messages)
        judge = self._judge(Request(messages), trace)
        said = left = asked[-1] if asked else ""
        for text in asked if RailType.INPUT in kinds else ():
            judgement = await judge.input(text)
            if not judgement.passed:
                return _blocked(judgement)
            left = judgement.text
        if RailType.OUTPUT not in kinds:
            return let_pass(said, left)
        judgement = await judge.output(answer, said if asked else None)
        return let_pass(answer, judgement.text) if judgement.passed else _blocked(judgement)

    def guards(self, kind: RailType) -> bool:
        """True if the program has rails of this kind."""
        return self._engine.judge(None, self._services(Trace(), None), Trace()).has(kind.value)

    def _judge(self, request: Request, trace: Trace) -> Judge:
        known = request.state.open(self.program) if request.state is not None else None
        services = self._services(trace, request.options)
        given = _variables(event for turn in turns_of(request.messages) for event in turn.events)
        return self._engine.judge(known, services, trace, given | self._skipped(request.options))

    async def _answer(
        self, request: Request, trace: Trace, teller: Teller | None = None
    ) -> tuple[State, dict[str, Any]]:
        turns = turns_of(request.messages)
        trace.is_read = trace.is_read or (request.options or DEFAULT_OPTIONS).log.wanted
        services = self._services(trace, request.options)
        state = request.state or await self._reached(request.messages, turns, services)
        turn = turns[-1]
        rails, before = (request.options or DEFAULT_OPTIONS).rails, state.open(self.program)
        given = _variables(turn.events) | self._skipped(request.options)
        if services.llm_params.get("tools"):
            given["tools"] = services.llm_params["tools"]
        judge = self._engine.judge(before, services, trace, given)
        turn = await with_calls(turn, before, judge) if rails.tool_output else turn
        turn, refusal = await read_forms(turn, judge) if rails.input else (turn, None)
        if refusal is None and rails.tool_input:
            turn, refusal = await admitted(turn, request.messages, before, judge)
        if refusal is not None:
            return state, refusal_reply(refusal)
        turn = self._chosen(turn, request.options, state)
        checked = state.context.get(_CHECK)
        reply = reply_of(await self._run(state, self._call(turn, teller), services, trace))
        if "tool_calls" in reply and _refused_since(checked, state.context):
            _withhold_calls(reply, trace)
        if request.state is None:
            self._remembered.keep([*request.messages, reply], state)
        return state, reply

    def _chosen(self, turn: TurnInput, options: GenerationOptions | None, state: State) -> TurnInput:
        """The turn, told first which rails its request does not want; as it is where that has not changed."""
        wanted = self._skipped(options)
        if wanted[SKIPPED] == state.context.get(SKIPPED):
            return turn
        update: EventDict = {"type": "ContextUpdate", "data": wanted}
        return replace(turn, events=(update, *turn.events))

    def _skipped(self, options: GenerationOptions | None) -> dict[str, Any]:
        """The global variable that says which rails a request does not want."""
        return {SKIPPED: skipped_rails(self._resources.config, (options or DEFAULT_OPTIONS).rails) or None}

    async def _run(self, state: State, call: Call, services: TurnServices, trace: Trace) -> list[EventDict]:
        """Run the turn; where the configuration says so, its model calls begin while the input rails judge."""
        if not self._speculates():
            return await self._engine.run(state, call, services, trace)
        calls = SpeculativeCalls()
        services = replace(services, speculative_calls=calls)
        copy = self._engine.run_ahead(state.open(self.program), call, replace(services, is_speculative=True))
        async with beside_a_copy(copy, calls, trace.llm_calls.append):
            return await self._engine.run(state, call, services, trace)

    def _speculates(self) -> bool:
        if not self._resources.config.rails.input.speculative_generation:
            return False
        return not self._may_rewrite(INPUT) and self.guards(RailType.INPUT)

    def _may_rewrite(self, direction: str) -> bool:
        """Whether a rail may change what it judges; found out once."""
        if direction not in self._rewriting:
            self._rewriting[direction] = rewrites(self.program, direction)
        return self._rewriting[direction]

    async def _reached(
        self, messages: Sequence[ChatMessage], turns: Sequence[TurnInput], services: TurnServices
    ) -> State:
        """The state after the last assistant message: remembered, or reached by playing the turns before it."""
        known = 0
        state = State()
        found = self._remembered.latest(messages, [turn.end + 1 for turn in turns[:-1]])
        if found is not None:
            known, state.snapshot = found[0] + 1, found[1]
        for turn in turns[known:-1]:
            before, trace = state.open(self.program), Trace()
            shown, _ = await admitted(turn, messages, before, self._engine.judge(before, services, trace))
            await self._engine.run(state, self._call(shown, None), services, trace)
            await asyncio.sleep(0)  # a long history must not keep other conversations waiting
        return state

    def _call(self, turn: TurnInput, teller: Teller | None) -> Call:
        return Call(turn.events, blocking=True, instant=self._instant, teller=teller)

    def _services(self, trace: Trace, options: GenerationOptions | None) -> TurnServices:
        params = (options.llm_params if options else None) or {}
        return TurnServices(self._resources, trace.llm_calls.append, params)

    def _shaped(
        self, request: Request, state: State, reply: dict[str, Any], trace: Trace
    ) -> str | dict[str, Any] | GenerationResponse:
        answer: str | list[dict[str, Any]] = reply["content"] if request.as_text else [reply]
        if not request.wants_response:
            return reply["content"] if request.as_text else reply
        response = GenerationResponse(
            response=answer,
            tool_calls=reply.get("tool_calls"),
            reasoning_content=_reasoning(reply, trace),
            llm_metadata=trace.metadata,
        )
        if request.state_wanted:
            response.state = states.to_dict(state)
        if request.options is not None:
            _add_wanted(response, request.options, state, trace)
            if request.options.log.redacted:
                response = redacted(response, request.options.output_vars)
        return response


def _variables(events: Iterable[EventDict]) -> dict[str, Any]:
    """The variables that a caller sets beside the conversation."""
    updates = (event["data"] for event in events if event["type"] == "ContextUpdate")
    return {name: value for data in updates if isinstance(data, Mapping) for name, value in data.items()}


def _reasoning(reply: Mapping[str, Any], trace: Trace) -> str | None:
    """What the main model thought before an answer that was given as it was; else it is withheld, as the answer is."""
    for call in reversed(trace.llm_calls):
        answer = call.completion
        given = answer.text in reply["content"] if answer.text else "tool_calls" in reply
        if call.task == "general" and answer.reasoning and given:
            return answer.reasoning
    return None


_CHECK: Final = "_output_check"
"""The global variable with the latest check of an utterance by the output rails."""


def _refused_since(check: Any, context: Mapping[str, Any]) -> bool:
    """Whether the output rails have refused an utterance after that check: one that they let pass is no longer in progress."""
    latest = context.get(_CHECK)
    is_new = getattr(latest, "uid", None) != getattr(check, "uid", None)
    return is_new and bool(context.get("output_rails_in_progress"))


def _withhold_calls(reply: dict[str, Any], trace: Trace) -> None:
    """Take out of a reply the calls that a model made beside a text which is not said."""
    answers = [call.completion for call in trace.llm_calls]
    unsaid = [answer for answer in answers if answer.text and answer.text not in reply["content"]]
    withheld = {call.id for answer in unsaid for call in answer.tool_calls}
    reply["tool_calls"] = [call for call in reply["tool_calls"] if call.get("id") not in withheld]
    if not reply["tool_calls"]:
        del reply["tool_calls"]


def _refused(judgement: Judgement) -> Frame:
    if judgement.exception is None and judgement.said:
        return Frame(judgement.said)
    return violation_frame(judgement.rail, judgement.told or None)


def _blocked(judgement: Judgement) -> RailsResult:
    return RailsResult(status=RailStatus.BLOCKED, content=judgement.told, rail=judgement.rail)


def open_state(state: State | Mapping[str, Any] | None) -> State | None:
    """A state as callers pass it: live, as a dictionary, or none.

    Raises:
        InvalidStateError: it is neither.
    """
    if state is None or isinstance(state, State):
        return state
    if isinstance(state, Mapping):
        return states.from_dict(dict(state))
    raise InvalidStateError(f"a state is a State or a dictionary, not {type(state).__name__}")


def _add_wanted(response: GenerationResponse, options: GenerationOptions, state: State, trace: Trace) -> None:
    """Fill in what the options ask for."""
    response.output_data = wanted_variables(options.output_vars, state.context)
    if options.llm_output:
        response.llm_output = _last_call(trace)
    if options.log.wanted:
        response.log = generation_log(
            options.log, trace, executed_rails(trace), trace.events, lambda: history_text(trace.history)
        )


def _last_call(trace: Trace) -> dict[str, Any] | None:
    return call_info(trace.llm_calls[-1]).model_dump() if trace.llm_calls else None
