"""`models`: which language and embedding models there are, and how they are reached."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from rails_engine.config.schema.base import Section

_NAME_PARAMETERS = ("model", "model_name")


class CacheStatsConfig(Section):
    """What a cache tells of itself."""

    enabled: bool = Field(default=False, description="Whether hits and misses are counted.")
    log_interval: float | None = Field(
        default=None, description="Seconds between log lines; None writes none."
    )


class ModelCacheConfig(Section):
    """Results of a guard model kept by prompt."""

    enabled: bool = Field(default=False, description="Whether results are kept.")
    maxsize: int = Field(default=50_000, gt=0, description="Entries.")
    ttl_s: float | None = Field(default=None, gt=0, description="Seconds an entry lives; None is forever.")
    stats: CacheStatsConfig = Field(
        default_factory=CacheStatsConfig, description="Counts of hits and misses."
    )


class Model(Section):
    """One model. `type` is `main`, `embeddings`, or the name of the task or rail that uses it."""

    type: str = Field(description="`main`, `embeddings`, or the task or rail that the model serves.")
    engine: str = Field(description="Who runs it, such as `openai`, `nim`, `ollama`, `vllm`, `local`.")
    model: str | None = Field(
        default=None, description="Its name at the engine; for `local` the folder of its checkpoint."
    )
    api_key_env_var: str | None = Field(
        default=None, description="The environment variable that holds the key."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the client, and of every request."
    )
    mode: Literal["chat", "text"] = Field(default="chat", description="Whether it takes messages or a text.")
    cache: ModelCacheConfig | None = Field(default=None, description="Keep results of a guard model.")

    @model_validator(mode="before")
    @classmethod
    def _name_once(cls, data: Any) -> Any:
        """Move a name out of `parameters`: it stands in exactly one place."""
        if not isinstance(data, dict):
            return data
        if not isinstance(data.get("parameters") or {}, dict) or not isinstance(
            data.get("model"), str | None
        ):
            return data
        parameters = dict(data.get("parameters") or {})
        names = [data.get("model"), *(parameters.pop(key, None) for key in _NAME_PARAMETERS)]
        given = [name for name in names if isinstance(name, str) and name.strip()]
        if len(given) != 1:
            found = "none is" if not given else f"found {' and '.join(repr(name) for name in given)}"
            raise ValueError(
                "name the model in exactly one place: `model`, `parameters.model` or `parameters.model_name` "
                f"({found} given)"
            )
        return {**data, "model": given[0], "parameters": parameters}
