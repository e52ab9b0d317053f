"""`llm_task_manager`, as actions of users know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rails_engine.config import Model, RailsConfig, TaskPrompt
from rails_engine.llm import public_message
from rails_engine.prompts.history import Event
from rails_engine.prompts.library import PromptLibrary


class LLMTaskManager:
    """A view of a library under public names; it holds nothing of its own."""

    def __init__(self, config: RailsConfig, library: PromptLibrary | None = None) -> None:
        self.config = config
        self.library = library or PromptLibrary(config)

    def render_task_prompt(
        self,
        task: str,
        context: Mapping[str, Any] | None = None,
        events: Sequence[Event] | None = None,
        force_string_to_message: bool | None = False,
    ) -> str | list[dict[str, Any]]:
        """The prompt as a text, or as a list of message dictionaries."""
        variables = {**(context or {}), **({"history": events} if events is not None else {})}
        rendered = self.library.render(_name(task), variables)
        if rendered.prompt is None:
            return [_dictionary(public_message(message).to_dict()) for message in rendered.messages]
        if force_string_to_message:
            return [{"type": "system", "content": rendered.prompt}]
        return rendered.prompt

    def parse_task_output(self, task: str, output: str, forced_output_parser: str | None = None) -> Any:
        """See `PromptLibrary.parse`."""
        return self.library.parse(_name(task), output, forced_output_parser)

    def has_output_parser(self, task: str) -> bool:
        """See `PromptLibrary.has_parser`."""
        return self.library.has_parser(_name(task))

    def get_stop_tokens(self, task: str) -> list[str] | None:
        """The texts at which the model is to stop; None where the prompt names none.

        Raises:
            PromptError: no prompt serves the task.
        """
        return self.library.get(_name(task)).stop

    def get_max_tokens(self, task: str) -> int | None:
        """The longest answer in tokens; None where the prompt sets no bound.

        Raises:
            PromptError: no prompt serves the task.
        """
        return self.library.get(_name(task)).max_tokens

    def register_filter(self, filter_fn: Callable[..., Any], name: str | None = None) -> None:
        """See `PromptLibrary.register_filter`."""
        self.library.register_filter(filter_fn, name)

    def register_output_parser(self, output_parser: Callable[[str], Any], name: str) -> None:
        """See `PromptLibrary.register_output_parser`."""
        self.library.register_output_parser(output_parser, name)

    def register_prompt_context(self, name: str, value_or_fn: Any) -> None:
        """See `PromptLibrary.register_context`."""
        self.library.register_context(name, value_or_fn)


def get_prompt(config: RailsConfig, task: str) -> TaskPrompt:
    """The prompt that serves a task of a configuration.

    Raises:
        PromptError: there is none.
    """
    return PromptLibrary(config).get(_name(task))


def get_task_model(config: RailsConfig, task: str) -> Model | None:
    """The entry of `models` that serves a task; None where there is none."""
    return PromptLibrary(config).model_of(_name(task))


def _name(task: Any) -> str:
    """The name of a task given as text or as a member of an enumeration."""
    return str(getattr(task, "value", task))


def _dictionary(message: dict[str, Any]) -> dict[str, Any]:
    """A message under the keys that prompts use: `type` and `content`."""
    role = message.pop("role")
    return {"type": role, "content": "", **message}
