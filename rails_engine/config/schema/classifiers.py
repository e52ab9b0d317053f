"""`rails.config.hf_classifier`: named classifiers, run here or behind an endpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from rails_engine.config.schema.base import Section


class _Classifier(Section):
    model: str = Field(min_length=1)
    threshold: float = Field(default=0.5, ge=0, le=1)
    blocked_labels: list[str] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)


class LocalHFClassifierConfig(_Classifier):
    """A classifier that runs in this process."""

    engine: Literal["local"] = "local"
    task: Literal["text-classification", "token-classification"] = "text-classification"


class RemoteHFClassifierConfig(_Classifier):
    """A classifier behind an endpoint."""

    engine: Literal["vllm", "kserve", "fms"]
    base_url: str
    api_key_env_var: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


def _kind(value: Any) -> str:
    engine = value.get("engine", "local") if isinstance(value, dict) else getattr(value, "engine", "local")
    return "local" if engine == "local" else "remote"


HFClassifierConfig: TypeAlias = Annotated[
    Annotated[LocalHFClassifierConfig, Tag("local")] | Annotated[RemoteHFClassifierConfig, Tag("remote")],
    Discriminator(_kind),
]
