"""What the bot says: a predefined text, a variable, or what a model writes, piece by piece where somebody reads."""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from colang.v1 import to_text
from rails_engine.canonical import texts
from rails_engine.canonical.scene import CanonicalScene, Shown
from rails_engine.canonical.similar import Examples, in_prompt
from rails_engine.canonical.wording import NOTHING_TO_SAY, Notation, Wording
from rails_engine.llm import LLM, Chunk, LLMRequest, message_of, plain_call, plain_messages
from rails_engine.llm import Completion as Answer
from rails_engine.request import Passthrough
from rails_engine.scene import Completion, Outcome
from rails_engine.services import TurnServices
from rails_engine.speculative_calls import SpeculationEndedError
from rails_engine.umim import EventDict

_ANSWER: Final = Notation()
_MESSAGE: Final = Notation(turns=True, nothing=NOTHING_TO_SAY)


class Speech:
    """Answers and messages; `passthrough_fn` takes the model's place in passthrough mode."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        self.passthrough_fn: Passthrough | None = None

    # --- answers without intents -----------------------------------------------------------------------------------

    def answer(self, scene: CanonicalScene) -> Awaitable[Outcome]:
        """The model's answer to the conversation as it is."""
        if scene.config.passthrough:
            return self._passed_through(scene, "general")
        if scene.services.resources.knowledge.base is not None:
            return self._informed(scene)
        return self._plainly(scene, _told(scene.machine.variables))

    async def _informed(self, scene: CanonicalScene) -> Outcome:
        """The same, once it has been looked up what the documents say."""
        return await self._plainly(scene, await self.background(scene))

    def _plainly(self, scene: CanonicalScene, told: str | None) -> Awaitable[Outcome]:
        """The same, with what the model is told from documents."""
        variables = {"history": scene.history, "relevant_chunks": told}
        request = scene.services.request(Completion("general", variables))
        return self._asked(scene, request, "general", _ANSWER)

    async def background(self, scene: CanonicalScene) -> str | None:
        """What documents, or else the caller, say to the user's message, for a question that comes before its intent."""
        known = scene.machine.variables
        return await _looked_up(scene.services, known) or _told(known)

    async def _passed_through(self, scene: CanonicalScene, task: str) -> Outcome:
        """The caller's messages as they are, to the model or to the caller's own function."""
        function = scene.notes.passthrough or self.passthrough_fn
        if function is not None:
            if scene.services.is_speculative:
                raise SpeculationEndedError
            result = await function(dict(scene.context), list(scene.events))
            if isinstance(result, Answer):
                return _spoken(result, result.text)
            text, raw = result if isinstance(result, tuple) else (result, None)
            updates = {"passthrough_output": raw} if raw is not None else {}
            return Outcome(context_updates=updates, events=({"type": "BotMessage", "text": text},))
        request = scene.services.tuned(tuple(message_of(message) for message in _given_messages(scene)))
        nothing = NOTHING_TO_SAY if task == "generate_bot_message" else ""
        return await self._asked(scene, request, task, Notation(quotes=False, nothing=nothing))

    # --- messages of intents ---------------------------------------------------------------------------------------

    async def message(self, scene: CanonicalScene, intent: EventDict) -> Outcome:
        """The text of a bot intent."""
        name = str(intent.get("intent", ""))
        thought, scene.notes.reasoning = scene.notes.reasoning, ""
        predefined = scene.program.bot_messages.get(name)
        if predefined:
            said = random.choice(predefined)
            filled = scene.services.fill(texts.template_of(said), scene.context)
            text = texts.written(filled)
            if filled != said and scene.rail is None:
                scene.notes.is_filled = True
                return _said(text, thought)
            # What no output rail will see is not shown.
            return _predefined(text, "" if scene.config.rails.output.flows else thought)
        if name.startswith("$") and name[1:] in scene.context:
            value = scene.context[name[1:]]
            return _said(texts.written("" if value is None else to_text(value)), thought)
        known = scene.notes.bot_turn
        if known is not None and known.intent == name:
            return _said(known.message, thought)
        if scene.config.passthrough:
            return await self._passed_through(scene, "generate_bot_message")
        near = self._examples.messages(name)
        variables = {
            "history": scene.history,
            "examples": in_prompt(f'bot {intent_name}\n  "{text}"' for intent_name, text in near),
            "relevant_chunks": (scene.context.get("relevant_chunks") or "").strip(),
        }
        request = scene.services.request(Completion("generate_bot_message", variables))
        spoken = await self._asked(scene, request, "generate_bot_message", _MESSAGE)
        # Rails that ask again, to compare answers, need to know what was asked.
        asked = {"_last_bot_prompt": scene.machine.variables["_last_bot_prompt"]}
        return replace(spoken, context_updates={**spoken.context_updates, **asked})

    # --- the model -------------------------------------------------------------------------------------------------

    async def _asked(
        self, scene: CanonicalScene, request: LLMRequest, task: str, notation: Notation
    ) -> Outcome:
        """What a model answers; where somebody reads along, piece by piece.

        Raises:
            StreamStoppedError: a rail refused what it was writing.
        """
        model = scene.services.resources.model(task)
        scene.machine.variables["_last_bot_prompt"] = _prompt_of(request)
        if scene.shown is None:
            answer = _heeded(await scene.services.call(model, request, task), request, scene)
            text = notation.whole(scene.services.parsed(task, answer.text))
            return _spoken(answer, text or notation.nothing)
        return await _shown(scene, scene.shown, Asking(model, request, task), notation)


