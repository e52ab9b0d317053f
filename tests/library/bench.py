"""The action of one built-in rail by itself, with models that answer from a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.actions import ActionRegistry, ActionRunner, RailOutcome
from rails_engine.config import RailsConfig
from rails_engine.library import register_library
from rails_engine.llm import ScriptedLLM, public_model
from rails_engine.prompts import LLMTaskManager, PromptLibrary

MODELS = """
models:
  - {type: main, engine: openai, model: gpt-4o-mini}
  - {type: guard, engine: nim, model: g-8b}
  - {type: llama_guard, engine: vllm, model: lg}
prompts:
  - {task: self_check_input, content: "IN {{ user_input }}"}
  - {task: self_check_input $variant=strict, content: "STRICT {{ user_input }}"}
  - {task: self_check_output, content: "OUT {{ user_input }} -> {{ bot_response }}"}
  - {task: self_check_facts, content: "E {{ evidence }} R {{ response }}"}
  - {task: self_check_hallucination, content: "S {{ statement }} P {{ paragraph }}"}
  - {task: content_safety_check_input $model=guard, content: "CS {{ user_input }}", output_parser: nemoguard_parse_prompt_safety, max_tokens: 50}
  - {task: content_safety_check_output $model=guard, content: "CS {{ bot_response }}", output_parser: nemoguard_parse_response_safety}
  - {task: topic_safety_check_input $model=guard, content: "TOPICS"}
  - {task: llama_guard_check_input, content: "LG {{ user_input }}"}
  - {task: llama_guard_check_output, content: "LG {{ bot_response }}"}
"""


class Bench:
    """One rail's action with models that answer from a script."""

    def __init__(self, *replies: Any, extra: str = "", kind: str = "main") -> None:
        self.config = RailsConfig.from_content(yaml_content=MODELS + extra)
        self.script = ScriptedLLM(replies)
        silent = public_model(ScriptedLLM([]))
        self.models = dict.fromkeys(("main", "guard", "llama_guard"), silent) | {
            kind: public_model(self.script)
        }
        self.registry = ActionRegistry()
        register_library(self.registry)

    async def run(self, name: str, context: Mapping[str, Any] | None = None, **given: Any) -> RailOutcome:
        injected = {
            "config": self.config,
            "llm": self.models["main"],
            "llms": self.models,
            "llm_task_manager": LLMTaskManager(self.config, PromptLibrary(self.config)),
            "context": {"user_message": "hello", "bot_message": "answer", **(context or {})},
            "events": [],
            **{key: given.pop(key) for key in ("http_client", "events") if key in given},
        }
        runner = ActionRunner(1)
        try:
            output = await runner.run(self.registry.require(name), given, injected)
        finally:
            runner.close()
        assert output.verdict is not None
        return output.verdict

    @property
    def prompts(self) -> list[str | None]:
        return [request.prompt for request in self.script.requests]
