"""The runtime's own actions of Colang 1.0: from an utterance to an intent, to the next step, to a message.

The system flows call them by these names, and so may a configuration's own flows. Each answers with the events that
come next, as any action may.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from colang import ColangError
from colang.v1 import CallFlow, Program, RunAction, flow_of_body
from rails_engine.canonical import texts
from rails_engine.canonical.scene import BotTurn, CanonicalScene
from rails_engine.canonical.similar import Examples, in_prompt
from rails_engine.canonical.speech import Speech
from rails_engine.canonical.wording import NOTHING_TO_SAY
from rails_engine.scene import Completion, Outcome
from rails_engine.umim import EventDict

log = logging.getLogger(__name__)

_CREATED = "_type"

_MOST_NEWLINES = "\n" * 64
"""Chunks that nobody looked up grow by a line with each message, as flows may have come to expect; up to this."""


class CanonicalActions:
    """The actions over the examples of one program."""

    def __init__(self, examples: Examples, speech: Speech) -> None:
        self._examples = examples
        self._speech = speech

    @property
    def reads_events(self) -> bool:
        """True if a function of the caller's answers, to which all events are shown."""
        return self._speech.passthrough_fn is not None

    # --- what the user wants ---------------------------------------------------------------------------------------

    def generate_user_intent(
        self, scene: CanonicalScene, _arguments: Mapping[str, Any]
    ) -> Awaitable[Outcome]:
        """The user's intent; without user messages in the program, the answer itself."""
        return self._intent(scene) if scene.program.user_messages else self._speech.answer(scene)

    async def _intent(self, scene: CanonicalScene) -> Outcome:
        said = str(scene.context.get("last_user_message") or "")
        settings = scene.config.rails.dialog.user_messages
        if settings.embeddings_only:
            intent = await self._examples.by_likeness_alone(said, settings)
            if intent is not None:
                return Outcome(events=({"type": "UserIntent", "intent": intent},))
        if scene.config.rails.dialog.single_call.enabled:
            return await self._single_call(scene, said)
        near = await self._examples.intents(said)
        variables = {
            "examples": in_prompt(map(str, near)),
            "potential_user_intents": ", ".join(dict.fromkeys(each.intent for each in reversed(near))),
        }
        text = await _ask(scene, "generate_user_intent", variables)
        return Outcome(events=({"type": "UserIntent", "intent": texts.intent_of(text)},))

    async def _single_call(self, scene: CanonicalScene, said: str) -> Outcome:
        """Intent, next step and message from one completion; the latter two are kept for when they are asked for."""
        near = await self._examples.intents(said)
        variables = {
            "examples": in_prompt(self._examples.exchanges(near)),
            "potential_user_intents": ", ".join(dict.fromkeys(each.intent for each in near)),
            "relevant_chunks": await self._speech.background(scene) or "",
        }
        text = await _ask(scene, "generate_intent_steps_message", variables, tunable=True)
        intent, bot_intent, message = texts.single_call_of(text)
        name, said = bot_intent or texts.GENERAL_RESPONSE, message or NOTHING_TO_SAY
        scene.notes.bot_turn = BotTurn(name, said)
        extra = {
            "bot_intent_event": {"type": "BotIntent", "intent": name},
            "bot_message_event": {"type": "BotMessage", "text": said},
        }
        return Outcome(events=({"type": "UserIntent", "intent": intent, "additional_info": extra},))

    # --- what comes next -------------------------------------------------------------------------------------------

    async def generate_next_steps(self, scene: CanonicalScene, _arguments: Mapping[str, Any]) -> Outcome:
        """The bot's next intent, or a flow of several steps where the configuration allows that."""
        if scene.notes.bot_turn is not None:
            return Outcome(events=({"type": "BotIntent", "intent": scene.notes.bot_turn.intent},))
        intent = scene.last("UserIntent") or {}
        flows = self._examples.flows(f"user {intent.get('intent', '')}")
        text = await _ask(scene, "generate_next_steps", {"examples": in_prompt(flows)})
        if scene.config.enable_multi_step_generation and (body := _harmless(text, scene.program)):
            return Outcome(events=({"type": "start_flow", "flow_id": str(uuid4()), "flow_body": body},))
        return Outcome(events=({"type": "BotIntent", "intent": texts.next_intent_of(text)},))

    # --- what is said ----------------------------------------------------------------------------------------------

    async def generate_bot_message(self, scene: CanonicalScene, _arguments: Mapping[str, Any]) -> Outcome:
        """The text of the last bot intent."""
        return await self._speech.message(scene, scene.last("BotIntent") or {})

    # --- values, events and knowledge ------------------------------------------------------------------------------

    async def generate_value(self, scene: CanonicalScene, arguments: Mapping[str, Any]) -> Outcome:
        """A value that the comment above the assignment asks for; always text."""
        instructions = arguments.get("instructions") or ""
        flows = self._examples.flows(str(instructions))
        variables = {
            "instructions": instructions,
            "var_name": scene.notes.result or "value",
            "examples": in_prompt(flow for flow in flows if "= ..." not in flow),
        }
        return Outcome(texts.value_of(await _ask(scene, "generate_value", variables)))

    async def create_event(self, _scene: CanonicalScene, arguments: Mapping[str, Any]) -> Outcome:
        """The event that a flow creates."""
        given = dict(arguments["event"])
        return Outcome(events=({"type": given.pop(_CREATED), **given},))

    async def retrieve_relevant_chunks(self, scene: CanonicalScene, _arguments: Mapping[str, Any]) -> Outcome:
        """What the knowledge base says to the last message of the user."""
        query = scene.context.get("last_user_message")
        chunks = await scene.services.relevant_chunks(str(query)) if query else None
        if chunks is None:
            given = str(scene.context.get("relevant_chunks") or "")
            given += "" if given.endswith(_MOST_NEWLINES) else "\n"
            kept = scene.context.get("relevant_chunks_sep") or []
            return Outcome(
                given, {"relevant_chunks": given, "relevant_chunks_sep": kept, "retrieved_for": None}
            )
        text = "\n".join(chunks)
        updates = {"relevant_chunks": text, "relevant_chunks_sep": chunks, "retrieved_for": query}
        return Outcome(text, updates)


