"""A conversation's state: flow instances with their heads, actions, global variables.

`fork` copies the tables, not what is in them. Instances, actions and index buckets carry the token of the state that
may change them; `State.own` and `State.own_action` copy one before its first change. Containers inside variables are
shared too, until a method is about to change one in place: then `unshare` copies all of them once, keeping what is
shared between variables shared (`colang.copying`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from colang import tree
from colang.instructions import FlowCode
from colang.machine.index import Entry, Index
from colang.machine.table import Table

_MASK = (1 << 64) - 1


class Status(IntEnum):
    """The life of a flow instance; what is above `STARTED` is over."""

    WAITING = 0
    STARTING = 1
    STARTED = 2
    STOPPED = 3
    FINISHED = 4


RUNNING = frozenset({Status.STARTING, Status.STARTED})


class Place(IntEnum):
    """What a head is doing between two slides."""

    MOVING = 0
    WAITING = 1
    SENDING = 2
    MERGING = 3
    COLLECTING = 4
    ASLEEP = 5


class Head:
    """A position in a flow; `scores` is the causal chain since the last event from outside."""

    __slots__ = (
        "entries",
        "handlers",
        "number",
        "parent",
        "pc",
        "place",
        "scope",
        "scores",
        "since",
        "waited",
    )

    def __init__(self, number: int, pc: int = 0) -> None:
        self.number = number
        self.pc = pc
        self.place = Place.MOVING
        self.scores: tuple[float, ...] = ()
        self.parent: int | None = None
        self.handlers: tuple[tuple[int, int], ...] = ()
        """Handler targets, innermost last, each with the number of the head that set it."""
        self.scope: str | None = None
        self.entries: tuple[Entry, ...] = ()
        """Where the index has this head."""
        self.since = 0
        """When it began to wait: orders heads that are equal otherwise."""
        self.waited: Any = None
        """What a `Started` waits for: the uid of the requested instance and the names of the arguments given."""

    def copy(self) -> Head:
        """A head at the same place, free to be moved. Written out: a turn copies every head that it touches."""
        twin = Head.__new__(Head)
        twin.number = self.number
        twin.pc = self.pc
        twin.place = self.place
        twin.scores = self.scores
        twin.parent = self.parent
        twin.handlers = self.handlers
        twin.scope = self.scope
        twin.entries = self.entries
        twin.since = self.since
        twin.waited = self.waited
        return twin


class Instance:
    """One run of a flow."""

    __slots__ = (
        "actions",
        "activated",
        "arguments",
        "children",
        "flow",
        "globals",
        "heads",
        "locals",
        "loop_id",
        "next_head",
        "number",
        "origin",
        "owner",
        "parents",
        "position",
        "priority",
        "reference",
        "renewed",
        "scopes",
        "shares",
        "status",
        "uid",
        "waited",
    )

    def __init__(self, uid: str, flow: FlowCode, loop_id: str) -> None:
        self.uid = uid
        self.flow = flow
        self.loop_id = loop_id
        self.owner: object = None
        self.status = Status.WAITING
        self.origin: str | None = None
        """The instance that asked for this one."""
        self.parents: tuple[str, ...] = ()
        """Instances whose end ends this one; more than one if several activated it."""
        self.children: tuple[str, ...] = ()
        self.position: tuple[int, ...] = ()
        self.arguments: dict[str, Any] = {}
        """As passed: by name with defaults, and `$0`… where passed by position."""
        self.locals: dict[str, Any] = {}
        self.globals: frozenset[str] = frozenset()
        self.shares: str | None = None
        """The instance whose variables this one uses."""
        self.heads: dict[int, Head] = {}
        self.next_head = 0
        self.priority = 1.0
        self.activated = 0
        """How many activations keep this instance; 0 for one that was only started."""
        self.number = 0
        """Counts instances in order of creation."""
        self.reference: str | None = None
        """For a restarted instance: the first one, which holds the activations."""
        self.renewed = False
        """True once `start_new_flow_instance` was passed."""
        self.waited = False
        """True once it has stood at a wait of the author's."""
        self.scopes: dict[str, tuple[tuple[str, str], ...]] = {}
        """For each open scope what was started in it: ("flow" or "action", uid)."""
        self.actions: tuple[str, ...] = ()

    def copy(self, owner: object) -> Instance:
        """The instance for the state whose token is `owner`: its own heads, variables and scopes.

        `arguments` and the tuples are shared, since nothing changes them in place.
        """
        twin = Instance.__new__(Instance)
        twin.owner = owner
        twin.locals = self.locals.copy()
        twin.heads = {number: head.copy() for number, head in self.heads.items()}
        twin.scopes = self.scopes.copy()
        twin.actions = self.actions
        twin.activated = self.activated
        twin.arguments = self.arguments
        twin.children = self.children
        twin.flow = self.flow
        twin.globals = self.globals
        twin.loop_id = self.loop_id
        twin.next_head = self.next_head
        twin.number = self.number
        twin.origin = self.origin
        twin.parents = self.parents
        twin.position = self.position
        twin.priority = self.priority
        twin.reference = self.reference
        twin.renewed = self.renewed
        twin.shares = self.shares
        twin.status = self.status
        twin.uid = self.uid
        twin.waited = self.waited
        return twin

    def new_head(self, pc: int) -> Head:
        """A further head of this flow, at an instruction."""
        head = Head(self.next_head, pc)
        self.next_head += 1
        self.heads[head.number] = head
        return head


