"""Opens a bundled configuration with scripted models in place of its remote ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from app.bundled import bundled_folder
from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.llm import LLMRequest, ScriptedLLM, register_provider, text_of

REFUSAL = "I'm sorry, I can't respond to that."


def answering(rules: Mapping[str, Any], default: Any = "fine") -> ScriptedLLM:
    """A model that gives the reply of the first pattern found in its prompt."""

    def answer(request: LLMRequest) -> Any:
        prompt = request.prompt or "\n".join(text_of(message) for message in request.messages)
        return next((reply for pattern, reply in rules.items() if re.search(pattern, prompt)), default)

    return ScriptedLLM(answer)


def _always(model: ScriptedLLM) -> Callable[..., ScriptedLLM]:
    def make(**_: Any) -> ScriptedLLM:
        return model

    return make


def open_config(name: str, models: Mapping[str, ScriptedLLM]) -> LLMRails:
    """The configuration with the models of these types replaced; it must load without a warning."""
    config, problems = RailsConfig.inspect(bundled_folder() / name)
    assert problems == []
    assert config
    for entry in (model for model in config.models if model.type in models):
        entry.engine = f"scripted_{name}_{entry.type}"
        register_provider(entry.engine, _always(models[entry.type]))
    loaded = RailsConfig.from_path(bundled_folder() / name)
    loaded.models = config.models
    return LLMRails(loaded)


async def said(rails: LLMRails, text: str) -> str:
    answer = await rails.generate_async(messages=[{"role": "user", "content": text}])
    return str(answer["content"])
