"""Providers and frameworks that users register by name: the one table that the whole process shares, under a lock."""

from __future__ import annotations

import os
import threading
from typing import Any

from rails_engine.errors import ModelInitializationError
from rails_engine.llm.public import LLMFramework

DEFAULT = "default"


class ProviderRegistry:
    """Providers and frameworks by name; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._providers: dict[str, Any] = {}
        self._frameworks: dict[str, LLMFramework] = {}
        self._chosen: str | None = None

    def register_provider(self, name: str, provider_cls: Any) -> None:
        """Make models of engine `name` by `provider_cls(model=..., **parameters)`."""
        with self._lock:
            self._providers[name] = provider_cls

    def provider(self, name: str) -> Any | None:
        """What makes the models of engine `name`; None where nobody registered one."""
        return self._providers.get(name)

    def provider_names(self) -> list[str]:
        """The engines that were registered, sorted."""
        return sorted(self._providers)

    def register_framework(self, name: str, framework: LLMFramework) -> None:
        """Let `set_default_framework` name a framework; one of the same name is replaced."""
        with self._lock:
            self._frameworks[name] = framework

    def set_default_framework(self, name: str) -> None:
        """Choose by name who makes models; `default` stands for the built-in clients.

        Raises:
            ModelInitializationError: no framework of this name is registered.
        """
        self._known(name)
        with self._lock:
            self._chosen = name

    def get_default_framework(self) -> str:
        """The name of the framework that makes models: as set, else as `NEMOGUARDRAILS_LLM_FRAMEWORK` says, else `default`."""
        return self._chosen or os.environ.get("NEMOGUARDRAILS_LLM_FRAMEWORK") or DEFAULT

    def framework(self) -> LLMFramework | None:
        """The framework that makes models; None for the built-in clients."""
        return self.get_framework(self.get_default_framework())

    def get_framework(self, name: str) -> LLMFramework | None:
        """The framework of this name; None for `default`, the built-in clients.

        Raises:
            ModelInitializationError: no framework of this name is registered.
        """
        self._known(name)
        return self._frameworks.get(name)

    def _known(self, name: str) -> None:
        if name == "langchain" and name not in self._frameworks:
            from rails_engine.llm.langchain_framework import LangChainFramework

            self.register_framework(name, LangChainFramework())
        if name != DEFAULT and name not in self._frameworks:
            known = ", ".join(sorted({DEFAULT, "langchain", *self._frameworks}))
            raise ModelInitializationError(f"there is no LLM framework {name!r}; known: {known}")


registry = ProviderRegistry()
register_provider = registry.register_provider
register_framework = registry.register_framework
set_default_framework = registry.set_default_framework
get_default_framework = registry.get_default_framework
get_framework = registry.get_framework
register_chat_provider = registry.register_provider
register_llm_provider = registry.register_provider
