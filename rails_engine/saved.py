"""A conversation of Colang 1.0 between two turns, and as the plain data that callers keep."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from functools import cache, lru_cache
from itertools import compress, repeat
from operator import itemgetter
from typing import Any, Final

from colang import ColangStateError, Event
from colang.v1 import Program, State, restore, snapshot_of, step
from rails_engine.errors import InvalidStateError
from rails_engine.prompts import History, Quoted
from rails_engine.umim import EventDict
from rails_engine.values import value_class

SNAPSHOT: Final = "StateSnapshot"
HISTORY_BOUND: Final = 500
"""Events that are kept for prompts."""


_SAID = frozenset(
    {"UserMessage", "UserIntent", "BotIntent", "StartUtteranceBotAction", "UtteranceUserActionFinished"}
)


_TYPE = itemgetter("type")
_DICTS = frozenset({dict})
LAST_PROMPT: Final = "_last_bot_prompt"
"""The variable that no later turn asks for: its prompt quotes all of the conversation again."""
_OF_THE_TURN = frozenset(
    {
        LAST_PROMPT,
        *(f"_{direction}_to_pass" for direction in ("input", "output")),
        *(f"_{direction}_left" for direction in ("input", "output")),
        *(
            f"_{direction}_flows"
            for direction in ("input", "output", "retrieval", "tool_input", "tool_output")
        ),
    }
)
"""Variables that every turn sets for itself."""


class Quotes:
    """What prompts have made of a conversation, for the first turn that goes on from it.

    Users' models may change the messages that they are handed, so no two turns have the same; others make their own.
    """

    __slots__ = ("_quoted",)

    def __init__(self, quoted: Quoted | None = None) -> None:
        self._quoted = quoted

    def take(self) -> Quoted:
        """What has been made, if nobody has taken it."""
        quoted, self._quoted = self._quoted, None
        return quoted or Quoted()


@value_class
class Story:
    """The machine, and the events so far; shared, never changed."""

    machine: State
    events: tuple[EventDict, ...] = ()
    quotes: Quotes = field(default_factory=Quotes)
    """What prompts have made of it."""


_MARKERS = re.compile(r"(Start|Finish)?\w*Rails?(Finished)?|ContextUpdate|Listen")


def story_after(before: Story, machine: State, events: Sequence[EventDict]) -> Story:
    """The conversation after a turn whose `events` begin with those before it."""
    begun = len(before.events)
    new = events[begun:]
    kept = [_is_kept(event) for event in new]
    history = (*before.events, *compress(new, kept))
    quoted = events.quoted if isinstance(events, History) else Quoted()
    quoted.sift(begun, kept)
    if len(history) > HISTORY_BOUND:
        quoted.forget(history[:-HISTORY_BOUND])
        history = history[-HISTORY_BOUND:]
    return Story(machine, history, Quotes(quoted))


def _is_kept(event: EventDict) -> bool:
    """Whether later turns quote an event: what was said, meant and done. The turn's own machinery is left out."""
    return not (event.get("is_system_action") or is_marker(event["type"]))


@lru_cache(maxsize=1024)
def is_marker(kind: str) -> bool:
    """Whether events of a type say where the turn is, and nothing else."""
    return kind not in _SAID and _MARKERS.fullmatch(kind) is not None


@cache
def begin_story() -> Story:
    """A conversation that has not begun."""
    return Story(State(variables={"last_user_message": None, "last_bot_message": None}))


def write_story(story: Story, before: Mapping[str, Any]) -> dict[str, Any]:
    """`{"events": […]}` as JSON values; the last event holds the machine.

    `before` is the state that the turn began with. What it wrote down is not written again: the two states share it.

    Raises:
        InvalidStateError: an event nests without end, or a variable is too large.
    """
    written = set(map(id, _written(before)))
    # What a turn adds stands behind what was there.
    known = sum(map(written.__contains__, map(id, story.events)))
    new = story.events[known:]
    variables = {name: value for name, value in story.machine.variables.items() if name not in _OF_THE_TURN}
    machine = replace(story.machine, variables=variables)
    try:
        snapshot = {"type": SNAPSHOT, "machine": snapshot_of(machine)}
        *events, saved = json.loads(json.dumps([*new, snapshot], default=str))
    except (ColangStateError, ValueError, RecursionError) as error:
        raise InvalidStateError(f"the conversation is no plain data: {error}") from None
    return {"events": [*story.events[:known], *events, saved]}


def _written(state: Mapping[str, Any]) -> Sequence[EventDict]:
    """The events of a state that `write_story` wrote."""
    events = state.get("events") or ()
    return events[:-1] if events and events[-1].get("type") == SNAPSHOT else ()


def open_story(state: Any) -> dict[str, Any] | None:
    """A state as callers pass it.

    Raises:
        InvalidStateError: it is no dictionary with the one key `events`.
    """
    if state is None:
        return None
    if not isinstance(state, Mapping) or (
        state and (set(state) != {"events"} or not isinstance(state["events"], list))
    ):
        raise InvalidStateError(
            "a state of Colang 1.0 is `{}` to begin with, then the `state` of the last response"
        )
    return dict(state)


def read_story(program: Program, saved: Mapping[str, Any]) -> Story:
    """What `write_story` wrote; events without a snapshot are replayed.

    Raises:
        InvalidStateError: the snapshot does not fit this program.
    """
    events = list(saved.get("events") or ())
    if not _are_events(events):
        raise InvalidStateError("the `events` of a state are mappings with a `type`")
    if events and isinstance(events[-1], Mapping) and events[-1].get("type") == SNAPSHOT:
        return Story(_machine(program, events.pop()), tuple(events))
    machine = State()
    for event in events:
        step(program, machine, Event(event["type"], {k: v for k, v in event.items() if k != "type"}))
    return story_after(begin_story(), machine, events)


def _are_events(events: Sequence[Any]) -> bool:
    if _DICTS.issuperset(map(type, events)):
        with suppress(KeyError):
            return all(map(isinstance, map(_TYPE, events), repeat(str)))
    return all(isinstance(event, Mapping) and isinstance(event.get("type"), str) for event in events)


def _machine(program: Program, saved: Mapping[str, Any]) -> State:
    try:
        return restore(program, saved["machine"])
    except (ColangStateError, KeyError) as error:
        raise InvalidStateError(f"the saved state cannot be continued: {error}") from error
