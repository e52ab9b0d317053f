"""The steps of a Colang 1.0 dialog one by one, as `rails.llm_generation_actions` gives them to users' code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rails_engine.actions import ActionResult
from rails_engine.colang1 import Colang1
from rails_engine.config import RailsConfig
from rails_engine.prompts import LLMTaskManager
from rails_engine.umim import EventDict

Events = Sequence[Mapping[str, Any]]


class Rails(Protocol):
    """Whose steps they are."""

    config: RailsConfig

    @property
    def llm(self) -> Any:
        """See `LLMRails.llm`."""

    @property
    def update_llm(self) -> Callable[[Any], None]:
        """See `LLMRails.update_llm`."""


class LLMGenerationActions:
    """What the dialog does between a user's message and an answer; each step takes a history and gives what comes next.

    An action that is registered under the name of a step takes its place, here as in a turn. `context` has variables to
    set; the other arguments that steps once took are known here and need not be given.
    """

    def __init__(self, rails: Rails, tasks: LLMTaskManager, side: Callable[[], Colang1]) -> None:
        self._rails = rails
        self._side = side
        self.llm_task_manager = tasks

    @property
    def config(self) -> RailsConfig:
        """The configuration."""
        return self._rails.config

    @property
    def llm(self) -> Any:
        """The main model, which may be replaced."""
        return self._rails.llm

    @llm.setter
    def llm(self, llm: Any) -> None:
        self._rails.update_llm(llm)

    async def generate_user_intent(
        self, events: Events, context: Mapping[str, Any] | None = None, *given: Any, **named: Any
    ) -> ActionResult:
        """A `UserIntent` event for the last message; the answer itself where the configuration has no intents.

        Raises:
            LLMCallException: the model failed.
            WrongDialectError: a Colang 2.x configuration.
        """
        del given, named
        return await self._step("generate_user_intent", events, context)

    async def generate_next_steps(self, events: Events, *given: Any, **named: Any) -> ActionResult:
        """The `BotIntent` event that follows the last intent; raises as `generate_user_intent`."""
        del given
        return await self._step("generate_next_steps", events, named.get("context"))

    async def generate_bot_message(
        self, events: Events, context: Mapping[str, Any] | None = None, *given: Any, **named: Any
    ) -> ActionResult:
        """The `BotMessage` event for the last bot intent; raises as `generate_user_intent`."""
        del given, named
        return await self._step("generate_bot_message", events, context)

    async def generate_value(
        self, instructions: str, events: Events, var_name: str | None = None, **named: Any
    ) -> Any:
        """A value that the model writes as instructed; raises as `generate_user_intent`."""
        arguments = {"instructions": instructions, "var_name": var_name}
        return (await self._step("generate_value", events, named.get("context"), arguments)).return_value

    async def _step(
        self,
        name: str,
        events: Events,
        context: Mapping[str, Any] | None,
        arguments: Mapping[str, Any] | None = None,
    ) -> ActionResult:
        history: list[EventDict] = [dict(event) for event in events]
        outcome = await self._side().step(name, history, context or {}, arguments or {})
        return ActionResult(
            outcome.value, [dict(event) for event in outcome.events], dict(outcome.context_updates)
        )
