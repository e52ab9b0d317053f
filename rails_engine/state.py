"""A conversation between two turns: what the caller keeps, as a live object or as JSON.

The machine's state says where the flows stand; the engine adds what prompts need to know of the past. A `State` is
a handle: a turn works on a fork and puts it in place when it has succeeded, so a failed turn leaves it as it was.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import colang
from rails_engine.errors import InvalidStateError

VERSION: Final = 1
HISTORY_BOUND: Final = 500
EVENT_BOUND: Final = 500


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a conversation consists of between two turns; shared, never changed.

    `history`: the interaction log that prompts quote. `events`: the last UMIM events, in and out.
    """

    program: colang.Program
    machine: colang.State
    history: tuple[colang.History, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True, eq=False)
class State:
    """The handle that `process_events` returns and takes back; `state_to_json` writes it."""

    uid: str = field(default_factory=lambda: str(uuid4()))
    snapshot: Snapshot | None = None
    saved: str | None = None
    """JSON that has not been read yet: reading needs the program, which only the engine has."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held during a turn: one conversation has one turn at a time."""

    def __repr__(self) -> str:
        return f"State(uid={self.uid!r})"

    @property
    def context(self) -> Mapping[str, Any]:
        """The global variables, read only."""
        return colang.globals_of(self.snapshot.machine) if self.snapshot else {}

    def open(self, program: colang.Program) -> Snapshot | None:
        """The snapshot, read from JSON if that has not happened yet; None for a conversation not yet begun.

        Raises:
            InvalidStateError: the JSON is no state of this program.
        """
        if self.snapshot is None and self.saved is not None:
            self.snapshot = _read(program, self.saved)
            self.saved = None
        return self.snapshot


def seeded(program: colang.Program, seed: int) -> State:
    """A conversation that has not begun, in which what is left to chance follows from `seed`."""
    return State(snapshot=Snapshot(program, colang.new_state(program, seed)))


def to_json(state: State) -> str:
    """The whole conversation as JSON text; `from_json` continues it identically.

    Raises:
        InvalidStateError: the conversation has not begun.
    """
    if state.saved is not None:
        return json.dumps({"version": VERSION, "uid": state.uid, **json.loads(state.saved)})
    if state.snapshot is None:
        raise InvalidStateError("a conversation that has not begun has no state to write")
    snapshot = state.snapshot
    return json.dumps(
        {
            "version": VERSION,
            "uid": state.uid,
            "machine": colang.to_json(snapshot.program, snapshot.machine),
            "history": [_line(entry) for entry in snapshot.history],
            "events": [_plain(event) for event in snapshot.events],
        }
    )


def from_json(text: str) -> State:
    """The conversation that `to_json` wrote; the program is checked when the next turn opens it.

    Raises:
        InvalidStateError: not JSON, or not written by `to_json`.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidStateError(f"the state is no JSON: {error}") from None
    return from_dict(data)


def to_dict(state: State) -> dict[str, Any]:
    """As `to_json`, as a dictionary of plain JSON values."""
    data: dict[str, Any] = json.loads(to_json(state))
    return data


def from_dict(data: Any) -> State:
    """As `from_json`, from the dictionary that `to_dict` made; an empty one begins a conversation.

    Raises:
        InvalidStateError: not written by `to_dict`.
    """
    if not isinstance(data, dict):
        raise InvalidStateError(f"a state is a dictionary, not {type(data).__name__}")
    if not data:
        return State()
    if data.get("version") != VERSION or not isinstance(data.get("uid"), str) or "machine" not in data:
        raise InvalidStateError(
            "this dictionary is no saved state: pass `{}` to begin a conversation, then `response.state`"
        )
    body = {key: data.get(key) for key in ("machine", "history", "events")}
    try:
        return State(uid=data["uid"], saved=json.dumps(body))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidStateError(f"the state is no plain data: {error}") from None


def _read(program: colang.Program, text: str) -> Snapshot:
    data = json.loads(text)
    try:
        machine = colang.from_json(program, data["machine"])
        history = tuple(_read_line(entry) for entry in data.get("history") or ())
        events = tuple(_read_event(event) for event in data.get("events") or ())
    except (colang.ColangStateError, TypeError, KeyError, ValueError) as error:
        raise InvalidStateError(f"the saved state cannot be continued: {error}") from error
    return Snapshot(program, machine, history, events)


def _read_line(entry: Any) -> colang.History:
    """As `_line` wrote it.

    Raises:
        ValueError: it did not.
    """
    if (
        not isinstance(entry, list)
        or len(entry) != 4
        or not all(isinstance(part, str | None) for part in entry)
    ):
        raise ValueError(f"a line of the history is {entry!r:.80}")
    return colang.History(*entry)


def _read_event(event: Any) -> Mapping[str, Any]:
    """An event of the past.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise ValueError(f"an event is {event!r:.80}")  # noqa: TRY004 -- a fault of the saved text
    return event


def _line(entry: colang.History) -> list[str | None]:
    return [entry.kind, entry.flow_id, entry.parameter, entry.intent_flow_id]


def _plain(event: Mapping[str, Any]) -> Any:
    """An event as JSON values; a value that JSON lacks is kept as its text (events are for prompts and traces)."""
    return json.loads(json.dumps(dict(event), default=str))
