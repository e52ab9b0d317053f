"""Llama Guard: a model of type `llama_guard` answers `safe`, or `unsafe` with the categories that are violated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.library.actions.asking import Asker, Question
from rails_engine.library.actions.reading import spoken_variables
from rails_engine.prompts import LLMTaskManager

KIND = "llama_guard"


@action(is_system_action=True)
async def llama_guard_check_input(
    llm_task_manager: LLMTaskManager,
    config: RailsConfig,
    context: Mapping[str, Any],
    llms: Mapping[str, Any],
    model_name: str = KIND,
) -> RailOutcome:
    """Whether Llama Guard finds the user's message safe."""
    variables = spoken_variables(context, config)
    asker = Asker(config, llm_task_manager, None, llms)
    return await _judged(asker, Question("llama_guard_check_input", variables, model_name, 0.0, None))


@action(is_system_action=True)
async def llama_guard_check_output(
    llm_task_manager: LLMTaskManager,
    config: RailsConfig,
    context: Mapping[str, Any],
    llms: Mapping[str, Any],
    model_name: str = KIND,
) -> RailOutcome:
    """Whether Llama Guard finds the bot's message safe."""
    variables = spoken_variables(context, config)
    asker = Asker(config, llm_task_manager, None, llms)
    return await _judged(asker, Question("llama_guard_check_output", variables, model_name, 0.0, None))


async def _judged(asker: Asker, question: Question) -> RailOutcome:
    completion = await asker.ask(question, asker.named_model(question.kind or KIND))
    safe, violations = parse_llama_guard(completion.text)
    metadata = {"policy_violations": violations}
    return RailOutcome.allow(metadata=metadata) if safe else RailOutcome.block(metadata=metadata)


def parse_llama_guard(answer: str) -> tuple[bool, list[str] | None]:
    """`safe` alone is safe; whatever follows `unsafe` are categories, in lower case as users know them."""
    words = answer.lower().split()
    if words == ["safe"]:
        return True, None
    return False, words[1:] if words[:1] == ["unsafe"] else []
