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

    models: list[Model] = Field(
        default_factory=list,
        description="The models, each with the task or rail that it serves; `[]` is an offline configuration.",
    )
    user_messages: dict[str, list[str]] = Field(
        default_factory=dict, description="Examples of user intents, as Colang 1.0 defines them, by intent."
    )
    bot_messages: dict[str, list[str]] = Field(
        default_factory=dict, description="Texts of bot messages, as Colang 1.0 defines them, by message."
    )
    flows: list[Any] = Field(default_factory=list, description="Flows of Colang 1.0 written as YAML.")
    instructions: list[Instruction] | None = Field(
        default_factory=default_instructions,
        description="What the model is told about its part; the first of type `general` is used.",
    )
    docs: list[Document] | None = Field(default=None, description="Documents besides those of `kb/`.")
    actions_server_url: str | None = Field(
        default=None, description="Where actions run that are not marked as the system's."
    )
    sample_conversation: str | None = Field(
        default=None, description="A conversation that shows the model how to talk."
    )
    prompts: list[TaskPrompt] | None = Field(
        default=None, description="Prompts in place of the built-in ones."
    )
    prompting_mode: str | None = Field(
        default="standard",
        description="The mode of prompts that is asked for; one of another mode is not used.",
    )
    config_path: str | None = Field(
        default=None, description="Set at load: where the configuration came from."
    )
    import_paths: list[str] | None = Field(
        default_factory=list, description="Folders or Colang modules to load as well."
    )
    imported_paths: dict[str, str] | None = Field(
        default_factory=dict, description="Set at load: the folder that each import path led to."
    )
    lowest_temperature: float | None = Field(
        default=0.001, ge=0, description="The temperature of calls that should always give the same."
    )
    enable_multi_step_generation: bool | None = Field(
        default=False, description="Let the model write flows of several steps (Colang 1.0)."
    )
    colang_version: str = Field(default="1.0", description="The dialect: `1.0` or `2.x`.")
    custom_data: dict[str, Any] = Field(
        default_factory=dict, description="Yours to use; unknown keys of the top level come here."
    )
    knowledge_base: KnowledgeBaseConfig = Field(
        default_factory=KnowledgeBaseConfig, description="How the documents are divided and searched."
    )
    core: CoreConfig = Field(
        default_factory=CoreConfig, description="How user messages are matched with intents."
    )
    rails: Rails = Field(default_factory=Rails, description="The rails, and how they run.")
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description="How much one call may bring.")
    streaming: bool = Field(default=False, description="Has no effect; every configuration can stream.")
    enable_rails_exceptions: bool = Field(
        default=False, description="Give a rail's exception event in place of its refusal."
    )
    passthrough: bool | None = Field(
        default=None, description="Send the user's prompt to the model as it is (Colang 1.0)."
    )
    event_source_uid: str = Field(
        default="NeMoGuardrails-Colang-2.x", description="The source that events of Colang 2.x name."
    )
    tracing: TracingConfig = Field(default_factory=TracingConfig, description="Traces of turns.")
    metrics: MetricsConfig = Field(default_factory=MetricsConfig, description="Counts of turns.")
    raw_llm_call_action: str | None = Field(default="raw llm call", description="Has no effect.")

    @field_validator("colang_version", mode="before")
    @classmethod
    def _unquoted_version(cls, value: Any) -> Any:
        """`colang_version: 1.0` without quotes is a number in YAML, and means the same."""
        return str(value) if isinstance(value, int | float) else value

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
