"""The engines that `models` may name: where each is reached, and with which key."""

from __future__ import annotations

from typing import Any

import pytest

from rails_engine.config import Model
from rails_engine.errors import ConfigurationError, InvalidModelConfigurationError
from rails_engine.llm import client_options, create_models


@pytest.mark.parametrize(
    ("engine", "variable", "url"),
    [
        ("openai", "OPENAI_API_KEY", "https://api.openai.com/v1"),
        ("nim", "NVIDIA_API_KEY", "https://integrate.api.nvidia.com/v1"),
        ("nvidia_ai_endpoints", "NVIDIA_API_KEY", "https://integrate.api.nvidia.com/v1"),
    ],
)
def test_engines_with_a_known_address(
    monkeypatch: pytest.MonkeyPatch, engine: str, variable: str, url: str
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv(variable, "k-env")
    endpoint = client_options(Model(type="main", engine=engine, model="m")).endpoint
    assert (endpoint.base_url, endpoint.api_key, endpoint.key_required) == (url, "k-env", True)


def test_azure_is_reached_by_its_deployment_with_its_own_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az")
    parameters = {
        "azure_endpoint": "https://r.example/",
        "azure_deployment": "d",
        "api_version": "2024-10-21",
    }
    endpoint = client_options(
        Model(type="main", engine="azure_openai", model="m", parameters=parameters)
    ).endpoint
    assert endpoint.base_url == "https://r.example/openai/deployments/d"
    assert endpoint.query == {"api-version": "2024-10-21"}
    assert endpoint.request_headers() == {"api-key": "az"}
    assert endpoint.defaults == {}


@pytest.mark.parametrize("engine", ["ollama", "vllm", "my_server"])
def test_local_engines_need_no_key(engine: str) -> None:
    entry = Model(type="main", engine=engine, model="m", parameters={"base_url": "http://h:1/v1/"})
    endpoint = client_options(entry).endpoint
    assert (endpoint.base_url, endpoint.request_headers()) == ("http://h:1/v1", {})


def test_keys_by_variable_and_by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "mine")
    by_name = Model(type="main", engine="openai", model="m", api_key_env_var="MY_KEY")
    by_reference = Model(type="main", engine="openai", model="m", parameters={"api_key": "${MY_KEY}"})
    assert [client_options(entry).endpoint.api_key for entry in (by_name, by_reference)] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("engine", "parameters", "words"),
    [
        ("opnai", {}, "Did you mean `openai`?"),
        ("unheard_of", {}, "parameters.base_url"),
        ("openai", {"openai_api_key": "k"}, "rename `openai_api_key` to `api_key`"),
        ("openai", {"streaming": True}, "remove `streaming`"),
        ("openai", {"model_kwargs": {}}, "`model_kwargs`"),
        ("azure", {"azure_endpoint": "https://x"}, "api_version"),
    ],
)
def test_an_entry_that_cannot_work_says_what_to_change(
    monkeypatch: pytest.MonkeyPatch, engine: str, parameters: dict[str, Any], words: str
) -> None:
    monkeypatch.delenv("AZURE_OPENAI_API_VERSION", raising=False)
    with pytest.raises(InvalidModelConfigurationError, match=words) as caught:
        create_models([Model(type="main", engine=engine, model="m", parameters=parameters)])
    assert isinstance(caught.value, ConfigurationError)
