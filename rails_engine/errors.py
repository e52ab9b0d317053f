"""What can go wrong in a turn, and who is at fault.

Exception
  ConfigurationError (ValueError)          the author of the configuration
    InvalidModelConfigurationError         a `models` entry
    InvalidRailsConfigurationError         any other part
      ValidationError                      what loading found; `ConfigProblemsError` lists it, each with its place
      StreamingNotSupportedError           streaming asked of a configuration that cannot stream
      RailTypeNotConfiguredError           a check asked for a kind of rail that has no flows
    MissingKeyError                        a model needs a key that is set nowhere
    NoModelError (LLMCallException)        an answer is asked of a configuration that has no main model
    PromptError                            a prompt cannot be rendered or its output parser is unknown
    ConfigCodeError (RuntimeError)         `config.py`, `actions.py` or `actions/` failed to load
    ModelInitializationError               a model client cannot be built
  InvalidStateError (ValueError)           the caller: a state that this engine did not give out
  InvalidRequestError (ValueError)         the caller: messages, options or sizes out of bounds
    NoMessagesError (IndexError)           the list of messages is empty
  WrongDialectError (NotImplementedError)  the caller: a method of the other dialect's
  ActionError (RuntimeError)               the author of an action
    ActionNotFoundError
    ActionTimeoutError
    ActionServerError                      the remote actions server
  LLMCallException                         a call of the main model failed; carries the cause
  LLMClientError                           the remote model; leaves say what it answered
    LLMAuthenticationError                 401, 403
    LLMRateLimitError                      429, with `retry_after_seconds`
    LLMBadRequestError                     400 and other 4xx
      LLMContextWindowError
      LLMUnsupportedParamsError
    LLMServerError                         5xx
    LLMTimeoutError                        no answer in time
    LLMConnectionError                     no connection
    LLMResponseValidationError             an answer that is none
  LlmResponseError                         a model's text does not have the form that the task needs
  ModelEngineError                         the local engine
  NonStreamingWorkQueueFullError (asyncio.QueueFull)
  StreamingCapacityExceededError           this process is at its limit; try again later

The names and bases that users catch are public and stay.
"""

from __future__ import annotations

from asyncio import QueueFull
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class ConfigurationError(ValueError):
    """The configuration is at fault."""


class InvalidModelConfigurationError(ConfigurationError):
    """An entry of `models` is at fault."""


class InvalidRailsConfigurationError(ConfigurationError):
    """A part of the configuration other than `models` is at fault."""


class ValidationError(InvalidRailsConfigurationError):
    """A configuration does not hold together; raised when it is loaded."""


class StreamingNotSupportedError(InvalidRailsConfigurationError):
    """Streaming was asked of a configuration that cannot stream."""

    def __init__(
        self,
        message: str = "this configuration has output rails and `rails.output.streaming.enabled` is false",
    ) -> None:
        super().__init__(message)


class RailTypeNotConfiguredError(InvalidRailsConfigurationError):
    """A check asked for a kind of rail that has no flows."""


class MissingKeyError(ConfigurationError):
    """A model needs an API key that is set nowhere."""


class PromptError(ConfigurationError):
    """A prompt is missing, cannot be rendered, or names an unknown output parser."""


class ConfigCodeError(ConfigurationError, RuntimeError):
    """Python code beside the configuration failed to load or to initialise."""


class ModelInitializationError(ConfigurationError):
    """A model client cannot be built."""


class InvalidStateError(ValueError):
    """The caller passed a state that this engine did not give out."""


class InvalidRequestError(ValueError):
    """The caller's messages or options are malformed or out of bounds."""


class NoMessagesError(InvalidRequestError, IndexError):
    """There is nothing to answer: the list of messages is empty."""


class WrongDialectError(NotImplementedError):
    """The method belongs to the other dialect of Colang than the configuration's."""


class ActionError(RuntimeError):
    """An action is at fault."""


class ActionNotFoundError(ActionError):
    """No action of this name is registered."""


