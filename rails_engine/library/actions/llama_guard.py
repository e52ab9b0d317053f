"""Llama Guard: a model of type `llama_guard` answers `safe`, or `unsafe` with the categories that are violated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.library.actions.asking import Asker, Judgement, Question
from rails_engine.library.actions.reading import answer_variables, asked_variables, told
from rails_engine.prompts import LLMTaskManager

KIND = "llama_guard"


@action(is_system_action=True)
async def llama_guard_check_input(
    llm_task_manager: LLMTaskManager,
    llms: Mapping[str, Any],
    model_name: str = KIND,
    context: Mapping[str, Any] | None = None,
    config: RailsConfig | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether Llama Guard finds the user's message safe."""
    config = config or llm_task_manager.config
    variables = asked_variables(told(context, given), config)
    asker = Asker(config, llm_task_manager, None, llms)
    return await _judged(asker, Question("llama_guard_check_input", variables, model_name, 0.0, None))


@action(is_system_action=True)
async def llama_guard_check_output(
    llm_task_manager: LLMTaskManager,
    llms: Mapping[str, Any],
    model_name: str = KIND,
    context: Mapping[str, Any] | None = None,
    config: RailsConfig | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether Llama Guard finds the bot's message safe."""
    variables = answer_variables(told(context, given))
    asker = Asker(config or llm_task_manager.config, llm_task_manager, None, llms)
    return await _judged(asker, Question("llama_guard_check_output", variables, model_name, 0.0, None))


async def _judged(asker: Asker, question: Question) -> RailOutcome:
    completion = await asker.ask(question, asker.named_model(question.kind or KIND))
    judged = parse_llama_guard(completion.text)
    return judged.outcome({"policy_violations": None if judged.passes else list(judged.violations)})


def parse_llama_guard(answer: str) -> Judgement:
    """`safe` alone is safe; whatever follows `unsafe` are categories, in lower case as users know them."""
    words = answer.lower().split()
    if words[:1] == ["unsafe"]:
        return Judgement(False, tuple(words[1:]), answer)
    return Judgement(True if words == ["safe"] else None, (), answer)
