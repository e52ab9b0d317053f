"""A state as JSON text, and back.

Containers and captured events are written to a heap, once each, and everything else refers to them by number: so what
is shared stays shared, and a list that contains itself is no problem. The flows themselves are not written, only the
fingerprint of the program they belong to, and the source of flows that were added on the way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from colang.errors import ColangError, ColangStateError
from colang.instructions import FlowCode
from colang.machine.check import check_state
from colang.machine.overlay import install_texts
from colang.machine.state import Action, Head, Instance, Overlay, Place, Random, State, Status
from colang.program import Program
from colang.values import ActionRef, Comparison, EventRef, FlowRef, Regex, StateRef, SystemRef
from colang.values import Status as StatusView

FORMAT = "colang-state-1"
_ATOMS = (type(None), bool, int, float, str)
_HEAD_FIELDS = ("number", "pc", "parent", "scope", "since")
_INSTANCE_FIELDS = (
    "uid",
    "loop_id",
    "origin",
    "shares",
    "next_head",
    "number",
    "priority",
    "activated",
    "reference",
    "renewed",
    "waited",
)
_STATE_FIELDS = ("main", "sequence", "ended", "sweep_at")


def to_json(program: Program, state: State) -> str:
    """The whole state as JSON text.

    Raises:
        ColangStateError: a variable holds something that is no plain data.
    """
    writer = _Writer()
    document = {
        "format": FORMAT,
        "program": program.fingerprint,
        "random": state.random.state,
        **{name: getattr(state, name) for name in _STATE_FIELDS},
        "instances": [_instance_out(writer, instance) for instance in state.in_order()],
        "actions": [_action_out(writer, action) for action in state.actions.values()],
        "globals": writer.mapping(state.globals),
        "flows": {name: list(uids) for name, uids in sorted(state.flows.items())},
        "loops": state.loops,
        "added": state.overlay.texts,
        "removed": sorted(state.overlay.removed),
    }
    document["heap"] = writer.heap
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def from_json(program: Program, text: str) -> State:
    """Read back what `to_json` wrote for the same program; the conversation continues identically.

    Raises:
        ColangStateError: the text is no state, or belongs to another program.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ColangStateError(f"this is no saved state: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ColangStateError(f"this is no saved state of format {FORMAT}")
    if document.get("program") != program.fingerprint:
        raise ColangStateError("the saved state belongs to another program: its flows have changed since")
    try:
        return _restored(program, document)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, ColangError) as error:
        raise ColangStateError(f"the saved state is damaged: {type(error).__name__}: {error}") from None


def _restored(program: Program, document: Mapping[str, Any]) -> State:
    state = State()
    state.random = Random(document["random"])
    for name in _STATE_FIELDS:
        setattr(state, name, document[name])
    state.overlay = Overlay(removed=frozenset(document["removed"]))
    install_texts(state, document["added"])
    reader = _Reader(document["heap"])
    state.globals = reader.mapping(document["globals"])
    for entry in document["actions"]:
        action = _action_in(reader, entry)
        action.owner = state.token
        state.actions[action.uid] = action
    for entry in document["instances"]:
        instance = _instance_in(reader, entry, _code(program, state, entry["flow"]))
        instance.owner = state.token
        state.instances[instance.uid] = instance
    for name, uids in document["flows"].items():
        state.flows[name] = tuple(uids)
    state.loops = dict(document["loops"])
    _file_heads(state)
    check_state(state)
    return state


def _code(program: Program, state: State, flow_id: str) -> FlowCode:
    return state.overlay.code.get(flow_id) or program.code[flow_id]


def _file_heads(state: State) -> None:
    for instance in state.in_order():
        for head in instance.heads.values():
            for entry in head.entries:
                state.index.add(entry, (instance.uid, head.number))


# --- instances, heads, actions -----------------------------------------------------------------------------------


def _instance_out(writer: _Writer, instance: Instance) -> dict[str, Any]:
    return {
        **{name: getattr(instance, name) for name in _INSTANCE_FIELDS},
        "flow": instance.flow.flow_id,
        "status": int(instance.status),
        "parents": instance.parents,
        "children": instance.children,
        "position": instance.position,
        "arguments": writer.mapping(instance.arguments),
        "locals": writer.mapping(instance.locals),
        "globals": sorted(instance.globals),
        "heads": [_head_out(head) for head in instance.heads.values()],
        "scopes": instance.scopes,
        "actions": instance.actions,
    }


def _instance_in(reader: _Reader, entry: Mapping[str, Any], code: FlowCode) -> Instance:
    instance = Instance(entry["uid"], code, entry["loop_id"])
    for name in _INSTANCE_FIELDS:
        setattr(instance, name, entry[name])
    instance.status = Status(entry["status"])
    instance.parents = tuple(entry["parents"])
    instance.children = tuple(entry["children"])
    instance.position = tuple(entry["position"])
    instance.arguments = reader.mapping(entry["arguments"])
    instance.locals = reader.mapping(entry["locals"])
    instance.globals = frozenset(entry["globals"])
    instance.heads = {head["number"]: _head_in(head) for head in entry["heads"]}
    instance.scopes = {
        scope: tuple((kind, uid) for kind, uid in members) for scope, members in entry["scopes"].items()
    }
    instance.actions = tuple(entry["actions"])
    return instance


def _head_out(head: Head) -> dict[str, Any]:
    return {
        **{name: getattr(head, name) for name in _HEAD_FIELDS},
        "place": int(head.place),
        "scores": head.scores,
        "handlers": head.handlers,
        "entries": head.entries,
        "waited": head.waited,
    }


