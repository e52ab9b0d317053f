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
from rails_engine.error_boundary import equal
from rails_engine.errors import InvalidStateError
from rails_engine.lru import LruTable
from rails_engine.prompts import History, Quoted
from rails_engine.umim import EventDict
from rails_engine.values import value_class

SNAPSHOT: Final = "StateSnapshot"
HISTORY_BOUND: Final = 500
"""Events that are kept for prompts."""

KEPT: Final = 256
"""States of which is remembered what prompts have made of them."""


_SAID = frozenset(
    {"UserMessage", "UserIntent", "BotIntent", "StartUtteranceBotAction", "UtteranceUserActionFinished"}
)


_TYPE = itemgetter("type")
_DICTS = frozenset({dict})
_FLAT = frozenset({str, bool, int, float, type(None)})
LAST_PROMPT: Final = "_last_bot_prompt"
"""The variable that no later turn asks for: its prompt quotes all of the conversation again."""
_OF_THE_TURN = frozenset(
    {
        LAST_PROMPT,
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

    def put_back(self, history: Sequence[EventDict], count: int) -> None:
        """Keep for the next turn what one that came to nothing took, where it has not gone beyond the first `count` events."""
        if isinstance(history, History) and history.quoted.covers_at_most(count):
            self._quoted = history.quoted


@value_class
class Story:
    """The machine, and the events so far; shared, never changed."""

    machine: State
    events: tuple[EventDict, ...] = ()
    quotes: Quotes = field(default_factory=Quotes)
    """What prompts have made of it."""
    known: int = 0
    """How many of the events were there before the last turn."""


_MARKERS = re.compile(r"(Start|Finish)?\w*Rails?(Finished)?|ContextUpdate|Listen")


def story_after(before: Story, machine: State, events: Sequence[EventDict]) -> Story:
    """The conversation after a turn whose `events` begin with those before it."""
    begun = len(before.events)
    new = events[begun:]
    quoted = events.quoted if isinstance(events, History) else Quoted()
    kept = list(map(_is_kept, new))
    if not all(kept):
        new = list(compress(new, kept))
        quoted.sift(begun, kept)
    history = (*before.events, *new)
    if len(history) > HISTORY_BOUND:
        begun = max(0, begun + HISTORY_BOUND - len(history))
        quoted.forget(history[:-HISTORY_BOUND])
        history = history[-HISTORY_BOUND:]
    return Story(machine, history, Quotes(quoted), begun)


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


@value_class
class GivenOut:
    """The events of a state that a caller has, as copies of our own, and what prompts have made of them."""

    events: tuple[EventDict, ...]
    quotes: Quotes


class SavedStories:
    """Reads and writes the states that callers keep; what prompts have made of the latest is remembered.

    A state is what its events say, whoever brings it: they are compared with copies that nobody else can change.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._given_out: LruTable[str, GivenOut | None] = LruTable(KEPT)

    def read(self, saved: Mapping[str, Any]) -> Story:
        """What `write` wrote; events without a snapshot are replayed.

        Raises:
            InvalidStateError: the snapshot does not fit this program.
        """
        events = tuple(_written(saved))
        known = self._recalled(events)
        if known is None:
            return read_story(self._program, saved)
        return Story(_machine(self._program, saved["events"][-1]), known.events, known.quotes)

    def write(self, story: Story, before: Mapping[str, Any]) -> dict[str, Any]:
        """`{"events": […]}` as JSON values; the last event holds the machine.

        `before` is the state that the turn began with. What it wrote down is not written again: the two states share it.

        Raises:
            InvalidStateError: an event nests without end, or a variable is too large.
        """
        written = _written(before)
        known = story.known if written else 0
        try:
            text = json.dumps(story.events[known:], default=str)
            machine = json.loads(json.dumps(_snapshot(story.machine), default=str))
            new = json.loads(text)
        except (ColangStateError, ValueError, RecursionError) as error:
            raise InvalidStateError(f"the conversation is no plain data: {error}") from None
        # Texts are shared with the copies: what is the same object need not be read to be compared.
        own = map(_copied_one, new)
        self._remember(GivenOut((*story.events[:known], *own), story.quotes))
        return {"events": [*written[len(written) - known :], *new, machine]}

    def _remember(self, given_out: GivenOut) -> None:
        name = _name(given_out.events)
        if name is not None:
            self._given_out.keep(name, given_out)

    def _recalled(self, events: tuple[EventDict, ...]) -> GivenOut | None:
        name = _name(events)
        given_out = self._given_out.get(name, None) if name is not None else None
        return given_out if given_out is not None and equal(events, given_out.events) else None


def _name(events: Sequence[Any]) -> str | None:
    """By what the events of a state are looked for before they are compared."""
    uid = events[-1].get("uid") if events and type(events[-1]) is dict else None
    return uid if type(uid) is str else None


def _snapshot(machine: State) -> dict[str, Any]:
    variables = {name: value for name, value in machine.variables.items() if name not in _OF_THE_TURN}
    return {"type": SNAPSHOT, "machine": snapshot_of(replace(machine, variables=variables))}


def _written(state: Mapping[str, Any]) -> Sequence[EventDict]:
    """The events of a state that `SavedStories` wrote."""
    events = state.get("events") or ()
    last = events[-1] if events else None
    return events[:-1] if isinstance(last, Mapping) and last.get("type") == SNAPSHOT else ()


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
    return {name: list(events) for name, events in state.items()}


def read_story(program: Program, saved: Mapping[str, Any]) -> Story:
    """A state as somebody brings it, in copies of our own; events without a snapshot are replayed.

    Raises:
        InvalidStateError: the snapshot does not fit this program.
    """
    events = list(saved.get("events") or ())
    if not _are_events(events):
        raise InvalidStateError("the `events` of a state are mappings with a `type`")
    if events and isinstance(events[-1], Mapping) and events[-1].get("type") == SNAPSHOT:
        machine = _machine(program, events.pop())
        return Story(machine, tuple(_copied(events)))
    machine = State()
    for event in events:
        step(program, machine, Event(event["type"], {k: v for k, v in event.items() if k != "type"}))
    return story_after(begin_story(), machine, events)


def _copied(events: Sequence[Any]) -> Sequence[EventDict]:
    """Copies that share nothing with the events that can be changed.

    Raises:
        InvalidStateError: they are no plain data.
    """
    try:
        return list(map(_copied_one, events))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidStateError(f"the `events` of a state are no plain data: {error}") from None


def _copied_one(event: EventDict) -> EventDict:
    if _FLAT.issuperset(map(type, dict.values(event))):
        return dict(event)
    copy: EventDict = json.loads(json.dumps(event, default=str))
    return copy


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
