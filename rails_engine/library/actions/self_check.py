"""Self checks: the user's own model judges what goes in, what comes out, and whether it is true."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.library.actions.asking import Asker, Question
from rails_engine.library.actions.reading import spoken_variables
from rails_engine.llm import LLM, LLMRequest, Message, Sampling, complete, message_of
from rails_engine.prompts import LLMTaskManager

SAMPLES = 2
_VERDICT = "is_content_safe"


@action(is_system_action=True)
async def self_check_input(
    llm_task_manager: LLMTaskManager,
    config: RailsConfig,
    context: Mapping[str, Any],
    llm: Any = None,
    llms: Mapping[str, Any] | None = None,
    variant: str | None = None,
) -> RailOutcome:
    """Whether the user's message may pass. An answer that does not say so blocks."""
    asker = Asker(config, llm_task_manager, llm, llms or {})
    task = _task("self_check_input", variant or context.get("variant"))
    return await _checked(asker, Question(task, _variables(context, config), "self_check_input"))


@action(is_system_action=True)
async def self_check_output(
    llm_task_manager: LLMTaskManager,
    config: RailsConfig,
    context: Mapping[str, Any],
    llm: Any = None,
    llms: Mapping[str, Any] | None = None,
    variant: str | None = None,
) -> RailOutcome:
    """Whether the bot's message may pass. An answer that does not say so blocks."""
    asker = Asker(config, llm_task_manager, llm, llms or {})
    task = _task("self_check_output", variant or context.get("variant"))
    return await _checked(asker, Question(task, _variables(context, config), "self_check_output"))


def _task(base: str, variant: str | None) -> str:
    return f"{base} $variant={variant}" if variant and not variant.startswith("$") else base


def _variables(context: Mapping[str, Any], config: RailsConfig) -> dict[str, Any]:
    return {**spoken_variables(context, config), "bot_thinking": context.get("bot_thinking")}


async def _checked(asker: Asker, question: Question) -> RailOutcome:
    passes, *_ = await asker.verdict(question, _VERDICT)
    return RailOutcome.allow() if passes else RailOutcome.block()


@action(is_system_action=True)
async def self_check_facts(
    llm_task_manager: LLMTaskManager,
    config: RailsConfig,
    context: Mapping[str, Any],
    llm: Any = None,
    llms: Mapping[str, Any] | None = None,
) -> RailOutcome:
    """Whether the bot's message follows from the retrieved evidence; nothing follows from none."""
    evidence = context.get("relevant_chunks") or ""
    asker = Asker(config, llm_task_manager, llm, llms or {})
    variables = {
        **_variables(context, config),
        "evidence": evidence,
        "response": context.get("bot_message") or "",
    }
    question = Question("self_check_facts", variables, "self_check_facts")
    supported = await _says_yes(asker, question)
    accuracy = {"accuracy": 1.0 if supported else 0.0}
    return RailOutcome.allow(metadata=accuracy) if supported else RailOutcome.block(metadata=accuracy)


async def _says_yes(asker: Asker, question: Question) -> bool:
    """A prompt without an output parser of its own is answered by a word: `yes` alone means yes."""
    if asker.manager.has_output_parser(question.task):
        return bool((await asker.verdict(question, _VERDICT))[0])
    answer = (await asker.ask(question)).text
    return (
        answer.strip().split(maxsplit=1)[0].strip("\"'`*.,:;!").lower() == "yes" if answer.strip() else False
    )


@action(is_system_action=True)
async def self_check_hallucination(
    llm_task_manager: LLMTaskManager,
    config: RailsConfig,
    context: Mapping[str, Any],
    llm: Any = None,
    llms: Mapping[str, Any] | None = None,
) -> RailOutcome:
    """Whether the bot's message agrees with further answers to the same prompt, sampled at temperature 1.

    The method compares one answer with independently sampled ones, after Manakul et al., SelfCheckGPT (2023).
    """
    statement, prompt = context.get("bot_message"), context.get("_last_bot_prompt")
    if not statement or not prompt:
        return RailOutcome.allow(metadata={"is_hallucination": False})
    asker = Asker(config, llm_task_manager, llm, llms or {})
    samples = await _samples(asker.model(None), prompt)
    variables = {**_variables(context, config), "statement": statement, "paragraph": ". ".join(samples)}
    agrees = await _says_yes(
        asker, Question("self_check_hallucination", variables, "self_check_hallucination")
    )
    found = {"is_hallucination": not agrees}
    return RailOutcome.allow(metadata=found) if agrees else RailOutcome.block(metadata=found)


async def _samples(model: LLM, prompt: str | Sequence[Mapping[str, Any]]) -> list[str]:
    text = prompt if isinstance(prompt, str) else None
    messages: tuple[Message, ...] = (
        () if isinstance(prompt, str) else tuple(message_of(item) for item in prompt)
    )
    request = LLMRequest(
        prompt=text,
        messages=messages,
        sampling=Sampling(temperature=1.0),
        task="self_check_hallucination",
    )
    answers = await asyncio.gather(*(complete(model, request) for _ in range(SAMPLES)))
    return [answer.text.strip().strip('"') for answer in answers]
