"""The surroundings of an expression: variables of a flow instance, fields of runtime objects, the random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from colang import limits
from colang.copying import containers_in
from colang.errors import ColangValueError
from colang.instructions import FlowCode
from colang.machine.sharing import unshare
from colang.machine.signal import Signal
from colang.machine.state import Action, Instance, State, Status
from colang.program import Program
from colang.values import ActionRef, FlowRef, StateRef, SystemRef
from colang.values import Status as StatusView


def flow_code(program: Program, state: State, flow_id: str) -> FlowCode | None:
    """The flow of a name in a conversation: an added one, or one of the program that was not removed."""
    overlay = state.overlay
    if flow_id in overlay.code:
        return overlay.code[flow_id]
    return None if flow_id in overlay.removed else program.code.get(flow_id)


STATUS_NAMES = {
    Status.WAITING: "waiting",
    Status.STARTING: "starting",
    Status.STARTED: "started",
    Status.STOPPED: "stopped",
    Status.FINISHED: "finished",
}


class Frame:
    """Implements `colang.expressions.Scope` for one instance at a time."""

    __slots__ = ("_foreign", "growth", "instance", "program", "queue", "state")

    def __init__(self, program: Program, state: State, queue: Iterable[Signal]) -> None:
        self.program = program
        self.state = state
        self.queue = queue
        self.growth = 0
        self.instance: Instance
        self._foreign: frozenset[int] | None = None

    def variables(self) -> Instance:
        """The instance whose variables are used: this one, or the one that shares its own with it."""
        instance = self.instance
        while instance.shares is not None:
            instance = self.state.own(instance.shares)
        return instance

    def holder(self, name: str) -> Instance:
        """The instance that has the variable; hidden ones are never shared."""
        return self.instance if name.startswith("&") else self.variables()

    def read(self, name: str) -> Any:
        """See `Scope.read`; `$self` and `$system` are there unless a flow has variables of these names."""
        instance = self.instance
        if instance.shares is not None:
            instance = self.holder(name)
        if name in instance.globals:
            return self.state.globals.get(name)
        value = instance.locals.get(name)
        if value is None and name in _SPECIAL:
            return FlowRef(self.instance.uid) if name == "self" else SystemRef()
        return value

    def known(self, name: str) -> bool:
        """True if the variable was ever set."""
        instance = self.holder(name)
        return name in instance.globals or name in instance.locals or name in _SPECIAL

    def write(self, name: str, value: Any) -> None:
        """Set a variable where it lives: among the globals that the flow has declared, else in the flow."""
        instance = self.instance
        if instance.shares is not None:
            instance = self.holder(name)
        if name in instance.globals:
            self.state.globals[name] = value
        else:
            instance.locals[name] = value

    def attribute(self, target: FlowRef | ActionRef | SystemRef | StateRef, name: str) -> Any:
        """See `Scope.attribute`."""
        if isinstance(target, FlowRef):
            return flow_attribute(self.state.instances.get(target.uid), name)
        if isinstance(target, ActionRef):
            return action_attribute(self.state.actions.get(target.uid), name)
        if isinstance(target, SystemRef) and name in {"config", "state"}:
            return self.program.config if name == "config" else StateRef()
        if isinstance(target, StateRef) and name == "context":
            return self.state.globals
        raise AttributeError(f"Attribute '{name}' does not exist")

    def uid(self) -> str:
        """See `Scope.uid`; drawn from the state's own generator, so that a transcript replays exactly."""
        return self.state.random.uid()

    def random(self) -> float:
        """See `Scope.random`; drawn as `uid` is."""
        return self.state.random.unit()

    def flows_info(self, uid: str | None) -> Any:
        """See `Scope.flows_info`.

        Raises:
            ColangValueError: no flow has this uid.
        """
        instances = self.state.instances
        if uid is None:
            return {each.uid: flow_info(each) for each in self.state.in_order()}
        if uid not in instances:
            raise ColangValueError(f"there is no flow instance {uid}")
        return flow_info(instances[uid])

    def flow_defined(self, name: str) -> bool:
        """See `Scope.flow_defined`."""
        return flow_code(self.program, self.state, name) is not None

    def within(self, name: str) -> bool:
        """See `Scope.within`."""
        instances = self.state.instances
        above = instances.get(self.instance.origin or "")
        while above is not None:
            if above.flow.flow_id == name:
                return True
            above = instances.get(above.origin or "")
        return False

    def unshare(self, container: Any) -> Any:
        """See `Scope.unshare`."""
        if self._foreign is None:
            self._foreign = containers_in(self.program.config)
        return unshare(self.state, self.queue, container, self._foreign)

    def charge(self, size: int) -> None:
        """See `Scope.charge`.

        Raises:
            ColangValueError: the values of this step are together larger than `limits.MAX_GROWTH`.
        """
        self.growth += size
        if self.growth > limits.MAX_GROWTH:
            raise ColangValueError("the values that one step makes and compares are too large")


