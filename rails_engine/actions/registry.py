"""Actions by name.

A name is looked up as it is; else as Colang 2.x and 1.0 spell it in turn: `FetchPriceAction`, `fetch_price` and
`fetch price` are one. What is registered later replaces what was there.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

from rails_engine.actions.decorator import META
from rails_engine.errors import ActionNotFoundError
from rails_engine.naming import camelcase_to_snakecase
from rails_engine.spelling import nearest

_VARIADIC = inspect.Parameter.VAR_KEYWORD
_POSITIONAL = inspect.Parameter.VAR_POSITIONAL


def spelling(name: str) -> str:
    """The form that all spellings of a name share: `FetchPriceAction` gives `fetch_price`."""
    words = camelcase_to_snakecase(name.strip()).replace(" ", "_")
    return words.removesuffix("_action") or words


@dataclass(frozen=True)
class Action:
    """A registered action. `target` is a function, a class with `run`, or an object with `ainvoke`."""

    name: str
    target: Any
    is_system_action: bool = False
    execute_async: bool = False

    @cached_property
    def call(self) -> Callable[..., Any]:
        """What runs the action. A class is instantiated here, once, when the action first runs."""
        target: Any = self.target() if inspect.isclass(self.target) else self.target
        if hasattr(target, "ainvoke"):
            return _runnable(target)
        return cast("Callable[..., Any]", target if callable(target) else target.run)

    @cached_property
    def is_async(self) -> bool:
        """Whether calling it gives a coroutine; what does not is run in a thread."""
        inner = self.call.func if isinstance(self.call, partial) else self.call
        return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)

    @cached_property
    def _signature(self) -> inspect.Signature:
        target: Any = self.target
        is_class = inspect.isclass(self.target)
        return inspect.signature(target.run if is_class else self.call)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters, in order."""
        named = (p for p in self._signature.parameters.values() if p.kind not in (_VARIADIC, _POSITIONAL))
        return tuple(p.name for p in named if p.name != "self")

    @cached_property
    def named(self) -> frozenset[str]:
        """Those parameters by whose names alone it can be told what they get: all, but where one is a model."""
        return frozenset() if "llm" in self.parameters else frozenset(self.parameters)

    @cached_property
    def takes_any(self) -> bool:
        """True where it takes whatever it is given by name."""
        return any(p.kind is _VARIADIC for p in self._signature.parameters.values())


def _runnable(target: Any) -> Callable[..., Any]:
    async def invoke(**parameters: Any) -> Any:
        return await target.ainvoke(input=parameters)

    return invoke


class ActionRegistry:
    """Actions by name; safe to use from several threads."""

    def __init__(self, actions: Iterable[Action] = ()) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Action] = {}
        self._by_spelling: dict[str, Action] = {}
        self.version = 0
        """Changes whenever something is registered."""
        for action in actions:
            self.add(action)

    def add(self, action: Action) -> None:
        """Register an action under its name and every spelling of it."""
        with self._lock:
            self._by_name[action.name] = action
            self._by_spelling[spelling(action.name)] = action
            self.version += 1

    def register(self, target: Any, name: str | None = None) -> Action:
        """Register a function, class, runnable or bound method, marked with `@action` or not.

        Raises:
            TypeError: it cannot be called.
        """
        runs = callable(target) or hasattr(target, "ainvoke") or hasattr(target, "run")
        if not runs:
            raise TypeError(f"{target!r} is no action: it must be callable, or have `run` or `ainvoke`")
        meta: Mapping[str, Any] = getattr(target, META, None) or {}
        own = getattr(target, "__name__", type(target).__name__)
        action = Action(
            name or meta.get("name") or own,
            target,
            bool(meta.get("is_system_action")),
            bool(meta.get("execute_async")),
        )
        self.add(action)
        return action

    def register_from(self, holder: Any) -> list[Action]:
        """Register whatever in a module or object is marked with `@action`."""
        members = (getattr(holder, name, None) for name in dir(holder) if not name.startswith("__"))
        return [
            self.register(member) for member in members if isinstance(getattr(member, META, None), Mapping)
        ]

    def get(self, name: str) -> Action | None:
        """The action that a name means, as it is or in another spelling; None where there is none."""
        return self._by_name.get(name) or self._by_spelling.get(spelling(name))

    def require(self, name: str) -> Action:
        """The action of this name.

        Raises:
            ActionNotFoundError: there is none; names the nearest one.
        """
        found = self.get(name)
        if found is None:
            near = nearest(spelling(name), self._by_spelling)
            hint = f" Did you mean '{self._by_spelling[near].name}'?" if near else ""
            raise ActionNotFoundError(f"Action '{name}' not found.{hint}")
        return found

    def names(self) -> list[str]:
        """The names as they were registered, sorted."""
        return sorted(self._by_name)

    def copy(self) -> ActionRegistry:
        """A registry of its own with the same actions."""
        with self._lock:
            return ActionRegistry(self._by_name.values())
