"""The framework named `langchain`: LangChain makes the models that a configuration names; its models as public ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from rails_engine.errors import ModelInitializationError
from rails_engine.llm.adapt import PublicModel
from rails_engine.llm.langchain import LangChainModel


class LangChainFramework:
    """Makes models with LangChain's own `init_chat_model`: the framework named `langchain`."""

    def __init__(self) -> None:
        self._providers: dict[str, Any] = {}

    def create_model(
        self, model_name: str, provider_name: str, model_kwargs: dict[str, Any] | None = None
    ) -> PublicModel:
        """A model by name.

        Raises:
            ModelInitializationError: the packages for it are not installed.
        """
        own = self._providers.get(provider_name)
        if own:
            return PublicModel(LangChainModel(own(model=model_name, **(model_kwargs or {}))))
        try:
            make = import_module("langchain.chat_models").init_chat_model
        except ImportError as error:
            raise ModelInitializationError(
                f"the framework langchain makes the model {model_name} of {provider_name} and needs the packages "
                f"langchain and langchain-{provider_name.replace('_', '-')}: {error}"
            ) from error
        return PublicModel(
            LangChainModel(make(model_name, model_provider=provider_name, **(model_kwargs or {})))
        )

    def register_provider(self, name: str, provider_cls: Any) -> None:
        """See `LLMFramework.register_provider`."""
        self._providers[name] = provider_cls

    def get_provider_names(self) -> list[str]:
        """See `LLMFramework.get_provider_names`."""
        return sorted(self._providers)

    async def reset(self) -> None:
        """See `LLMFramework.reset`."""
        self._providers.clear()


class LangChainLLMAdapter(PublicModel):
    """A LangChain model as a model of the public protocol."""

    def __init__(self, llm: Any) -> None:
        super().__init__(LangChainModel(llm))
        self._raw = llm

    @property
    def raw_llm(self) -> Any:
        """The LangChain model."""
        return self._raw


def get_llm_instance_wrapper(llm_instance: Any, llm_type: str) -> Callable[..., Any]:
    """A provider, to be registered, that gives a model which exists already, whatever parameters a configuration has."""

    def provider(**_: Any) -> Any:
        return llm_instance

    provider.__name__ = provider.__qualname__ = llm_type
    return provider
