"""What an effect may see and use of the turn that it runs for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import colang
from rails_engine.umim import EventDict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an effect gives back to its turn.

    `context_updates` are written to the global variables; `events` are sent as if a flow had sent them.
    """

    value: Any = None
    context_updates: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    failure: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One model call for a prompt task; None leaves a parameter to the prompt, then to the model."""

    task: str
    variables: Mapping[str, Any]
    temperature: float | None = None
    stop: tuple[str, ...] = ()


class Services(Protocol):
    """What effects need of the outside world."""

    async def complete(self, completion: Completion) -> str:
        """The text that the task's model answers, after the prompt's output parser.

        Raises:
            LLMCallException: the model failed.
        """
        ...

    async def relevant_chunks(self, query: str) -> str:
        """The pieces of the knowledge base nearest to `query`, one a line; empty where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Scene:
    """The turn as an effect sees it.

    `machine` belongs to the turn: only effects that run at once (no `await` before the change) may change it.
    """

    program: colang.Program
    machine: colang.State
    history: list[colang.History]
    events: list[EventDict]
    services: Services
    flow_uid: str = ""

    @property
    def context(self) -> Mapping[str, Any]:
        """The global variables."""
        return colang.globals_of(self.machine)


Effect: TypeAlias = Callable[[Scene, Mapping[str, Any]], Awaitable[Outcome]]
