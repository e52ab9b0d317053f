"""What authors of actions use: the `@action` mark and `ActionResult`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

T = TypeVar("T")
META = "action_meta"


class ActionMeta(TypedDict, total=False):
    """What the mark leaves on a function, method or class, as its attribute `action_meta`."""

    name: str
    is_system_action: bool
    execute_async: bool


def action(
    is_system_action: bool = False, name: str | None = None, execute_async: bool = False
) -> Callable[[T], T]:
    """Mark a function, method or class (with a `run` method) as an action.

    A system action always runs in this process, never on an actions server. With `execute_async` a Colang 2.x flow
    goes on while the action runs.
    """

    def mark(target: T) -> T:
        meta: ActionMeta = {
            "name": name or str(getattr(target, "__name__", type(target).__name__)),
            "is_system_action": is_system_action,
            "execute_async": execute_async,
        }
        setattr(target, META, meta)
        return target

    return mark


@dataclass
class ActionResult:
    """A result with more than a value: events to send and context variables to set."""

    return_value: Any | None = None
    events: list[dict[str, Any]] | None = None
    context_updates: dict[str, Any] | None = field(default_factory=dict)