async def _ask(
    scene: CanonicalScene, task: str, variables: Mapping[str, Any], *, tunable: bool = False
) -> str:
    """What a model answers to a task. Its reasoning is kept for a message that no model is asked for.

    `tunable`: the caller's `llm_params` go into it, but for the temperature.
    """
    everything = {"history": scene.history, **variables}
    services = scene.services
    request = services.request(Completion(task, everything, steady=True, tunable=tunable))
    steady = replace(request.sampling, temperature=scene.config.lowest_temperature)
    answer = await services.call(services.resources.model(task), replace(request, sampling=steady), task)
    scene.notes.reasoning = answer.reasoning
    return services.parsed(task, answer.text)


def _harmless(text: str, program: Program) -> str | None:
    """The longest beginning of the text that is a flow's body of several lines, and does nothing that is the engine's to do."""
    lines = [line for line in text.splitlines() if re.match(r"\s*\w", line)]
    while lines:
        body = "\n".join(lines)
        try:
            code = flow_of_body("generated", body)
        except ColangError:
            lines.pop()
            continue
        if not any(_trespasses(element, program) for element in code.elements):
            return body
        log.warning("a flow that a model wrote does more than it may in its last line:\n%s", body)
        lines.pop()
    return None


def _trespasses(element: object, program: Program) -> bool:
    """Whether a step says something past the rails, or runs a flow of the engine's or of nobody's.

    Flows that a model writes may speak, wait, branch and run actions; no line of theirs assigns anything.
    """
    if isinstance(element, RunAction):
        return element.name in _OWN
    if isinstance(element, CallFlow):
        called = program.flows.get(element.name)
        return called is None or called.is_system
    return False


_OWN = frozenset({"create_event", "generate_bot_message", "generate_next_steps", "generate_user_intent"})


def failure_events(message: str) -> tuple[EventDict, ...]:
    """What happens where an action failed: it is said, and the turn ends."""
    return (
        {"type": "BotIntent", "intent": "inform internal error occurred"},
        {"type": "StartUtteranceBotAction", "script": message},
        {"type": "hide_prev_turn"},
        {"type": "BotIntent", "intent": "stop"},
    )