def _head_in(entry: Mapping[str, Any]) -> Head:
    head = Head(entry["number"], entry["pc"])
    for name in _HEAD_FIELDS:
        setattr(head, name, entry[name])
    head.place = Place(entry["place"])
    head.scores = tuple(entry["scores"])
    head.handlers = tuple((target, owner) for target, owner in entry["handlers"])
    head.entries = tuple((name, (key[0], key[1]) if key else None) for name, key in entry["entries"])
    head.waited = (entry["waited"][0], tuple(entry["waited"][1])) if entry["waited"] else None
    return head


def _action_out(writer: _Writer, action: Action) -> dict[str, Any]:
    return {
        "uid": action.uid,
        "name": action.name,
        "flow_uid": action.flow_uid,
        "owners": action.owners,
        "status": action.status,
        "arguments": writer.mapping(action.arguments),
        "context": writer.mapping(action.context),
    }


def _action_in(reader: _Reader, entry: Mapping[str, Any]) -> Action:
    action = Action(entry["uid"], entry["name"], reader.mapping(entry["arguments"]), entry["flow_uid"])
    action.owners = tuple(entry["owners"])
    action.status = entry["status"]
    action.context = reader.mapping(entry["context"])
    return action


# --- values ------------------------------------------------------------------------------------------------------


class _Writer:
    """Values to JSON; `heap` has the containers."""

    def __init__(self) -> None:
        self.heap: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []

    def mapping(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a mapping, each as `value` has it."""
        return {name: self.value(value) for name, value in values.items()}

    def value(self, value: Any) -> Any:
        """What stands for `value`; containers reached for the first time are put on the heap, iteratively."""
        pending: list[tuple[int, Any]] = []
        result = self._shallow(value, pending)
        while pending:
            number, container = pending.pop()
            self.heap[number] = self._contents(container, pending)
        return result

    def _shallow(self, value: Any, pending: list[tuple[int, Any]]) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind in {list, dict, set, tuple, EventRef} or isinstance(value, dict):
            return {"#": self._number(value, pending)}
        encode = _ENCODERS.get(kind)
        if encode is None:
            raise ColangStateError(
                f"a variable holds a {kind.__name__}, which is no plain data and cannot be saved"
            )
        return encode(value)

    def _number(self, value: Any, pending: list[tuple[int, Any]]) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.heap)
            self._kept.append(value)
            self.heap.append(None)
            pending.append((number, value))
        return number

    def _contents(self, value: Any, pending: list[tuple[int, Any]]) -> list[Any]:
        if isinstance(value, EventRef):
            arguments = [[name, self._shallow(item, pending)] for name, item in value.arguments.items()]
            return ["event", value.name, arguments, value.flow_uid, value.action_uid]
        if isinstance(value, dict):
            pairs = [[self._shallow(k, pending), self._shallow(v, pending)] for k, v in value.items()]
            return ["dict", pairs]
        items = sorted(value, key=repr) if isinstance(value, set) else value
        return [type(value).__name__, [self._shallow(item, pending) for item in items]]


_ENCODERS: Mapping[type, Any] = {
    FlowRef: lambda value: {"flow": value.uid},
    ActionRef: lambda value: {"action": value.uid},
    Regex: lambda value: {"regex": value.pattern},
    Comparison: lambda value: {"comparison": [value.operator, value.limit]},
    StatusView: lambda value: {"status": value.value},
    SystemRef: lambda _: {"system": True},
    StateRef: lambda _: {"state": True},
    date: lambda value: {"date": value.isoformat()},
    datetime: lambda value: {"datetime": value.isoformat()},
}

_DECODERS: Mapping[str, Any] = {
    "flow": FlowRef,
    "action": ActionRef,
    "regex": Regex,
    "comparison": lambda value: Comparison(value[0], value[1]),
    "status": StatusView,
    "system": lambda _: SystemRef(),
    "state": lambda _: StateRef(),
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}


class _Reader:
    """The way back: mutable containers are made empty first, so that they can refer to each other."""

    def __init__(self, heap: list[Any]) -> None:
        self._heap = heap
        self._made: dict[int, Any] = {}
        for number, entry in enumerate(heap):
            if entry[0] in _SHELLS:
                self._made[number] = _SHELLS[entry[0]]()
        for number, entry in enumerate(heap):
            self._fill(number, entry)

    def mapping(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a mapping, each as `value` has it."""
        return {name: self.value(value) for name, value in values.items()}

    def value(self, entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        ((tag, content),) = entry.items()
        if tag == "#":
            return self._container(content)
        return _DECODERS[tag](content)

    def _container(self, number: int) -> Any:
        if number not in self._made:
            self._made[number] = self._frozen(self._heap[number])
        return self._made[number]

    def _frozen(self, entry: list[Any]) -> Any:
        """A tuple or a captured event; neither can contain itself."""
        if entry[0] == "tuple":
            return tuple(self.value(item) for item in entry[1])
        _, name, arguments, flow_uid, action_uid = entry
        return EventRef(name, {key: self.value(item) for key, item in arguments}, flow_uid, action_uid)

    def _fill(self, number: int, entry: list[Any]) -> None:
        shell = self._made.get(number)
        if isinstance(shell, list):
            shell.extend(self.value(item) for item in entry[1])
        elif isinstance(shell, set):
            shell.update(self.value(item) for item in entry[1])
        elif isinstance(shell, dict):
            shell.update((self.value(key), self.value(item)) for key, item in entry[1])


_SHELLS: Mapping[str, Any] = {"list": list, "dict": dict, "set": set}
