"""`models`: which language and embedding models there are, and how they are reached."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from rails_engine.config.schema.base import Section

_NAME_PARAMETERS = ("model", "model_name")


class CacheStatsConfig(Section):
    enabled: bool = False
    log_interval: float | None = Field(
        default=None, description="Seconds between log lines; None writes none."
    )


class ModelCacheConfig(Section):
    """Results of a guard model kept by prompt."""

    enabled: bool = False
    maxsize: int = Field(default=50_000, gt=0, description="Entries.")
    ttl_s: float | None = Field(default=None, gt=0, description="Seconds an entry lives; None is forever.")
    stats: CacheStatsConfig = Field(default_factory=CacheStatsConfig)


class Model(Section):
    """One model. `type` is `main`, `embeddings`, or the name of the task or rail that uses it."""

    type: str
    engine: str
    model: str | None = None
    api_key_env_var: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    mode: Literal["chat", "text"] = "chat"
    cache: ModelCacheConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_once(cls, data: Any) -> Any:
        """Move a name out of `parameters`: it stands in exactly one place."""
        if not isinstance(data, dict):
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
