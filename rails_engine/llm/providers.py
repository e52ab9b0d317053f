"""From an entry of `models` to an endpoint: addresses, keys, and which parameters are whose."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rails_engine.config import Model
from rails_engine.errors import InvalidModelConfigurationError
from rails_engine.llm.endpoint import Endpoint
from rails_engine.llm.registry import registry
from rails_engine.llm.retry import RetryPolicy
from rails_engine.spelling import nearest


@dataclass(frozen=True, slots=True)
class Provider:
    """What is known of an engine by its name."""

    base_url: str | None
    key_variables: tuple[str, ...] = ()
    url_variable: str | None = None


NVIDIA = Provider("https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",))
AZURE = Provider(None, ("AZURE_OPENAI_API_KEY",))
PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider("https://api.openai.com/v1", ("OPENAI_API_KEY",), "OPENAI_BASE_URL"),
    "nim": NVIDIA,
    "nvidia_ai_endpoints": NVIDIA,
    "azure": AZURE,
    "azure_openai": AZURE,
    "ollama": Provider("http://localhost:11434/v1"),
    "vllm": Provider("http://localhost:8000/v1"),
}
AZURE_ENGINES = ("azure", "azure_openai")


_RENAMED = {
    "openai_api_key": "api_key",
    "nvidia_api_key": "api_key",
    "azure_openai_api_key": "api_key",
    "openai_api_base": "base_url",
    "nvidia_base_url": "base_url",
    "max_completion_length": "max_tokens",
}
_LANGCHAIN_ONLY = (
    "streaming",
    "verbose",
    "callbacks",
    "callback_manager",
    "cache",
    "metadata",
    "tags",
    "disable_streaming",
)
_AZURE_ONLY = ("azure_endpoint", "azure_deployment", "api_version", "azure_ad_token")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def get_provider_names() -> list[str]:
    """The engines that models may name: those with a known address, and those that were registered."""
    return sorted({*PROVIDERS, *registry.provider_names()})


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How an endpoint is called, as opposed to what is sent to it."""

    endpoint: Endpoint
    retry: RetryPolicy
    at_once: int | None = None
    through_sdk: bool = False


def client_options(model: Model) -> ClientOptions:
    """Read a `models` entry.

    Raises:
        InvalidModelConfigurationError: its engine is unknown and has no `base_url`, or a parameter is not for us.
    """
    parameters = {name: _expanded(value) for name, value in model.parameters.items()}
    _refuse_langchain(model, parameters)
    retries = parameters.pop("max_retries", None)
    attempts = parameters.pop("max_attempts", None)
    if retries is None:
        retries = RetryPolicy().max_retries if attempts is None else int(attempts) - 1
    at_once = parameters.pop("max_concurrency", None)
    through_sdk = parameters.pop("transport", "http") == "sdk"
    endpoint = _endpoint(model, parameters)
    return ClientOptions(endpoint, RetryPolicy(max_retries=max(0, int(retries))), at_once, through_sdk)


def _expanded(value: Any) -> Any:
    """`${NAME}` in a text stands for an environment variable; an unset one stands for nothing."""
    if not isinstance(value, str):
        return value
    return _REFERENCE.sub(lambda match: os.environ.get(match[1], ""), value)


def _refuse_langchain(model: Model, parameters: Mapping[str, Any]) -> None:
    azure = model.engine in AZURE_ENGINES
    advice = [f"rename `{name}` to `{_RENAMED[name]}`" for name in parameters if name in _RENAMED]
    advice += [f"remove `{name}`" for name in parameters if name in _LANGCHAIN_ONLY]
    advice += (
        ["write the content of `model_kwargs` into `parameters` itself"]
        if "model_kwargs" in parameters
        else []
    )
    advice += [f"rename `{n}` to `base_url`" for n in ("azure_endpoint",) if n in parameters and not azure]
    if advice:
        raise InvalidModelConfigurationError(
            f"models[{model.type}]: these parameters are LangChain's: {'; '.join(advice)}. To use LangChain itself, "
            "set NEMOGUARDRAILS_LLM_FRAMEWORK=langchain."
        )


