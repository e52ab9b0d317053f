"""Engine names, as configurations write them, to embedders.

| engine | runs |
|---|---|
| (none), `built-in` | the shipped static vectors: no network, no model |
| `local` | a sentence encoder in a folder, by our own torch code or by ONNX Runtime |
| `FastEmbed`, `SentenceTransformers` | those packages |
| `openai`, `nim`, `nvidia_ai_endpoints`, `AzureOpenAI` | an OpenAI-compatible endpoint |
| `cohere`, `google` | those services |

Case, `-`, `_` and blanks do not matter. Any other name with a `base_url` is an OpenAI-compatible endpoint too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias

from rails_engine.retrieval.base import Embedder, EmbeddingKind
from rails_engine.retrieval.embedding.encoder import EncoderSettings, LocalEncoder
from rails_engine.retrieval.embedding.endpoint import Endpoint, EndpointEmbedder, nvidia_base_url
from rails_engine.retrieval.embedding.packages import fastembed, sentence_transformers
from rails_engine.retrieval.embedding.services import cohere, google
from rails_engine.retrieval.embedding.static import StaticEmbedder
from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.rest import key_from
from rails_engine.spelling import nearest

Parameters: TypeAlias = Mapping[str, Any]
MakeEmbedder: TypeAlias = Callable[[str, Parameters], Embedder]

_ALIASES = {"max_retries": "retries", "timeout": "timeout_s", "default_headers": "headers"}
_ENDPOINT_FIELDS = {field.name for field in fields(Endpoint)} - {"model", "extra", "azure_version"}


def embedder_for(engine: str | None, model: str | None, parameters: Parameters) -> Embedder:
    """The embedder that a configuration names.

    Raises:
        EmbeddingConfigError: the engine is unknown, or lacks what it needs.
    """
    if not engine:
        return StaticEmbedder()
    name = plain_name(engine)
    make = _ENGINES.get(name)
    if make is None and parameters.get("base_url"):
        make = _openai
    if make is None:
        raise EmbeddingConfigError(_unknown(engine))
    if not model and name not in _NAMELESS:
        raise EmbeddingConfigError(f"the embedding engine {engine!r} needs a model (`model: NAME`)")
    return make(model or "", parameters)


def plain_name(engine: str) -> str:
    """An engine's name without case, dashes, underscores and blanks."""
    return "".join(letter for letter in engine.lower() if letter.isalnum())


def is_built_in(engine: str | None) -> bool:
    """Whether this is the shipped embedder."""
    return not engine or plain_name(engine) in _NAMELESS


def _openai(model: str, parameters: Parameters) -> Embedder:
    return EndpointEmbedder(_endpoint(model, parameters))


def _nvidia(model: str, parameters: Parameters) -> Embedder:
    given: dict[str, Any] = {
        "key_variable": "NVIDIA_API_KEY",
        "asymmetric": True,
        "truncate": "END",
        **parameters,
    }
    given["base_url"] = nvidia_base_url(given.get("base_url"))
    return EndpointEmbedder(_endpoint(model, given))


def _azure(model: str, parameters: Parameters) -> Embedder:
    given: dict[str, Any] = {"key_variable": "AZURE_OPENAI_API_KEY", **parameters}
    resource = (
        given.pop("azure_endpoint", None)
        or given.pop("base_url", None)
        or os.environ.get("AZURE_OPENAI_ENDPOINT")
    )
    version = given.pop("api_version", None) or os.environ.get("AZURE_OPENAI_API_VERSION") or "2024-10-21"
    deployment = given.pop("azure_deployment", None) or model
    if not resource:
        raise EmbeddingConfigError(
            f"the Azure embedding model {model!r} needs its resource: parameters.azure_endpoint or AZURE_OPENAI_ENDPOINT"
        )
    return EndpointEmbedder(_endpoint(deployment, given | {"base_url": resource}, version))


def _endpoint(model: str, parameters: Parameters, azure_version: str | None = None) -> Endpoint:
    """Known parameters become fields, the rest is sent along with each request."""
    renamed = {_ALIASES.get(key, key): value for key, value in parameters.items()}
    if "input_type" in renamed:  # the kind of each text decides, whatever the configuration fixes it to
        renamed["asymmetric"] = bool(renamed.pop("input_type"))
    known = {key: value for key, value in renamed.items() if key in _ENDPOINT_FIELDS and value is not None}
    extra = {key: value for key, value in renamed.items() if key not in _ENDPOINT_FIELDS}
    return Endpoint(model, azure_version=azure_version, extra=extra, **known)


def _cohere(model: str, parameters: Parameters) -> Embedder:
    key = key_from("cohere", parameters.get("api_key"), "COHERE_API_KEY", "CO_API_KEY")
    return cohere(model, key, parameters.get("base_url"), _patience(parameters))


def _google(model: str, parameters: Parameters) -> Embedder:
    key = key_from("google", parameters.get("api_key"), "GOOGLE_API_KEY", "GEMINI_API_KEY")
    return google(model, key, parameters.get("base_url"), _patience(parameters))


def _patience(parameters: Parameters) -> dict[str, Any]:
    renamed = {_ALIASES.get(key, key): value for key, value in parameters.items()}
    return {key: renamed[key] for key in ("timeout_s", "retries") if key in renamed}


def _local(model: str, parameters: Parameters) -> Embedder:
    known = {"device", "max_tokens", "query_prompt", "passage_prompt", "runtime"}
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise EmbeddingConfigError(
            f"`engine: local` has no parameter {unknown[0]!r}; it has {', '.join(sorted(known))}"
        )
    folder = Path(model).expanduser()
    if not folder.is_dir():
        raise EmbeddingConfigError(
            f"`engine: local` wants the folder of a model, and {model!r} is none. Nothing is downloaded: fetch the model "
            "first, or leave the engine out to use the built-in offline embedder"
        )
    prompts = {
        kind: str(parameters[f"{kind.value}_prompt"])
        for kind in EmbeddingKind
        if f"{kind.value}_prompt" in parameters
    }
    device = parameters.get("device", "auto")
    if device not in ("auto", "cpu", "cuda"):
        raise EmbeddingConfigError(f"`engine: local` runs on device auto, cpu or cuda, not {device!r}")
    runtime = parameters.get("runtime", "auto")
    if runtime not in ("auto", "torch", "onnx"):
        raise EmbeddingConfigError(f"`engine: local` is run by runtime auto, torch or onnx, not {runtime!r}")
    return LocalEncoder(EncoderSettings(folder, device, parameters.get("max_tokens"), prompts, runtime))


def _built_in(_model: str, _parameters: Parameters) -> Embedder:
    return StaticEmbedder()


_NAMELESS = frozenset({"builtin", "static", "default"})
_ENGINES: Mapping[str, MakeEmbedder] = {
    **dict.fromkeys(_NAMELESS, _built_in),
    "local": _local,
    "fastembed": fastembed,
    "sentencetransformers": sentence_transformers,
    "openai": _openai,
    "nim": _nvidia,
    "nvidia": _nvidia,
    "nvidiaaiendpoints": _nvidia,
    "azure": _azure,
    "azureopenai": _azure,
    "cohere": _cohere,
    "google": _google,
}


def _unknown(engine: str) -> str:
    near = nearest(plain_name(engine), _ENGINES)
    hint = f"; did you mean {near!r}?" if near else "."
    return (
        f"there is no embedding engine {engine!r}{hint} Known ones are {', '.join(sorted(_ENGINES))}; register another with "
        "register_embedding_provider, or give parameters.base_url for an OpenAI-compatible endpoint"
    )
