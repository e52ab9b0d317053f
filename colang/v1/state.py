"""A conversation of Colang 1.0: the flows under way, and the variables that they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from colang.v1.elements import FlowCode
from colang.v1.moves import Standing


class Status(Enum):
    """What a flow under way is doing; only the first two outlive a step."""

    ACTIVE = "active"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Instance:
    """A flow under way: `head` is the element that it stands at, `uid` its place among those under way, from 1."""

    uid: int
    flow: str
    head: int
    status: Status = Status.ACTIVE
    interrupted_by: int | None = None

    def at(self, head: int) -> Instance:
        """The same instance, further on."""
        return Instance(self.uid, self.flow, head, self.status, self.interrupted_by)

    def turned(self, status: Status, by: int | None = None) -> Instance:
        """The same instance with another status, interrupted by the instance `by`."""
        return Instance(self.uid, self.flow, self.head, status, by)


@dataclass(slots=True)
class State:
    """A conversation: the flows under way, oldest first, and the variables, which all flows share."""

    standing: Standing[Instance] = field(default_factory=Standing)
    variables: dict[str, Any] = field(default_factory=dict)
    pending: dict[str, Any] = field(default_factory=dict)
    """Variables that were assigned and that no `ContextUpdate` has told yet."""
    added: dict[str, FlowCode] = field(default_factory=dict)
    """Flows that were generated in this conversation."""

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The flows under way, oldest first."""
        return self.standing.instances

    def forget_flows(self) -> None:
        """No flow is under way any longer."""
        self.standing = Standing()

    def fork(self) -> State:
        """A state that can be stepped without changing this one."""
        return State(self.standing, self.variables.copy(), self.pending.copy(), self.added.copy())


def numbered(instances: list[Instance]) -> tuple[Instance, ...]:
    """The instances with their places for uids; what interrupted one and is gone is forgotten."""
    places = {each.uid: place for place, each in enumerate(instances, 1)}
    return tuple(
        Instance(
            places[each.uid],
            each.flow,
            each.head,
            each.status,
            places.get(each.interrupted_by) if each.interrupted_by is not None else None,
        )
        for each in instances
    )
