"""The models of a configuration, ready to be called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import environ
from types import MappingProxyType
from typing import Any, Final, Protocol

from rails_engine.config import Model, Task
from rails_engine.error_boundary import ErrorBoundary
from rails_engine.errors import ConfigurationError, ModelInitializationError
from rails_engine.llm.adapt import as_llm
from rails_engine.llm.base import LLM
from rails_engine.llm.cache import AnswerStore, Cached, CacheOptions
from rails_engine.llm.endpoint import Transport
from rails_engine.llm.limit import Limited
from rails_engine.llm.providers import ClientOptions, client_options
from rails_engine.llm.registry import registry
from rails_engine.llm.remote import RemoteLLM
from rails_engine.llm.retry import Retrying

EMBEDDINGS = "embeddings"
LOCAL = "local"

_STEP_OF: Final[Mapping[str, str]] = MappingProxyType(
    {Task.GENERAL: Task.GENERATE_USER_INTENT, Task.GENERATE_INTENT_STEPS_MESSAGE: Task.GENERATE_USER_INTENT}
)
"""The tasks that the step asking for the user's intent has beside its own: an answer without intents, and a single call."""


class Closable(Protocol):
    """What models hold open between calls."""

    async def close(self) -> None:
        """Close what is open; what is used afterwards opens again."""


class Models(Mapping[str, LLM]):
    """Models by `type`. Connections are opened by the first call, shared, and closed by `close`."""

    def __init__(self, models: Mapping[str, LLM], transports: Iterable[Closable] = ()) -> None:
        self._models = dict(models)
        self._transports = tuple(transports)

    def __getitem__(self, kind: str) -> LLM:
        return self._models[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def main(self) -> LLM | None:
        """The model that answers; None where the configuration has none."""
        return self._models.get("main")

    def serving(self, task: str) -> LLM | None:
        """The model of a task: the one of its type, else that of the step it belongs to, else the main one."""
        models = self._models
        return models.get(task) or models.get(_STEP_OF.get(task, task)) or models.get("main")

    def replaced(self, kind: str, llm: LLM) -> Models:
        """The same models with another one of `kind`; connections stay shared."""
        return Models({**self._models, kind: llm}, self._transports)

    async def close(self) -> None:
        """Close the connections of all models, and free those of this process."""
        for transport in self._transports:
            await transport.close()


def create_models(entries: Iterable[Model]) -> Models:
    """A client for each entry of `models` but embedding models; of two entries of one type the first counts.

    Raises:
        ConfigurationError: an entry cannot be made into a client.
    """
    entries = [entry for entry in entries if entry.type != EMBEDDINGS]
    if not entries:
        return Models({}, ())
    from rails_engine.llm.http import HttpTransport
    from rails_engine.llm.local import LocalEngines
    from rails_engine.llm.sdk import SdkTransport

    http, sdk, local = HttpTransport(), SdkTransport(), LocalEngines()
    made: dict[str, LLM] = {}
    for entry in entries:
        if entry.type not in made:
            model = local.llm(entry) if entry.engine == LOCAL else _client(entry, http, sdk)
            made[entry.type] = _cached(entry, model)
    return Models(made, (http, sdk, local))


def require_keys(entries: Iterable[Model]) -> None:
    """See that every remote model has the key it needs, for doors that would rather not open than fail later.

    Raises:
        MissingKeyError: naming the variable and the ways on.
    """
    if registry.framework() is not None:
        return
    for entry in entries:
        if entry.type != EMBEDDINGS and entry.engine != LOCAL and registry.provider(entry.engine) is None:
            client_options(entry).endpoint.request_headers()


def require_client(entry: Model) -> None:
    """See that a client can be made for an entry, without making it.

    Raises:
        InvalidModelConfigurationError: its engine is unknown, or one of its parameters means nothing to it.
    """
    if entry.engine == LOCAL:
        from rails_engine.llm.local_options import local_options

        local_options(entry)
    elif registry.provider(entry.engine) is None and registry.framework() is None:
        client_options(entry)


def _client(entry: Model, http: Transport, sdk: Transport) -> LLM:
    provider = registry.provider(entry.engine)
    if provider is not None:
        return _of_user(entry, provider)
    framework = registry.framework()
    if framework is not None:
        kwargs = {**entry.parameters, **_key_argument(entry)}
        return as_llm(framework.create_model(entry.model or "", entry.engine, kwargs))
    options = client_options(entry)
    return wrapped(RemoteLLM(options.endpoint, sdk if options.through_sdk else http), options)


def wrapped(llm: LLM, options: ClientOptions) -> LLM:
    """The layers round a remote model, innermost first: retries, then the limit on calls at once."""
    result: LLM = Retrying(llm, options.retry)
    return Limited(result, options.at_once) if options.at_once else result


def _cached(entry: Model, llm: LLM) -> LLM:
    cache = entry.cache
    if cache is None or not cache.enabled:
        return llm
    interval = cache.stats.log_interval if cache.stats.enabled else None
    options = CacheOptions(
        max_entries=cache.maxsize, ttl_s=cache.ttl_s, log_interval_s=interval, name=f"the model {entry.type}"
    )
    return Cached(llm, AnswerStore(options))


def _of_user(entry: Model, provider: Any) -> LLM:
    def failed(error: Exception) -> ModelInitializationError:
        return ModelInitializationError(
            f"models[{entry.type}]: the registered provider {entry.engine!r} failed: {error!r}"
        )

    with ErrorBoundary(failed, passing=(ConfigurationError,)):
        return as_llm(provider(model=entry.model, **entry.parameters, **_key_argument(entry)))


def _key_argument(entry: Model) -> dict[str, str]:
    key = environ.get(entry.api_key_env_var) if entry.api_key_env_var else None
    return {"api_key": key} if key and "api_key" not in entry.parameters else {}
