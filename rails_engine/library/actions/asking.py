"""How a rail's action puts its question to a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rails_engine.actions import RailOutcome
from rails_engine.config import RailsConfig
from rails_engine.errors import ConfigurationError
from rails_engine.llm import LLM, Completion, LLMRequest, Message, Sampling, as_llm, complete
from rails_engine.prompts import LLMTaskManager, NoVerdict

_THOUGHT, _THOUGHT_ENDS = "<think>", "</think>"
MAX_TOKENS = 1024
"""The bound on an answer where its prompt sets none."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt task for one model. `kind` is the `type` of the model; the main model serves where there is none."""

    task: str
    variables: Mapping[str, Any]
    kind: str | None = None
    temperature: float | None = None
    max_tokens: int | None = MAX_TOKENS
    conversation: tuple[Message, ...] = ()
    system_suffix: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model made of a text: `passes` is None where its `answer` says neither."""

    passes: bool | None
    violations: tuple[Any, ...] = ()
    answer: str = ""

    def outcome(self, metadata: Mapping[str, Any] | None = None) -> RailOutcome:
        """The rail's verdict; an answer that says neither is a failure of the rail, which blocks."""
        if self.passes is None:
            return RailOutcome.failure(reason=f"no verdict in {self.answer[:100]!r}", metadata=metadata)
        return RailOutcome.allow(metadata=metadata) if self.passes else RailOutcome.block(metadata=metadata)


_AS_IT_IS = re.compile(r"\s*\{\{-?\s*user_input\s*-?\}\}\s*")
_WORDS: Mapping[str, bool] = {"yes": True, "no": False}


def bare(text: str) -> str:
    """A text in lower case, without the blanks and marks around it."""
    return text.strip().strip("\"'`*.,:;!").lower()


def yes_or_no(text: str) -> bool | None:
    """What an answer says that begins with `yes` or `no`; None where it begins otherwise, or says both at once."""
    said = [_WORDS.get(bare(word)) for word in text.split(maxsplit=2)[:2]]
    return said[0] if said and said[0] is not None and said[1:] != [not said[0]] else None


@dataclass(frozen=True, slots=True)
class Asker:
    """What an action was handed to ask with."""

    config: RailsConfig
    manager: LLMTaskManager
    llm: Any = None
    llms: Mapping[str, Any] = field(default_factory=dict)

    def model(self, kind: str | None) -> LLM:
        """The model of type `kind`, else the main one.

        Raises:
            ConfigurationError: there is neither.
        """
        found = self.llms.get(kind) if kind else None
        found = found or self.llm or self.llms.get("main")
        if found is None:
            raise ConfigurationError(f"this rail needs a model of type `{kind or 'main'}`; `models` has none")
        return as_llm(found)

    def named_model(self, kind: str) -> LLM:
        """The model of type `kind` and no other.

        Raises:
            ConfigurationError: there is none.
        """
        if kind not in self.llms:
            known = ", ".join(sorted(self.llms)) or "none"
            raise ConfigurationError(f"this rail needs a model of type `{kind}`; types given: {known}")
        return as_llm(self.llms[kind])

    def sees_images(self, task: str) -> bool:
        """Whether the prompt of a task gives its model the user's message as it is, with its images."""
        return self.manager.library.has(task) and any(
            _AS_IT_IS.fullmatch(item if isinstance(item, str) else item.content)
            for item in self.manager.library.get(task).messages or ()
        )

    async def ask(self, question: Question, model: LLM | None = None) -> Completion:
        """The model's answer to the filled-in prompt of the task.

        Raises:
            PromptError, ConfigurationError: there is no such prompt or model.
            LLMClientError: the model failed.
            ValueError: the answer was cut off while the model thought.
        """
        rendered = self.manager.library.render(question.task, question.variables)
        temperature = question.temperature
        sampling = Sampling(
            temperature=self.config.lowest_temperature if temperature is None else temperature,
            max_tokens=rendered.max_tokens or question.max_tokens,
            stop=rendered.stop,
        )
        request = LLMRequest(
            prompt=rendered.prompt, messages=rendered.messages, sampling=sampling, task=question.task
        )
        if question.conversation:
            request = _in_conversation(request, question)
        answer = await complete(model or self.model(question.kind), request)
        if answer.text.lstrip().startswith(_THOUGHT) and _THOUGHT_ENDS not in answer.text:
            # What it has considered so far may well read like a verdict.
            raise ValueError(f"the answer to `{question.task}` ends within the model's thoughts")
        return answer

    async def judge(self, question: Question, model: LLM | None = None) -> Judgement:
        """The answer through the prompt's output parser; without one it is read as `safe` or `unsafe` in words.

        Raises:
            ValueError: the parser refuses the answer, or gives something else.
            PromptError, ConfigurationError, LLMClientError: as `ask`.
        """
        completion = await self.ask(question, model)
        parsed = self.manager.library.parse(question.task, completion.text, "is_content_safe")
        safe, *violations = parsed if isinstance(parsed, list | tuple) and parsed else [parsed]
        if not isinstance(safe, bool):
            raise ValueError(f"the output parser of `{question.task}` gave no verdict: {parsed!r}")  # noqa: TRY004 -- as any answer without one
        return Judgement(None if isinstance(parsed, NoVerdict) else safe, tuple(violations), completion.text)

    async def agrees(self, question: Question) -> Judgement:
        """The answer to a question of yes or no; a prompt with an output parser of its own is read by that.

        Raises:
            as `judge`.
        """
        if self.manager.has_output_parser(question.task):
            return await self.judge(question)
        answer = (await self.ask(question)).text
        return Judgement(yes_or_no(answer), (), answer)


def _in_conversation(request: LLMRequest, question: Question) -> LLMRequest:
    """The prompt as the system message in front of the conversation."""
    own = request.messages or (Message("system", request.prompt or ""),)
    first = own[0]
    text = first.content if isinstance(first.content, str) else ""
    head = replace(first, role="system", content=f"{text}{question.system_suffix}")
    return replace(request, prompt=None, messages=(head, *own[1:], *question.conversation))