def _endpoint(model: Model, parameters: dict[str, Any]) -> Endpoint:
    provider = PROVIDERS.get(model.engine, Provider(None))
    given_url = parameters.pop("base_url", None)
    azure = _azure(model, parameters) if model.engine in AZURE_ENGINES and not given_url else _Azure()
    from_variable = os.environ.get(provider.url_variable) if provider.url_variable else None
    base_url = given_url or azure.base_url or from_variable or provider.base_url
    if not base_url:
        raise InvalidModelConfigurationError(_no_address(model))
    token = parameters.pop("azure_ad_token", None)
    for name in _AZURE_ONLY:
        parameters.pop(name, None)
    timeout_s = float(parameters.pop("timeout", None) or parameters.pop("request_timeout", None) or 600)
    return Endpoint(
        provider=model.engine,
        model=model.model or "",
        base_url=str(base_url).rstrip("/"),
        api_key=token or _key(model, provider, parameters),
        key_variables=((model.api_key_env_var,) if model.api_key_env_var else provider.key_variables),
        key_required=bool(provider.key_variables) and not given_url and not from_variable,
        key_header="api-key" if model.engine in AZURE_ENGINES and not token else "Authorization",
        headers=_headers(parameters),
        query={**(parameters.pop("default_query", None) or {}), **azure.query},
        mode=model.mode,
        timeout_s=timeout_s,
        connect_timeout_s=float(parameters.pop("timeout_connect", 5)),
        verify_tls=bool(parameters.pop("verify_ssl", True)),
        defaults={**parameters.pop("extra_body", {}), **parameters},
    )


def _key(model: Model, provider: Provider, parameters: dict[str, Any]) -> str | None:
    given = parameters.pop("api_key", None)
    variables = (model.api_key_env_var,) if model.api_key_env_var else provider.key_variables
    return given or next((key for name in variables if (key := os.environ.get(name))), None)


def _headers(parameters: dict[str, Any]) -> dict[str, str]:
    headers = {
        str(name): str(value) for name, value in (parameters.pop("default_headers", None) or {}).items()
    }
    for name, header in (("organization", "OpenAI-Organization"), ("project", "OpenAI-Project")):
        value = parameters.pop(name, None)
        if value:
            headers[header] = str(value)
    return headers


@dataclass(frozen=True, slots=True)
class _Azure:
    """Where a deployment is, and what its address asks for; nothing for what is no deployment."""

    base_url: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)


def _azure(model: Model, parameters: Mapping[str, Any]) -> _Azure:
    endpoint = parameters.get("azure_endpoint") or os.environ.get("AZURE_OPENAI_ENDPOINT")
    version = parameters.get("api_version") or os.environ.get("AZURE_OPENAI_API_VERSION")
    if not endpoint or not version:
        missing = (
            "azure_endpoint (or AZURE_OPENAI_ENDPOINT)"
            if not endpoint
            else "api_version (or AZURE_OPENAI_API_VERSION)"
        )
        raise InvalidModelConfigurationError(f"models[{model.type}]: engine {model.engine} needs {missing}")
    deployment = parameters.get("azure_deployment") or model.model
    base_url = f"{str(endpoint).rstrip('/')}/openai/deployments/{deployment}"
    return _Azure(base_url, {"api-version": str(version)})


_LANGCHAIN: Final = "For an API of its own install the provider's LangChain package and set NEMOGUARDRAILS_LLM_FRAMEWORK=langchain."


def _no_address(model: Model) -> str:
    near = nearest(model.engine, PROVIDERS)
    known = f" Engines with a known address: {', '.join(PROVIDERS)}. {_LANGCHAIN}"
    hint = f" Did you mean `{near}`?" if near else known
    return (
        f"models[{model.type}]: engine `{model.engine}` has no known address; if it speaks the OpenAI API, set "
        f"parameters.base_url.{hint}"
    )
