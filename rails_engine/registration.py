"""What callers bring to an `LLMRails`: actions, values, filters, parsers, search providers, another model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from rails_engine.assembly import Assembly
from rails_engine.config import Model
from rails_engine.llm import as_llm


class Registration:
    """The registering half of `LLMRails`; whatever is registered holds from the next call on."""

    _parts: Assembly

    def update_llm(self, llm: Any) -> None:
        """Use another main model from now on."""
        self._parts.resources.use_main(as_llm(llm))

    def register_action(self, action: Callable[..., Any] | type, name: str | None = None) -> Self:
        """Let flows call `action` by `name`, by default its own."""
        self._parts.registry.register(action, name)
        return self

    def register_action_param(self, name: str, value: Any) -> Self:
        """Hand `value` to every action that has a parameter of this name; as `kb` it is also what is searched."""
        self._parts.set_param(name, value)
        return self

    def register_filter(self, filter_fn: Callable[..., Any], name: str | None = None) -> Self:
        """Let prompt templates use a filter."""
        self._parts.resources.prompts.register_filter(filter_fn, name)
        return self

    def register_output_parser(self, output_parser: Callable[[str], Any], name: str) -> Self:
        """Let prompts name a parser for what the model answers."""
        self._parts.resources.prompts.register_output_parser(output_parser, name)
        return self

    def register_prompt_context(self, name: str, value_or_fn: Any) -> Self:
        """Let prompt templates use a variable; a function is called each time."""
        self._parts.resources.prompts.register_context(name, value_or_fn)
        return self

    def register_embedding_search_provider(self, name: str, cls: type[Any]) -> Self:
        """Let the configuration name a search provider of the caller's (an `EmbeddingsIndex`)."""
        self._parts.resources.knowledge.register(name, cls)
        return self

    @property
    def embedding_search_providers(self) -> dict[str, type[Any]]:
        """The search providers that were registered, by name."""
        return dict(self._parts.resources.knowledge.providers)

    @property
    def default_embedding_engine(self) -> str | None:
        """The engine of the model of type `embeddings`; None where the built-in embedder is used."""
        model = self._embeddings()
        return model.engine if model is not None else None

    @property
    def default_embedding_model(self) -> str | None:
        """The name of the model of type `embeddings`; None where the built-in embedder is used."""
        model = self._embeddings()
        return model.model if model is not None else None

    @property
    def default_embedding_params(self) -> dict[str, Any]:
        """The parameters of the model of type `embeddings`."""
        model = self._embeddings()
        return dict(model.parameters) if model is not None else {}

    def _embeddings(self) -> Model | None:
        models = self._parts.resources.config.models
        return next((model for model in models if model.type == "embeddings"), None)

    def register_embedding_provider(self, cls: type[Any], name: str | None = None) -> Self:
        """Let models of type `embeddings` name an engine of the caller's (an `EmbeddingModel`)."""
        from rails_engine.retrieval import EMBEDDING_PROVIDERS

        EMBEDDING_PROVIDERS.register(cls, name)
        return self
