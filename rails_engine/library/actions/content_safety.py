"""Content safety by a guard model: NemoGuard, Nemotron, Llama Guard or any model with a prompt and a parser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.content_parts import is_image, media_of, text_in
from rails_engine.library.actions.asking import Asker, Question
from rails_engine.library.actions.languages import language_of, refusal_in
from rails_engine.library.actions.reading import answer_variables, asked_variables, told
from rails_engine.prompts import LLMTaskManager

COLDEST = 1e-20
"""As good as greedy, for servers that refuse a temperature of 0."""


@action(is_system_action=True)
async def content_safety_check_input(
    llms: Mapping[str, Any],
    llm_task_manager: LLMTaskManager,
    model_name: str | None = None,
    context: Mapping[str, Any] | None = None,
    config: RailsConfig | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the guard model finds the user's message safe; `policy_violations` has what it finds.

    It is shown images where its prompt has a message that is `{{ user_input }}` and nothing else.
    """
    context, config = told(context, given), config or llm_task_manager.config
    kind = model_name or context.get("model")
    asker = Asker(config, llm_task_manager, None, llms)
    content = context.get("user_message")
    sees = kind and asker.sees_images(f"content_safety_check_input $model={kind}")
    if sees and all(is_image(part) for part in media_of(content)):
        return await _judged(asker, "content_safety_check_input", {**context, "user_input": content}, kind)
    return await _judged(asker, "content_safety_check_input", asked_variables(context, config), kind)


@action(is_system_action=True)
async def content_safety_check_output(
    llms: Mapping[str, Any],
    llm_task_manager: LLMTaskManager,
    model_name: str | None = None,
    context: Mapping[str, Any] | None = None,
    config: RailsConfig | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the guard model finds the bot's message safe; `policy_violations` has what it finds."""
    context, config = told(context, given), config or llm_task_manager.config
    asker = Asker(config, llm_task_manager, None, llms)
    kind = model_name or context.get("model")
    return await _judged(asker, "content_safety_check_output", answer_variables(context), kind)


async def _judged(asker: Asker, base: str, variables: Mapping[str, Any], kind: str | None) -> RailOutcome:
    if not kind:
        raise ValueError(f"{base} needs the type of its model: write `$model=TYPE` after the rail's name")
    question = Question(f"{base} $model={kind}", variables, kind, temperature=COLDEST)
    judged = await asker.judge(question, asker.named_model(kind))
    refusal = {} if judged.passes else _refusal(asker.config, variables)
    return judged.outcome({"policy_violations": list(judged.violations), **refusal})


def _refusal(config: RailsConfig, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The refusal in the user's language, where the configuration wants that."""
    options = config.rails.config.content_safety
    if options is None or not options.multilingual.enabled:
        return {}
    language = language_of(text_in(variables.get("user_input")))
    return {
        "language": language,
        "refusal": refusal_in(language, options.multilingual.refusal_messages or {}),
    }


@action(is_system_action=True)
async def detect_language(
    context: Mapping[str, Any] | None = None, config: RailsConfig | None = None
) -> dict[str, str]:
    """The language of the user's message, and the refusal in it."""
    language = language_of(str((context or {}).get("user_message") or ""))
    options = config.rails.config.content_safety if config else None
    own = (options.multilingual.refusal_messages if options else None) or {}
    return {"language": language, "refusal_message": refusal_in(language, own)}
