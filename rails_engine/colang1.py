"""Colang 1.0 behind `generate`: messages or events in, the turn's events and one reply out.

The state of a conversation is the machine's variables and flows together with the history of events that prompts
quote. It is kept for a while under the digest of the messages that led to it, and travels as `{"events": […]}` whose
last entry is a snapshot; without one the events are replayed once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from colang.v1 import Program
from rails_engine.canonical import (
    TRIGGERED,
    CanonicalRunner,
    CanonicalScene,
    CanonicalTurn,
    Notes,
    OutputCheck,
    Stream,
    activated_rails,
    begins_directly,
    copy_of,
    go_directly,
    may_go_directly,
    rewrites,
    run_ahead,
)
from rails_engine.chat import ChatMessage
from rails_engine.content_parts import flattened
from rails_engine.context import read_along, reading_along
from rails_engine.errors import StreamingNotSupportedError
from rails_engine.incoming import Judged, MessageChecks
from rails_engine.library import reach_of
from rails_engine.llm import Reading
from rails_engine.message_digest import Digest
from rails_engine.messages import Checked
from rails_engine.options import DEFAULT_OPTIONS, GenerationOptions, GenerationRailsOptions
from rails_engine.prompts import FILTERS, HIDDEN, History
from rails_engine.redaction import redacted
from rails_engine.replies import (
    Inputs,
    Reply,
    inputs_of,
    only_checks_answer,
    reply_of,
    user_event,
    with_options_of_context,
)
from rails_engine.request import Request, chosen
from rails_engine.response import GenerationResponse
from rails_engine.saved import LAST_PROMPT, SavedStories, Story, begin_story, story_after
from rails_engine.scene import Outcome
from rails_engine.services import Resources, TurnServices
from rails_engine.speculative_calls import SpeculativeCalls, beside_a_copy
from rails_engine.stories import Known, Stories
from rails_engine.streaming import Frame, Outlet, relay, violation_frame
from rails_engine.streaming_handler import RelayingHandler
from rails_engine.trace import Trace, generation_log, wanted_variables
from rails_engine.turn_variables import TurnVariables
from rails_engine.umim import EventDict
from rails_engine.values import value_class
from rails_engine.windows import Windows, pass_through


@value_class
class Done:
    """A turn that has been run: its new events, what they amount to, and the conversation after it."""

    new: list[EventDict]
    reply: Reply
    story: Story


class Colang1:
    """Answers requests with a Colang 1.0 program."""

    def __init__(self, program: Program, runner: CanonicalRunner, resources: Resources) -> None:
        self._program = program
        self._runner = runner
        self._resources = resources
        self._stories = Stories()
        self._saved = SavedStories(program)
        self._goes_directly = may_go_directly(program, resources.config)
        self._variables = TurnVariables(resources.config, has_intents=bool(program.user_messages))
        self._reach = reach_of(resources.config)
        self._checks = MessageChecks(resources.config, self._judge)

    @property
    def flows(self) -> Mapping[str, Any]:
        """The flows of the program by name."""
        return self._program.flows

    def checked(self, messages: Any) -> Checked:
        """See `Stories.checked`."""
        return self._stories.checked(messages)

    # --- answering -------------------------------------------------------------------------------------------------

    async def generate(
        self, request: Request, trace: Trace, outlet: Outlet | None = None
    ) -> str | dict[str, Any] | GenerationResponse:
        """Answer the last message; into an `outlet` also piece by piece, as output rails let it out.

        Raises:
            InvalidRequestError: a message is malformed.
            LLMCallException: the main model failed.
        """
        stream = Stream(outlet) if outlet is not None else None
        if stream is None and not read_along():
            done = await self._turn(request, trace)
        else:
            with reading_along(RelayingHandler(stream.piece) if stream is not None else None):
                done = await self._turn(request, trace, stream)
        reply = done.reply
        if stream is not None:
            refusal = _refusal_of(reply, trace) if reply.exception else None
            stream.finish(refusal.frame() if refusal else None, passed=bool(reply.reasoning))
        return self._shaped(request, done, reply, trace)

    def stream(self, request: Request, trace: Trace) -> AsyncIterator[Frame]:
        """The answer piece by piece, each once the output rails have let it out.

        Raises:
            StreamingNotSupportedError: there are output rails, and the configuration says not to stream.
        """
        self._require_streaming(request)

        async def produce(outlet: Outlet) -> None:
            await self.generate(request, trace, outlet)

        return relay(produce)

    def check_stream(
        self, request: Request, pieces: AsyncIterator[Any], trace: Trace
    ) -> AsyncIterator[Frame]:
        """A model's answer from elsewhere, let out window by window by the output rails.

        What the user said goes through the input rails first; where they block it, that is the answer.

        Raises:
            StreamingNotSupportedError: as `stream`.
        """
        self._require_streaming(request)

        async def produce(outlet: Outlet) -> None:
            async with Reading(pieces) as items:
                refusal, said = await self._heard(request)
                if refusal is not None:
                    outlet.give(refusal.frame())
                    return
                known = self._known(request)
                asked = inputs_of(request, known.length)
                turn = self._make_turn(known.story, request, trace)
                _recall(turn, [*asked.past, *asked.now])
                turn.scene.machine.variables["user_message"] = said
                await pass_through(items, self._windows(turn, outlet.give), outlet)

        return relay(produce)

    async def _heard(self, request: Request) -> tuple[Refusal | None, Any]:
        """What the input rails say instead of letting the last user message pass, if they do; and what they leave of it."""
        asked = (request.options or DEFAULT_OPTIONS).rails
        said = _last_text(request.messages)
        if not chosen(self._resources.config.rails.input.flows, asked.input) or not request.messages:
            return None, said
        options = GenerationOptions(
            rails=GenerationRailsOptions(input=asked.input, output=False, dialog=False)
        )
        trace = Trace(is_read=True)
        done = await self._turn(Request(request.messages, options, story={}), trace)
        return _refusal_of(done.reply, trace), done.story.machine.variables.get("user_message", said)

    async def generate_events(self, events: Sequence[Mapping[str, Any]], trace: Trace) -> list[EventDict]:
        """The events that follow from a history.

        Raises:
            as `generate`.
        """
        turn = self._make_turn(begin_story(), with_options_of_context(Request(()), events), trace)
        turn.is_quiet = False
        return await turn.run([turn.stamp(dict(event)) for event in events])

    async def step(
        self,
        name: str,
        events: Sequence[Mapping[str, Any]],
        context: Mapping[str, Any],
        arguments: Mapping[str, Any],
    ) -> Outcome:
        """What one action of a turn gives after a history, with `context` set.

        Raises:
            ActionNotFoundError: there is no such action.
            LLMCallException: the main model failed.
        """
        turn = self._make_turn(begin_story(), Request(()), Trace())
        for event in events:
            turn.see(turn.stamp(dict(event)))
        turn.scene.machine.variables.update(context)
        turn.scene.notes.result = arguments.get("var_name")
        return await self._runner.run(turn, name, arguments)

    # --- one turn --------------------------------------------------------------------------------------------------

    async def _turn(self, request: Request, trace: Trace, stream: Stream | None = None) -> Done:
        """Run the turn that the request asks for, on a fork; keep it if it succeeds."""
        known = self._known(request)
        asked = inputs_of(request, known.length)
        request = with_options_of_context(request, [*asked.past, *asked.now] if asked.past else asked.now)
        # A model that is given the messages as they are sees all of them, not only those that are new.
        first = 0 if self._resources.config.passthrough else known.length
        places = self._checks.places(request, first, asked.start)
        request, inputs = await self._checked(request, places, asked) if places else (request, asked)
        turn = self._begun(known.story, request, inputs, trace, stream)
        now = [turn.stamp(event) for event in inputs.now]
        if turn.is_recorded or not self._goes_directly or not begins_directly(turn, now):
            new = await self._run(turn, now)
        else:
            gone = await go_directly(turn, now)
            new = gone.events
            if not gone.is_whole:
                known.story.quotes.put_back(turn.scene.events, len(known.story.events))
                turn = self._begun(known.story, request, inputs, trace, stream)
                turn.answers = gone.answers
                new = await turn.run(now)
        trace.story = turn.scene.events
        after = story_after(known.story, turn.scene.machine, turn.scene.events)
        reply = reply_of(new)
        if any(map(after.machine.variables.get, TRIGGERED)):
            # A rail has stopped the turn: what led to the model's answer stays with that answer.
            reply.reasoning = ""
        done = Done(new, reply, after)
        if request.story is None:
            self._remember(known, request, done, trace)
        return done

    def _remember(self, known: Known, request: Request, done: Done, trace: Trace) -> None:
        """Keep the conversation for the call that goes on from it, and what rails have made of its messages."""
        reply, after = done.reply, done.story
        if request.options is None:  # else the response may still have to tell of it
            after.machine.variables.pop(LAST_PROMPT, None)
        self._stories.keep(known, reply, after)
        self._checks.said(reply.text, reply.tool_calls)
        if not self._resources.config.passthrough:
            return
        judged = _judged_input(done.new, after, trace)
        if judged is not None:
            self._checks.learn(request, judged)

    def _begun(
        self, story: Story, request: Request, inputs: Inputs, trace: Trace, stream: Stream | None
    ) -> CanonicalTurn:
        """A turn on a fork, which knows what was before it and is shown what it has to know of the call."""
        turn = self._make_turn(story, request, trace)
        turn.is_recorded = not turn.is_quiet or trace.is_read or stream is not None or self._is_read(request)
        if stream is not None:
            self._show(turn, stream)
        _recall(turn, inputs.past)
        return turn

    def _run(self, turn: CanonicalTurn, inputs: Sequence[EventDict]) -> Awaitable[list[EventDict]]:
        """Run the turn; where the configuration says so, its model calls begin while the input rails judge."""
        if not self._resources.config.rails.input.speculative_generation:
            return turn.run(inputs)
        flows = turn.scene.context.get("_input_flows") or ()
        if (
            not flows
            or not turn.scene.context.get("_dialog")
            or rewrites(self._program, flows, "user_message")
        ):
            return turn.run(inputs)
        return self._run_ahead(turn, inputs)

    async def _run_ahead(self, turn: CanonicalTurn, inputs: Sequence[EventDict]) -> list[EventDict]:
        calls = SpeculativeCalls()
        copy = run_ahead(copy_of(turn, self._runner, calls), inputs)
        turn.scene = replace(turn.scene, services=replace(turn.scene.services, speculative_calls=calls))
        async with beside_a_copy(copy, calls, turn.trace.llm_calls.append):
            return await turn.run(inputs)

    async def _checked(
        self, request: Request, places: Sequence[int], asked: Inputs
    ) -> tuple[Request, Inputs]:
        """The request with its messages at `places` as prompts may show them, and the events that it stands for.

        A message since the last answer that the rails refuse is what the turn answers, so that it is refused.
        """
        messages, refused = await self._checks.review(request, places, asked.start)
        if messages is request.messages:
            return request, asked
        if refused is not None:
            # A rail may think otherwise when it is asked again: nothing that stands beside the message goes along.
            alone = replace(request, messages=[*messages[: asked.start], refused])
            return alone, replace(inputs_of(alone, asked.known), now=[user_event(refused)])
        checked = replace(request, messages=messages)
        return checked, inputs_of(checked, asked.known)

    async def _judge(self, request: Request) -> Judged:
        """What the rails that the request names make of its last message."""
        trace = Trace(is_read=True)
        done = await self._turn(request, trace)
        certain = not trace.has_failed
        reply = done.reply
        if _refusal_of(reply, trace) is not None:
            return Judged(None, certain)
        role = request.messages[-1].get("role")
        rewritten = {"user": done.story.machine.variables.get("user_message"), "assistant": reply.text}
        return Judged(rewritten.get(str(role), request.messages[-1].get("content")), certain)

    def _known(self, request: Request) -> Known:
        if request.story is not None:
            return Known(self._saved.read(request.story), 0, Digest())
        messages = request.messages
        if not only_checks_answer(request):
            return self._stories.longest(messages)
        # What the same answer led to when it was made is not what it is judged in: rails may have noted it as done.
        before = self._stories.longest(messages[:-1])
        before.digest.add(messages[-1])
        return Known(before.story, before.length, before.digest, messages, before.checked)

    def _make_turn(self, story: Story, request: Request, trace: Trace) -> CanonicalTurn:
        params = (request.options.llm_params if request.options else None) or {}
        services = TurnServices(self._resources, trace.llm_calls.append, params)
        machine = story.machine.fork()
        variables = machine.variables
        variables.update(self._variables.of(request))
        for name in filter(variables.get, TRIGGERED):  # a rail that stopped its turn is still named here
            variables[name] = None
        notes = Notes()
        if self._resources.config.passthrough:
            notes.messages = [m for m in request.messages if m.get("role") not in _UNSHOWN]
            notes.passthrough = request.passthrough
        # Filters of the caller's may do with messages what they like: each turn makes them anew.
        own = self._resources.prompts.has_own_filters
        events = list(story.events) if own else History(story.events, story.quotes.take())
        scene = CanonicalScene(self._program, machine, events, services, request.options, None, None, notes)
        turn = CanonicalTurn(scene, self._runner, trace)
        wanted = request.options is not None and request.options.log.internal_events
        turn.is_quiet = not (wanted or self._runner.reads_events())
        return turn

    def _is_read(self, request: Request) -> bool:
        """Whether what a turn answers, or how it is made, takes every event of it."""
        resources, options = self._resources, request.options
        return (
            (options is not None and (options.log.wanted or bool(options.output_vars)))
            or request.passthrough is not None
            or resources.config.rails.input.speculative_generation
            or resources.prompts.has_own_filters
        )

    # --- streaming -------------------------------------------------------------------------------------------------

    def _require_streaming(self, request: Request) -> None:
        asked = (request.options or DEFAULT_OPTIONS).rails
        output = self._resources.config.rails.output
        if chosen(output.flows, asked.output) and not output.streaming.enabled:
            raise StreamingNotSupportedError

    def _show(self, turn: CanonicalTurn, stream: Stream) -> None:
        """Have a turn's answer go into a stream while it comes to be."""
        turn.scene = replace(turn.scene, shown=stream)
        guarded = bool(turn.scene.context.get("_tool_output_flows"))
        stream.begin(lambda give: self._windows(turn, give), guarded=guarded)

    def _windows(self, turn: CanonicalTurn, give: Callable[[Frame], None]) -> Windows:
        """Windows over the output rails that the turn runs."""
        output = self._resources.config.rails.output
        flows = turn.scene.context.get("_output_flows") or ()
        check = OutputCheck(self._runner, turn, flows, side_by_side=bool(output.parallel)) if flows else None
        rewriting = rewrites(self._program, flows, "bot_message")
        return Windows(output.streaming, check, give, rewrites=rewriting, reach=self._reach)

    # --- what comes back -------------------------------------------------------------------------------------------

    def _shaped(
        self, request: Request, done: Done, reply: Reply, trace: Trace
    ) -> str | dict[str, Any] | GenerationResponse:
        if not request.wants_response:
            return reply.as_text() if request.as_text else reply.as_message()
        response = GenerationResponse(
            response=reply.text if request.as_text and reply.exception is None else [reply.message()],
            tool_calls=reply.tool_calls or None,
            reasoning_content=reply.reasoning or None,
            llm_metadata=trace.metadata,
        )
        if request.story is not None:
            response.state = self._saved.write(done.story, request.story)
        if request.options is not None:
            _add_wanted(response, request.options, done, trace)
            if request.options.log.redacted:
                response = redacted(response, request.options.output_vars)
        return response


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the rails said instead of an answer, and the rail that refused."""

    rail: str
    reply: Reply

    def frame(self) -> Frame:
        """As a stream shows it: what was said, or an error where the rail raised its exception instead."""
        exception = self.reply.exception
        return violation_frame(self.rail, exception.get("message")) if exception else Frame(self.reply.text)


def _recall(turn: CanonicalTurn, past: Sequence[EventDict]) -> None:
    """Have the turn know what was before it: prompts quote it, and the variables that were set then hold."""
    variables = turn.scene.machine.variables
    for event in past:
        turn.scene.events.append(turn.stamp(event))
        kind = event["type"]
        if kind == "ContextUpdate":
            variables.update(event["data"])
        elif kind == "UserMessage" and event["text"] != HIDDEN:
            variables["last_user_message"] = event["text"]
        elif kind == "StartUtteranceBotAction":
            variables["last_bot_message"] = event["script"]


def _judged_input(new: Sequence[EventDict], after: Story, trace: Trace) -> Judged | None:
    """What the input rails of a turn made of its user message; None where it was not what the turn answered.

    A message that they let through is told to the flows, and one that they refuse leaves the name of the rail.
    """
    variables = after.machine.variables
    if any(event["type"] == "UserMessage" for event in new):
        return Judged(variables.get("user_message"), not trace.has_failed)
    return Judged(None, not trace.has_failed) if variables.get("triggered_input_rail") else None


def _refusal_of(reply: Reply, trace: Trace) -> Refusal | None:
    rail = next((rail.name for rail in activated_rails(trace) if rail.stop), None)
    return Refusal(rail, reply) if rail is not None else None


_UNSHOWN: Final = frozenset({"context", "event", "exception"})
"""Roles of messages that are not a model's to read."""


def _last_text(messages: Sequence[ChatMessage]) -> str:
    return next((str(flattened(m.get("content"))) for m in reversed(messages) if m.get("role") == "user"), "")


def _add_wanted(response: GenerationResponse, options: GenerationOptions, done: Done, trace: Trace) -> None:
    response.output_data = wanted_variables(options.output_vars, done.story.machine.variables)
    if options.log.wanted:
        rails = activated_rails(trace)
        response.log = generation_log(options.log, trace, rails, done.new, lambda: history_of(trace.story))


def history_of(events: Sequence[EventDict]) -> str:
    """The conversation in the notation of Colang 1.0."""
    return str(FILTERS["colang"](list(events)))
