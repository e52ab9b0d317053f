"""The top level of `config.yml`."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from rails_engine.config.schema.base import Section
from rails_engine.config.schema.defaults import default_instructions, default_sample
from rails_engine.config.schema.limits import LimitsConfig
from rails_engine.config.schema.models import Model
from rails_engine.config.schema.prompts import Instruction, TaskPrompt
from rails_engine.config.schema.rails import Rails
from rails_engine.config.schema.retrieval import CoreConfig, Document, KnowledgeBaseConfig
from rails_engine.config.schema.telemetry import MetricsConfig, TracingConfig


class ConfigData(Section):
    """Every key of `config.yml`. A model left out (`models: []`) makes an offline configuration."""

    models: list[Model] = Field(default_factory=list)
    user_messages: dict[str, list[str]] = Field(default_factory=dict)
    bot_messages: dict[str, list[str]] = Field(default_factory=dict)
    flows: list[Any] = Field(default_factory=list)
    instructions: list[Instruction] | None = Field(default_factory=default_instructions)
    docs: list[Document] | None = None
    actions_server_url: str | None = None
    sample_conversation: str | None = None
    prompts: list[TaskPrompt] | None = None
    prompting_mode: str | None = "standard"
    config_path: str | None = None
    import_paths: list[str] | None = Field(default_factory=list)
    imported_paths: dict[str, str] | None = Field(default_factory=dict)
    lowest_temperature: float | None = Field(default=0.001, ge=0)
    enable_multi_step_generation: bool | None = False
    colang_version: str = "1.0"
    custom_data: dict[str, Any] = Field(default_factory=dict)
    knowledge_base: KnowledgeBaseConfig = Field(default_factory=KnowledgeBaseConfig)
    core: CoreConfig = Field(default_factory=CoreConfig)
    rails: Rails = Field(default_factory=Rails)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    streaming: bool = Field(default=False, description="Has no effect; every configuration can stream.")
    enable_rails_exceptions: bool = False
    passthrough: bool | None = None
    event_source_uid: str = "NeMoGuardrails-Colang-2.x"
    tracing: TracingConfig = Field(default_factory=TracingConfig)
    metrics: MetricsConfig = Field(default_factory=MetricsConfig)
    raw_llm_call_action: str | None = "raw llm call"

    @field_validator("colang_version", mode="before")
    @classmethod
    def _unquoted_version(cls, value: Any) -> Any:
        """`colang_version: 1.0` without quotes is a number in YAML, and means the same."""
        return str(value) if isinstance(value, float) else value

    @field_validator("models", "flows", "docs", "import_paths", mode="before")
    @classmethod
    def _empty_list(cls, value: Any) -> Any:
        """A key with nothing after it is an empty list."""
        return [] if value is None else value

    @model_validator(mode="after")
    def _sample_of_the_dialect(self) -> Self:
        if self.sample_conversation is None:
            self.sample_conversation = default_sample(self.colang_version)
        return self

    def explicit(self) -> dict[str, Any]:
        """What differs from the defaults or was given although it does not, as plain data."""
        given = self.model_dump(exclude_unset=True)
        changed = self.model_dump(exclude_defaults=True)
        data = _overlay(given, changed)
        if data.get("sample_conversation") == default_sample(self.colang_version):
            del data["sample_conversation"]
        return data


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        nested = isinstance(old, dict) and isinstance(value, dict)
        result[key] = _overlay(old or {}, value) if nested else value
    return result