_SPECIAL = frozenset({"self", "system"})


def visible(instance: Instance) -> dict[str, Any]:
    """The local variables that an author can name."""
    return {name: value for name, value in instance.locals.items() if not name.startswith("&")}


FLOW_FIELDS: Mapping[str, Callable[[Instance], Any]] = {
    "uid": lambda instance: instance.uid,
    "flow_id": lambda instance: instance.flow.flow_id,
    "loop_id": lambda instance: instance.loop_id,
    "status": lambda instance: StatusView(STATUS_NAMES[instance.status]),
    "priority": lambda instance: instance.priority,
    "arguments": lambda instance: dict(instance.arguments),
    "context": visible,
    "parent_uid": lambda instance: instance.origin,
    "child_flow_uids": lambda instance: list(instance.children),
    "activated": lambda instance: instance.activated,
    "hierarchy_position": lambda instance: ".".join(str(part) for part in instance.position),
    "action_uids": lambda instance: list(instance.actions),
}


def flow_attribute(instance: Instance | None, name: str) -> Any:
    """`$flow.name`: a field of the instance, or else one of its variables.

    Raises:
        AttributeError: it has neither, or there is no such instance (any more).
    """
    if instance is None:
        raise AttributeError("the flow was never started")
    field = FLOW_FIELDS.get(name)
    if field:
        return field(instance)
    if name in instance.locals and not name.startswith("&"):
        return instance.locals[name]
    raise AttributeError(f"Attribute '{name}' does not exist")


ACTION_FIELDS: Mapping[str, Callable[[Action], Any]] = {
    "uid": lambda action: action.uid,
    "name": lambda action: action.name,
    "flow_uid": lambda action: action.flow_uid,
    "status": lambda action: StatusView(action.status),
    "start_event_arguments": lambda action: dict(action.arguments),
    "context": lambda action: dict(action.context),
}


def action_attribute(action: Action | None, name: str) -> Any:
    """`$action.name`: a field of the action, or else something that came with its events.

    Raises:
        AttributeError: it has neither, or there is no such action (any more).
    """
    if action is None:
        raise AttributeError(f"Attribute '{name}' does not exist")
    field = ACTION_FIELDS.get(name)
    if field:
        return field(action)
    if name in action.context:
        return action.context[name]
    raise AttributeError(f"Attribute '{name}' does not exist")


def flow_info(instance: Instance) -> dict[str, Any]:
    """What `flows_info()` says of one instance."""
    spans = instance.flow.spans
    lines = [spans[head.pc].line for head in instance.heads.values() if head.pc < len(spans)]
    info: dict[str, Any] = {
        "flow_id": instance.flow.flow_id,
        "loop_id": instance.loop_id,
        "status": STATUS_NAMES[instance.status],
        "flow_hierarchy": ".".join(str(part) for part in instance.position),
        "active_statement_at_lines": lines,
        "meta_tags": dict(instance.flow.meta),
    }
    if instance.actions:
        info["action_uids"] = list(instance.actions)
    if instance.children:
        info["child_flow_uids"] = list(instance.children)
    return info
