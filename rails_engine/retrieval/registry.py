"""Embedding models and search providers of users' own, by name.

The registry of embedding models is one for the process, as users' code expects of `register_embedding_provider`; it is
locked. Search providers belong to one instance of the rails.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rails_engine.error_boundary import ErrorBoundary
from rails_engine.retrieval.base import Embedder
from rails_engine.retrieval.custom_providers import (
    CustomEmbedder,
    EmbeddingModel,
    EmbeddingsIndex,
    takes_items,
)
from rails_engine.retrieval.embedding import embedder_for
from rails_engine.retrieval.errors import EmbeddingConfigError, EmbeddingError


class EmbeddingProviders:
    """Users' embedding models by engine name; names of ours may be taken over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._classes: dict[str, type[EmbeddingModel]] = {}

    def register(self, model: type[EmbeddingModel], engine_name: str | None = None) -> None:
        """Make a class known under its `engine_name`.

        Raises:
            ValueError: no name, a name that is taken, or no embedding model.
        """
        name = engine_name or getattr(model, "engine_name", None)
        if not name:
            raise ValueError("an embedding provider needs a name: pass engine_name or set it on the class")
        for method in ("encode", "encode_async"):
            if not callable(getattr(model, method, None)):
                raise ValueError(f"{name} does not have an '{method}' method")  # noqa: TRY004 -- what callers catch
        with self._lock:
            if name in self._classes:
                raise ValueError(f"{name} already exists in the registry")
            self._classes[name] = model

    def own(self, engine: str) -> type[EmbeddingModel] | None:
        """The caller's class that is known under an engine's name."""
        with self._lock:
            return self._classes.get(engine)

    def embedder(self, engine: str | None, model: str | None, parameters: Mapping[str, Any]) -> Embedder:
        """The embedder for what a configuration names; users' engines come before ours.

        Raises:
            EmbeddingConfigError: the engine is unknown or lacks what it needs.
        """
        own = self.own(engine or "")
        if own is None or engine is None:
            return embedder_for(engine, model, parameters)
        with ErrorBoundary(
            lambda error: EmbeddingError(f"the embedding model {engine!r} could not be made: {error}")
        ):
            made = own(**_accepted(own, {"embedding_model": model, **parameters}))
        return CustomEmbedder(f"{engine}#{model}", made)


EMBEDDING_PROVIDERS = EmbeddingProviders()
"""The process's registry."""


class SearchProviders:
    """Users' search providers by name; `default` is ours."""

    def __init__(self) -> None:
        self._makers: dict[str, Callable[..., EmbeddingsIndex]] = {}

    def register(self, name: str, provider: Callable[..., EmbeddingsIndex]) -> None:
        """Make a class known; a name registered again means the newer one."""
        self._makers[name] = provider

    def __contains__(self, name: str) -> bool:
        return name in self._makers

    def make(self, name: str, parameters: Mapping[str, Any]) -> EmbeddingsIndex | None:
        """A new index of the provider; None for the default one.

        Raises:
            EmbeddingConfigError: nobody registered the name, or the class could not be made.
        """
        maker = self._makers.get(name)
        if maker is None and name == "default":
            return None
        if maker is None:
            known = ", ".join(["default", *sorted(self._makers)])
            raise EmbeddingConfigError(
                f"there is no embedding search provider {name!r} (known: {known}); register it in config.py with "
                "rails.register_embedding_search_provider(name, cls)"
            )
        if isinstance(maker, type) and not takes_items(maker):
            raise EmbeddingConfigError(
                f"the search provider {name!r} defines neither `add_items` nor `add_item`"
            )
        with ErrorBoundary(
            lambda error: EmbeddingConfigError(f"the search provider {name!r} could not be made: {error}")
        ):
            return maker(**parameters)


def _accepted(maker: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Of `given`, what `maker` takes (everything, where it takes keywords)."""
    parameters = inspect.signature(maker).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(given)
    return {key: value for key, value in given.items() if key in parameters}
