"""Self checks: the user's own model judges what goes in, what comes out, and whether it is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.content_parts import text_in
from rails_engine.library.actions.asking import Asker, Question
from rails_engine.library.actions.reading import answer_variables, asked_variables, told
from rails_engine.llm import LLMRequest, Message, Sampling, message_of, samples
from rails_engine.prompts import LLMTaskManager

SAMPLES = 2


@action(is_system_action=True)
async def self_check_input(
    llm_task_manager: LLMTaskManager,
    context: Mapping[str, Any] | None = None,
    llm: Any = None,
    config: RailsConfig | None = None,
    llms: Mapping[str, Any] | None = None,
    variant: str | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the user's message may pass. An answer that does not say so blocks."""
    asker = Asker(config or llm_task_manager.config, llm_task_manager, llm, llms or {})
    return await _checked(asker, "self_check_input", told(context, given), variant)


@action(is_system_action=True)
async def self_check_output(
    llm_task_manager: LLMTaskManager,
    context: Mapping[str, Any] | None = None,
    llm: Any = None,
    config: RailsConfig | None = None,
    llms: Mapping[str, Any] | None = None,
    variant: str | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the bot's message may pass. An answer that does not say so blocks."""
    asker = Asker(config or llm_task_manager.config, llm_task_manager, llm, llms or {})
    return await _checked(asker, "self_check_output", told(context, given), variant)


async def _checked(asker: Asker, base: str, context: Mapping[str, Any], variant: str | None) -> RailOutcome:
    chosen = variant or context.get("variant")
    task = f"{base} $variant={chosen}" if chosen and not chosen.startswith("$") else base
    return (await asker.judge(_question(asker, base, context, task=task))).outcome()


def _question(
    asker: Asker, base: str, context: Mapping[str, Any], more: Mapping[str, Any] | None = None, task: str = ""
) -> Question:
    """A prompt of the task, for the model whose type is the task's name."""
    judges_input = base == "self_check_input"
    variables = asked_variables(context, asker.config) if judges_input else answer_variables(context)
    thinking = {"bot_thinking": context.get("bot_thinking")}
    return Question(task or base, {**variables, **thinking, **(more or {})}, base)


@action(is_system_action=True)
async def self_check_facts(
    llm_task_manager: LLMTaskManager,
    context: Mapping[str, Any] | None = None,
    llm: Any = None,
    config: RailsConfig | None = None,
    llms: Mapping[str, Any] | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the bot's message follows from the retrieved evidence; nothing follows from none."""
    context = told(context, given)
    asker = Asker(config or llm_task_manager.config, llm_task_manager, llm, llms or {})
    texts = {"evidence": context.get("relevant_chunks") or "", "response": context.get("bot_message") or ""}
    judged = await asker.agrees(_question(asker, "self_check_facts", context, texts))
    return judged.outcome({"accuracy": 1.0 if judged.passes else 0.0})


@action(is_system_action=True)
async def self_check_hallucination(
    llm_task_manager: LLMTaskManager,
    context: Mapping[str, Any] | None = None,
    llm: Any = None,
    config: RailsConfig | None = None,
    llms: Mapping[str, Any] | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the bot's message agrees with further answers to the same prompt, sampled at temperature 1.

    Where the prompt is not known, the user's message is asked instead. The method compares one answer with
    independently sampled ones, after Manakul et al., SelfCheckGPT (2023).
    """
    context = told(context, given)
    statement = context.get("bot_message")
    prompt = context.get("_last_bot_prompt") or text_in(context.get("user_message"))
    if not statement or not prompt:
        return RailOutcome.allow(metadata={"is_hallucination": False})
    asker = Asker(config or llm_task_manager.config, llm_task_manager, llm, llms or {})
    others = await samples(asker.model(None), _again(prompt), SAMPLES)
    texts = {"statement": statement, "paragraph": ". ".join(text.strip().strip('"') for text in others)}
    judged = await asker.agrees(
        replace(_question(asker, "self_check_hallucination", context, texts), max_tokens=None)
    )
    return judged.outcome({"is_hallucination": not judged.passes})


def _again(prompt: str | Sequence[Mapping[str, Any]]) -> LLMRequest:
    """A request for further answers to a prompt that has been answered already."""
    text = prompt if isinstance(prompt, str) else None
    messages: tuple[Message, ...] = (
        () if isinstance(prompt, str) else tuple(message_of(item) for item in prompt)
    )
    return LLMRequest(
        prompt=text,
        messages=messages,
        sampling=Sampling(temperature=1.0),
        task="self_check_hallucination",
    )