def _told(variables: Mapping[str, Any]) -> str | None:
    """What an answer without intents is told from documents that were looked up before, or that the caller gave."""
    given = variables.get("relevant_chunks")
    if variables.get("_retrieves"):
        return str(given or "").strip()
    return str(given).strip() if given else None


async def _looked_up(services: TurnServices, variables: Mapping[str, Any]) -> str | None:
    """What the documents say to the user's message; with retrieval rails that has been looked up before."""
    said = variables.get("last_user_message")
    if variables.get("_retrieves") or not said:
        return None
    return "\n".join(await services.relevant_chunks(str(said)) or ()) or None


@dataclass(frozen=True, slots=True)
class Asking:
    """One question to a model."""

    model: LLM
    request: LLMRequest
    task: str


async def _shown(scene: CanonicalScene, shown: Shown, asking: Asking, notation: Notation) -> Outcome:
    """Ask while somebody reads along; a prompt with a parser of its own is shown once it is parsed."""
    services, task, wording = scene.services, asking.task, Wording(notation)
    piecewise = not services.resources.prompts.has_parser(task)
    said: list[str] = []

    async def give(text: str, reasoning: str = "") -> None:
        said.append(text)
        await shown.piece(text, reasoning)

    async def take(chunk: Chunk) -> None:
        await give(wording.feed(chunk.text) if piecewise else "", chunk.reasoning)

    request = replace(asking.request, streaming=True)
    answer = _heeded(await services.stream(asking.model, request, task, take), request, scene)
    await give(wording.finish() if piecewise else notation.whole(services.parsed(task, answer.text)))
    released = await shown.end(answer)
    if not released or answer.tool_calls:
        return _spoken(answer, "".join(said) or notation.nothing)
    # Every window has passed the output rails, so the whole need not pass them again.
    outcome = _spoken(answer, released)
    return replace(outcome, context_updates={**outcome.context_updates, "skip_output_rails": True})


def _given_messages(scene: CanonicalScene) -> list[Mapping[str, Any]]:
    """The caller's messages; the user's that this turn answers as the input rails left it."""
    text = scene.context.get("user_message") or ""
    given = scene.notes.messages or [{"role": "user", "content": text}]
    messages = [message if len(message) == 2 else _plain(message) for message in given]
    asked = next((p for p in range(len(messages) - 1, -1, -1) if messages[p].get("role") in _ASKING), 0)
    if messages[asked].get("role") == "user":
        messages[asked] = {**messages[asked], "content": text}
    return messages


_ASKING: Final = frozenset({"user", "tool"})
"""Roles of messages that a turn answers."""


_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "assistant": frozenset({"role", "content", "tool_calls"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
_ROLE_AND_TEXT: Final = frozenset({"role", "content"})
_NAME: Final = re.compile(r"[\w.:/-]{1,64}")


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message with what belongs to its role: rails read that, and a client's word in any other place has none over it."""
    keys, name = _KEYS.get(str(message.get("role")), _ROLE_AND_TEXT), message.get("name")
    named = {"name": name} if isinstance(name, str) and _NAME.fullmatch(name) else {}
    return {key: message[key] for key in message if key in keys} | named


def _predefined(text: str, thought: str) -> Outcome:
    """A text of the configuration's author, which skips the output rails. So does what a rail says, whatever it fills in."""
    spoken = _said(text, thought)
    return replace(spoken, context_updates={**spoken.context_updates, "skip_output_rails": True})


def _said(text: str, thought: str) -> Outcome:
    """A text that no model was asked for, with the reasoning that led the turn to it."""
    return _spoken(Answer(reasoning=thought), text)


def _heeded(answer: Answer, request: LLMRequest, scene: CanonicalScene) -> Answer:
    """An answer without calls of tools that nobody offered; in passthrough mode the answer is the model's own."""
    if not answer.tool_calls or request.tools or scene.config.passthrough:
        return answer
    return replace(answer, tool_calls=())


def _spoken(answer: Answer, text: str) -> Outcome:
    """What a model answered: its reasoning, then its tool calls or its text."""
    events: list[EventDict] = []
    updates: dict[str, Any] = {}
    if answer.reasoning:
        events.append({"type": "BotThinking", "content": answer.reasoning})
        updates["bot_thinking"] = answer.reasoning
    if answer.tool_calls:
        events.append({"type": "BotToolCalls", "tool_calls": list(map(plain_call, answer.tool_calls))})
    else:
        events.append({"type": "BotMessage", "text": text})
    return Outcome(None, updates, tuple(events))


def _prompt_of(request: LLMRequest) -> Any:
    """A request's prompt: a text, or messages as plain data."""
    if request.prompt is not None:
        return request.prompt
    return plain_messages(request.messages)
