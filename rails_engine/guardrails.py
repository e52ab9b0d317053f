"""`Guardrails`: `LLMRails` with a life: started, shut down, or used as an asynchronous context.

There is one engine, so nothing is chosen here. The options that once chose an engine are taken and mean nothing more
than that a configuration without Colang dialog must answer as fast as it can, which it does anyway.
"""

from __future__ import annotations

from typing import Any, Self

from rails_engine.config import RailsConfig
from rails_engine.rails import LLMRails


class Guardrails(LLMRails):
    """See the module; everything of `LLMRails` is here too."""

    def __init__(
        self,
        config: RailsConfig,
        llm: Any = None,
        verbose: bool = False,
        *,
        use_iorails: bool = True,
        require_iorails: bool = False,
    ) -> None:
        super().__init__(config, llm, verbose)
        self.use_iorails_engine = use_iorails or require_iorails

    @property
    def rails_engine(self) -> LLMRails:
        """The object that answers: this one."""
        return self

    async def startup(self) -> None:
        """Nothing has to be started before the first call; connections open when they are needed."""

    async def shutdown(self) -> None:
        """Close the connections to models."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        await self.startup()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()
