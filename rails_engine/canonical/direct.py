"""Turns in which no flow has a say, gone through without the machine.

Where no flow of a configuration waits for what a user says or a model answers, the system's flows do the same in every
turn: the input rails, the answer, the output rails. If nobody reads the events of such a turn either, it is gone
through here, and so are its rails as long as they are straight: they run actions, and end unless one objects. By the
time a rail turns out to do more than to let pass, actions have run: the flows then begin the turn anew, on a fork of
their own, and are given what these actions have answered. No action runs twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from colang.v1 import Program, go_through
from rails_engine.canonical.program import is_turn_as_it_is, makes_turns
from rails_engine.canonical.turn import Answer, CanonicalTurn
from rails_engine.config import RailsConfig
from rails_engine.saved import LAST_PROMPT, is_marker
from rails_engine.scene import Outcome
from rails_engine.trace import failed
from rails_engine.umim import EventDict
from rails_engine.values import value_class

ANSWERING: Final = "generate_user_intent"
"""The action that answers, where nothing is known of what users may want."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_SAID: Final = "UtteranceUserActionFinished"
_BESIDE: Final = frozenset({"ContextUpdate", "SystemMessage"})
"""What may come with an utterance."""

_STEPS: Final = frozenset(
    {
        _SAID,
        "InternalSystemActionFinished",
        "UserMessage",
        "BotThinking",
        "BotMessage",
        "StartUtteranceBotAction",
        "Listen",
        *_BESIDE,
    }
)
"""Events of such a turn."""


def may_go_directly(program: Program, config: RailsConfig) -> bool:
    """Whether all turns of a program are the same as long as its rails let everything pass."""
    guarded = config.rails.input, config.rails.output
    if program.user_messages or program.searching or any(each.parallel for each in guarded):
        return False
    starting = (places for (kind, _), places in program.starters.items() if _happens(kind))
    return is_turn_as_it_is(program) and all(
        makes_turns(program.order[place]) for places in starting for place in places
    )


@value_class
class Gone:
    """How far a turn went: all the way, and its new events are these; or up to where flows have to take it up.

    They then begin it anew; these are the answers that its actions gave.
    """

    is_whole: bool
    events: list[EventDict]
    answers: list[Answer]


def begins_directly(turn: CanonicalTurn, inputs: Sequence[EventDict]) -> bool:
    """Whether a turn begins as most do: no flow is under way, and a text is said, perhaps behind what goes with it."""
    machine = turn.scene.machine
    if not inputs or machine.instances or machine.variables["_retrieves"]:
        return False
    *before, said = inputs
    return (
        said["type"] == _SAID
        and isinstance(said.get("final_transcript"), str)
        and all(event["type"] in _BESIDE for event in before)
    )


def _happens(kind: str) -> bool:
    """Whether events of a type, or with it those that tell of rails, are part of such a turn."""
    return kind in _STEPS or is_marker(kind)


async def go_directly(turn: CanonicalTurn, inputs: Sequence[EventDict]) -> Gone:
    """Answer what was said, as far as no flow has a say; `inputs` are stamped, and the turn `begins_directly`.

    Raises:
        as `CanonicalTurn.run`.
    """
    events, variables = turn.scene.events, turn.scene.machine.variables
    for event in inputs:
        if event["type"] == "ContextUpdate":
            variables.update(event.get("data") or _NOTHING)
    events.extend(inputs)
    variables["event"], variables["user_message"] = inputs[-1], inputs[-1]["final_transcript"]
    begun = len(events)
    answers: list[Answer] = []
    if await _answered(turn, answers):
        return Gone(True, events[begun:], answers)
    # The rails behind the answer may want to know what was asked.
    asked = {LAST_PROMPT: variables.get(LAST_PROMPT)}
    answers = [_with_updates(answer, asked) if answer.name == ANSWERING else answer for answer in answers]
    return Gone(False, [], answers)


async def _answered(turn: CanonicalTurn, answers: list[Answer]) -> bool:
    """Go through the rails and the answer; what the actions answer is added to `answers`."""
    variables = turn.scene.machine.variables
    if not await _passed(turn, "input", answers):
        return False
    text = variables["last_user_message"] = variables["user_message"]
    _happen(turn, {"type": "UserMessage", "text": text})
    if variables["_dialog"]:
        if not turn.is_system(ANSWERING):
            return False
        outcome = await turn.carry_out(ANSWERING, _NOTHING)
        answers.append(Answer(ANSWERING, _NOTHING, outcome))
        if not _is_answer(outcome):
            return False
        variables.update(outcome.context_updates)
        for event in outcome.events:
            _happen(turn, event)
        variables["bot_message"] = outcome.events[-1]["text"]
    elif variables["_answer_given"]:
        _happen(turn, {"type": "BotMessage", "text": variables["bot_message"]})
    else:
        _say(turn, text)
        return True
    if variables.get("skip_output_rails"):
        variables["skip_output_rails"] = False
    elif not await _passed(turn, "output", answers):
        return False
    _say(turn, variables["bot_message"])
    return True


def _is_answer(outcome: Outcome) -> bool:
    """Whether an action has answered with a message, and before it with no more than what led to it."""
    if outcome.failure is not None or not outcome.events:
        return False
    *before, last = outcome.events
    return last["type"] == "BotMessage" and all(event["type"] == "BotThinking" for event in before)


def _say(turn: CanonicalTurn, script: Any) -> None:
    turn.scene.machine.variables["last_bot_message"] = script
    _happen(turn, {"type": "StartUtteranceBotAction", "script": script})


def _happen(turn: CanonicalTurn, event: Mapping[str, Any]) -> None:
    stamped = turn.scene.machine.variables["event"] = turn.stamp(event)
    turn.scene.events.append(stamped)


# --- rails -------------------------------------------------------------------------------------------------------


async def _passed(turn: CanonicalTurn, direction: str, answers: list[Answer]) -> bool:
    """Whether all rails of a direction let the message pass; what their actions answer is added to `answers`."""
    program, variables, notes = turn.scene.program, turn.scene.machine.variables, turn.scene.notes
    triggered = f"triggered_{direction}_rail"
    for reference in variables[f"_{direction}_flows"]:
        variables[triggered] = reference
        walk = go_through(program, variables, reference)
        element = next(walk)
        while not isinstance(element, bool) and turn.is_system(element.name):
            arguments = element.filling.filled(variables)
            notes.result = element.result
            outcome = await turn.carry_out(element.name, arguments)
            answers.append(Answer(element.name, arguments, outcome))
            if not _lets_go_on(turn, outcome):
                return False
            element = walk.send(outcome.value)
        if element is not True:
            return False
        variables[triggered] = None
    return True


def _lets_go_on(turn: CanonicalTurn, outcome: Outcome) -> bool:
    """Whether an action has done nothing that the turn has to act upon; what it assigns is assigned."""
    if failed(outcome.value, outcome.failure) or outcome.failed_rail is not None or outcome.events:
        return False
    if outcome.context_updates:
        turn.scene.machine.variables.update(outcome.context_updates)
    return True


def _with_updates(answer: Answer, updates: Mapping[str, Any]) -> Answer:
    """An answer that also assigns these variables."""
    outcome = answer.outcome
    whole = replace(outcome, context_updates={**outcome.context_updates, **updates})
    return replace(answer, outcome=whole)
