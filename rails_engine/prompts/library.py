"""The prompts of one configuration: chosen, filled in, kept within their length, and their answers parsed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rails_engine.config import MessageTemplate, Model, RailsConfig, TaskPrompt
from rails_engine.errors import PromptError
from rails_engine.llm import Message, Past, Quotation, length_of, message_of
from rails_engine.prompts.filters import first_turns
from rails_engine.prompts.history import TURN_STARTS, ChatLines, Event, History, Role, text_of
from rails_engine.prompts.parsers import PARSERS
from rails_engine.prompts.selection import STANDARD, built_in, chosen, of_folder
from rails_engine.prompts.templates import Templates
from rails_engine.values import value_class

HISTORY = "history"
_SPEAKERS: Mapping[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_DEFAULT_TOOLS = "main"


@value_class
class Rendered:
    """A prompt ready to be sent: `prompt`, or else `messages`. `stop` and `max_tokens` are as the prompt says."""

    task: str
    prompt: str | None = None
    messages: tuple[Message, ...] = ()
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None

    @property
    def length(self) -> int:
        """Characters of text."""
        if self.prompt is not None:
            return len(self.prompt)
        if isinstance(self.messages, Quotation):
            return self.messages.characters
        return sum(map(length_of, self.messages))


class PromptLibrary:
    """Finds, fills in and parses. Registering may go on while prompts are used."""

    def __init__(self, config: RailsConfig) -> None:
        self._config = config
        self._templates = Templates()
        self._parsers: dict[str, Callable[[str], Any]] = dict(PARSERS)
        self._context: dict[str, Any] = {}
        self._chosen: dict[str, TaskPrompt | None] = {}
        self._beginning = ("", "")
        """A sample conversation, and its first two turns; worked out again only when it has changed."""
        self.has_own_filters = False
        """Whether filters were registered: nobody knows what they read of a history."""
        self._prompts = (*built_in(), *_of_environment(), *(config.prompts or ()))

    # --- registering ---

    def register_filter(self, filter_fn: Callable[..., Any], name: str | None = None) -> None:
        """Let templates use a filter; one of the same name is replaced."""
        self.has_own_filters = True
        self._templates.register_filter(filter_fn, name or filter_fn.__name__)

    def register_output_parser(self, output_parser: Callable[[str], Any], name: str) -> None:
        """Let prompts name a parser; one of the same name is replaced."""
        self._parsers[name] = output_parser

    def register_context(self, name: str, value_or_fn: Any) -> None:
        """Give every prompt a variable: a value, or a function that is called for each prompt."""
        self._context[name] = value_or_fn

    # --- finding ---

    def has(self, task: str) -> bool:
        """True where a prompt serves the task."""
        return self._find(task) is not None

    def get(self, task: str) -> TaskPrompt:
        """The prompt of `task` for the model that serves it.

        Raises:
            PromptError: there is none.
        """
        prompt = self._find(task)
        if prompt is None:
            raise PromptError(f"there is no prompt for the task `{task}`; add one under `prompts`")
        return prompt

    def _find(self, task: str) -> TaskPrompt | None:
        if task not in self._chosen:
            mode = self._config.prompting_mode or STANDARD
            self._chosen[task] = chosen(self._prompts, task, self.model_of(task), mode)
        return self._chosen[task]

    def model_of(self, task: str) -> Model | None:
        """The entry of `models` that serves a task: the one it names, the one of its name, or `main`."""
        base, _, named = task.partition(" $model=")
        by_type = {model.type: model for model in reversed(self._config.models)}
        return (
            by_type.get(named.split(" ")[0])
            or by_type.get(base.split(" $")[0])
            or by_type.get(_DEFAULT_TOOLS)
        )

    # --- filling in ---

    def render(self, task: str, variables: Mapping[str, Any]) -> Rendered:
        """The prompt of `task`; of a `history` that is too long the oldest turns are left out.

        Raises:
            PromptError: there is no such prompt, it cannot be filled in, or it is too long without any history.
        """
        prompt = self._chosen.get(task) or self.get(task)
        known = self._own_variables()
        known.update(variables)
        rendered = self._rendered(prompt, known)
        if prompt.max_length is None or rendered.length <= prompt.max_length:
            return rendered
        return self._shortened(prompt, known, prompt.max_length)

    def fill(self, template: str, variables: Mapping[str, Any]) -> str:
        """A template of the configuration's author, filled in.

        Raises:
            PromptError: it cannot be.
        """
        return self._templates.text(template, {**self._own_variables(), **variables})

    def _own_variables(self) -> dict[str, Any]:
        config = self._config
        sample, safety = config.sample_conversation or "", config.rails.config.content_safety
        if self._beginning[0] != sample:
            self._beginning = (sample, first_turns(sample, 2))
        own = {
            "general_instructions": "",
            "sample_conversation": sample,
            "sample_conversation_two_turns": self._beginning[1],
            "reasoning_enabled": safety is not None and safety.reasoning.enabled,
        }
        for item in config.instructions or ():
            if item.type == "general":
                own["general_instructions"] = item.content
                break
        if self._context:
            own |= {name: value() if callable(value) else value for name, value in self._context.items()}
        return own

    def _rendered(self, prompt: TaskPrompt, variables: Mapping[str, Any]) -> Rendered:
        stop, max_tokens = tuple(prompt.stop or ()), prompt.max_tokens
        try:
            if prompt.content is not None and not prompt.messages:
                text = self._templates.text(prompt.content, variables)
                return Rendered(prompt.task, text, (), stop, max_tokens)
            messages: tuple[Message, ...] = ()
            for template in prompt.messages or ():
                given = self._messages(template, variables)
                if isinstance(given, Past):
                    messages = Quotation.of(messages, given)
                elif given:
                    messages = _followed(messages, given)
        except PromptError as error:
            raise PromptError(f"prompt of task `{prompt.task}`: {error}") from error
        return Rendered(prompt.task, None, messages, stop, max_tokens)

    def _messages(
        self, template: MessageTemplate | str, variables: Mapping[str, Any]
    ) -> Sequence[Message] | Past:
        if isinstance(template, MessageTemplate):
            content = self._templates.value(template.content, variables)
            if isinstance(content, list):
                return [message_of({"role": template.type, "content": content})]
            text, role = str(content), _SPEAKERS.get(template.type)
            message = Message(role, text) if role else message_of({"role": template.type, "content": text})
            # Servers refuse messages that say nothing; what the conversation holds is sent as it is.
            return [message] if text.strip() else []
        given = self._templates.value(template, variables)
        if isinstance(given, str):
            return [message_of({"role": "user", "content": given})] if given.strip() else []
        if not isinstance(given, list):
            raise PromptError(f"expected messages from {template!r}, got {type(given).__name__}")
        if type(given) is ChatLines:
            return given.past
        return [message_of(_role_first(item)) for item in given]

    def _shortened(self, prompt: TaskPrompt, variables: Mapping[str, Any], limit: int) -> Rendered:
        """The prompt with the longest end of the history that fits, found by bisection over where turns begin."""
        history: Sequence[Event] = variables.get(HISTORY) or ()

        def tried(start: int) -> Rendered:
            rest = history.since(start) if isinstance(history, History) else list(history[start:])
            return self._rendered(prompt, {**variables, HISTORY: rest})

        starts = _cuts(history)
        low, high = 0, len(starts)
        while low < high:
            middle = (low + high) // 2
            if tried(starts[middle]).length <= limit:
                high = middle
            else:
                low = middle + 1
        rendered = tried(starts[low] if low < len(starts) else len(history))
        if rendered.length > limit:
            raise PromptError(
                f"prompt of task `{prompt.task}`: {rendered.length:,} characters without any history, "
                f"and `max_length` is {limit:,}"
            )
        return rendered

    # --- parsing ---

    def has_parser(self, task: str) -> bool:
        """True where the answer has to be whole before it can be read."""
        prompt = self._find(task)
        return prompt is not None and prompt.output_parser is not None

    def parse(self, task: str, text: str, parser: str | None = None) -> Any:
        """`text` through the task's output parser, or through the one named; as it is where there is none.

        Raises:
            PromptError: the parser is unknown.
            ValueError: the parser refuses the text.
        """
        prompt = self._find(task)
        name = (prompt.output_parser if prompt else None) or parser
        if name is None:
            return text
        found = self._parsers.get(name)
        if found is None:
            known = ", ".join(sorted(self._parsers))
            raise PromptError(f"prompt of task `{task}`: there is no output parser `{name}`; known: {known}")
        return found(text)


def _of_environment() -> tuple[TaskPrompt, ...]:
    folder = os.environ.get("PROMPTS_DIR")
    return of_folder(Path(folder)) if folder and Path(folder).is_dir() else ()


def _followed(messages: tuple[Message, ...], more: Sequence[Message]) -> tuple[Message, ...]:
    """Messages with more behind them; what they quote stays known."""
    if isinstance(messages, Quotation):
        return Quotation.of(messages.before, messages.past, (*messages.after, *more))
    return (*messages, *more)


def _cuts(history: Sequence[Event]) -> list[int]:
    """Where a history may begin, oldest first: at the turns, and within the last one at each event."""
    turns = [index for index, event in enumerate(history) if event.get("type") in TURN_STARTS and index]
    last = turns[-1] if turns else 0
    return [*turns, *range(last + 1, len(history) + 1)]


def _role_first(item: Mapping[str, Any]) -> dict[str, Any]:
    """A message under the key `role`, which templates may also call `type`."""
    role = item.get("role") or item.get("type")
    content = item.get("content")
    if len(item) == 2 and isinstance(content, str) and "role" in item and isinstance(item, dict):
        return item
    return {**item, "role": role, "content": content if isinstance(content, list) else text_of(content)}