class Action:
    """An action that a flow made, or that the user system started."""

    __slots__ = ("arguments", "context", "flow_uid", "name", "owner", "owners", "status", "uid")

    def __init__(self, uid: str, name: str, arguments: dict[str, Any], flow_uid: str | None) -> None:
        self.uid = uid
        self.name = name
        self.arguments = arguments
        self.flow_uid = flow_uid
        self.owner: object = None
        self.owners: tuple[str, ...] = () if flow_uid is None else (flow_uid,)
        """The flow instances that wait for it or started it; the last one to end stops it."""
        self.status = "initialized"
        self.context: dict[str, Any] = {}
        """What it was started with, and everything received with its events since."""

    @property
    def over(self) -> bool:
        """True for an action of a flow that has finished; a user may do the same thing again."""
        return self.status == "finished" and self.flow_uid is not None

    def copy(self, owner: object) -> Action:
        """The action for the state whose token is `owner`; its start arguments are shared."""
        twin = Action.__new__(Action)
        for name in Action.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.owner = owner
        twin.context = self.context.copy()
        return twin


@dataclass(frozen=True, slots=True)
class Overlay:
    """Flows added to, and removed from, the program in this conversation."""

    code: dict[str, FlowCode] = field(default_factory=dict)
    trees: dict[str, tree.Flow] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    texts: dict[str, str] = field(default_factory=dict)
    """For each added flow the source text that it came in."""
    unhandled: frozenset[str] | None = frozenset()
    """As `Program.unhandled`, for the added flows."""


@dataclass(slots=True)
class Random:
    """SplitMix64 (Steele, Lea and Flood 2014): one integer of state, so that a fork or a JSON text carries it."""

    state: int

    def bits(self) -> int:
        """The next 64 bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def unit(self) -> float:
        """The next number in [0, 1)."""
        return (self.bits() >> 11) * 2.0**-53

    def uid(self) -> str:
        """The next UUID (version 4) as text."""
        text = f"{self.bits():016x}{self.bits():016x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


class State:
    """One conversation between two steps; see the module's docstring for who may change what."""

    __slots__ = (
        "actions",
        "ended",
        "flows",
        "globals",
        "index",
        "instances",
        "loops",
        "main",
        "overlay",
        "owns_values",
        "random",
        "sequence",
        "sweep_at",
        "token",
    )

    def __init__(self, seed: int = 0) -> None:
        self.token = object()
        self.instances: Table[str, Instance] = Table()
        self.flows: Table[str, tuple[str, ...]] = Table()
        """Running and activated instances by flow name, in order of creation; a name stays when they have ended."""
        self.actions: dict[str, Action] = {}
        self.globals: dict[str, Any] = {}
        self.index = Index(self.token)
        self.loops: dict[str, int] = {}
        """Interaction loops with the number of running instances in them."""
        self.main: str = ""
        self.overlay = Overlay()
        self.owns_values = True
        self.random = Random(seed & _MASK)
        self.sequence = 0
        self.ended = 0
        """Ended instances and actions that are still in the tables."""
        self.sweep_at = 64

    def fork(self) -> State:
        """A state that can be stepped without changing this one; it shares what neither has changed."""
        twin = State.__new__(State)
        for name in State.__slots__:
            setattr(twin, name, getattr(self, name))
        self.token = object()
        self.index = self.index.fork(self.token)
        twin.token = object()
        twin.index = self.index.fork(twin.token)
        twin.instances = self.instances.fork()
        twin.flows = self.flows.fork()
        twin.actions = self.actions.copy()
        twin.globals = self.globals.copy()
        twin.loops = self.loops.copy()
        twin.random = Random(self.random.state)
        self.owns_values = twin.owns_values = False
        return twin

    def own(self, uid: str) -> Instance:
        """The instance, free to be changed."""
        instance = self.instances[uid]
        if instance.owner is not self.token:
            instance = self.instances[uid] = instance.copy(self.token)
        return instance

    def own_action(self, uid: str) -> Action:
        """The action, free to be changed."""
        action = self.actions[uid]
        if action.owner is not self.token:
            action = self.actions[uid] = action.copy(self.token)
        return action

    def enlist(self, instance: Instance) -> None:
        """List an instance under the name of its flow."""
        name = instance.flow.flow_id
        self.flows[name] = (*(self.flows.get(name) or ()), instance.uid)

    def delist(self, instance: Instance) -> None:
        """Take an instance off the list of its flow: it has ended."""
        listed = self.flows.get(instance.flow.flow_id) or ()
        if instance.uid in listed:
            place = listed.index(instance.uid)
            self.flows[instance.flow.flow_id] = listed[:place] + listed[place + 1 :]

    def in_order(self) -> list[Instance]:
        """All instances, in order of creation."""
        return sorted(self.instances.values(), key=lambda instance: instance.number)