class ActionTimeoutError(ActionError):
    """An action ran past its time limit."""


class ActionServerError(ActionError):
    """The actions server did not give a result."""


class LLMCallException(Exception):  # noqa: N818 - the public name that users catch
    """A call of the main model failed.

    Attributes:
        inner_exception: the cause, or a text.
        detail: what was being done, in words.
        status: the HTTP status of the remote answer, if there was one.
    """

    def __init__(
        self, inner_exception: BaseException | str, detail: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(f"{detail}: {inner_exception}" if detail else str(inner_exception))
        self.inner_exception = inner_exception
        self.detail = detail
        self.status = status if status is not None else getattr(inner_exception, "status_code", None)


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a failing answer came from and what it said."""

    error_type: str | None = None
    error_code: str | None = None
    param: str | None = None
    body: Mapping[str, Any] | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    model_name: str | None = None
    provider_name: str | None = None
    base_url: str | None = None


class NoModelError(ConfigurationError, LLMCallException):
    """There is no main model to ask. Who catches failing model calls catches this one too."""

    def __init__(self, message: str) -> None:
        LLMCallException.__init__(self, message)


class LLMClientError(Exception):
    """A remote model did not answer as asked; `status_code` is 0 where no HTTP answer came."""

    def __init__(self, status_code: int, error_message: str, **details: Any) -> None:
        """Take the status, the message, and any field of `Remote` by name."""
        remote = Remote(**details)
        where = " ".join(part for part in (remote.provider_name, remote.model_name) if part)
        at = f" at {remote.base_url}" if remote.base_url else ""
        status = f"HTTP {status_code}: " if status_code else ""
        super().__init__(
            f"{where}{at}: {status}{error_message}" if where or at else f"{status}{error_message}"
        )
        self.status_code = status_code
        self.error_message = error_message
        self.error_type = remote.error_type
        self.error_code = remote.error_code
        self.param = remote.param
        self.body = remote.body
        self.response_headers = remote.response_headers
        self.model_name = remote.model_name
        self.provider_name = remote.provider_name
        self.base_url = remote.base_url


class LLMAuthenticationError(LLMClientError):
    """The key is missing, wrong, or lacks the right (401, 403)."""


class LLMRateLimitError(LLMClientError):
    """Too many requests (429)."""

    def __init__(
        self, status_code: int, error_message: str, retry_after_seconds: float | None = None, **details: Any
    ) -> None:
        super().__init__(status_code, error_message, **details)
        self.retry_after_seconds = retry_after_seconds


class LLMBadRequestError(LLMClientError):
    """The request was refused as malformed (400 and other 4xx)."""


class LLMContextWindowError(LLMBadRequestError):
    """The prompt does not fit the model's context window."""


class LLMUnsupportedParamsError(LLMBadRequestError):
    """The model does not take one of the parameters."""


class LLMServerError(LLMClientError):
    """The remote server failed (5xx)."""


class LLMTimeoutError(LLMClientError):
    """No answer came in time."""

    def __init__(self, status_code: int = 0, error_message: str = "timed out", **details: Any) -> None:
        super().__init__(status_code, error_message, **details)


class LLMConnectionError(LLMClientError):
    """No connection could be made, or it broke."""

    def __init__(self, status_code: int = 0, error_message: str = "no connection", **details: Any) -> None:
        super().__init__(status_code, error_message, **details)


class LLMResponseValidationError(LLMClientError):
    """The answer is not what the protocol says it should be."""

    def __init__(self, message: str, response_data: Mapping[str, Any] | None = None, **details: Any) -> None:
        super().__init__(0, message, **details)
        self.response_data = response_data


class LlmResponseError(Exception):
    """A model's text does not have the form that the task needs."""


class ModelEngineError(Exception):
    """The local engine failed."""


class NonStreamingWorkQueueFullError(QueueFull):
    """Too many requests wait already."""


class StreamingCapacityExceededError(Exception):
    """Too many streams are open already."""
