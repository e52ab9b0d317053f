"""What all wrappers round a model share: they go by its name."""

from __future__ import annotations

from rails_engine.llm.base import LLM


class Layer:
    """Names of the model inside."""

    def __init__(self, inner: LLM) -> None:
        self._inner = inner

    @property
    def model_name(self) -> str:
        """See `LLM.model_name`."""
        return self._inner.model_name

    @property
    def provider_name(self) -> str:
        """See `LLM.provider_name`."""
        return self._inner.provider_name

    @property
    def provider_url(self) -> str | None:
        """Where the model inside is; None where it does not say."""
        return address_of(self._inner)

    @property
    def gives_samples(self) -> bool:
        """Whether the model inside may give several answers to one request."""
        return gives_samples(self._inner)

    @property
    def users(self) -> object | None:
        """The object that a user passed as the model inside, where it was one."""
        return users_object(self._inner)


def address_of(llm: LLM) -> str | None:
    """Where a model is, for those that are somewhere else."""
    url = getattr(llm, "provider_url", None)
    return url if isinstance(url, str) else None


def gives_samples(llm: LLM) -> bool:
    """Whether a model may give several answers to one request that asks for `samples`."""
    return bool(getattr(llm, "gives_samples", False))


def users_object(llm: LLM) -> object | None:
    """The object that a user passed as a model, where this is one."""
    return getattr(llm, "users", None)
