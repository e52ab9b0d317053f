"""What can go wrong in the engine, and who is at fault.

EngineError
  RequestError            the caller of one request: fix the request
    InvalidParameterError   a sampling parameter outside its range
    RequestTooLongError     the prompt and its answer cannot fit the model or the KV cache
    UnknownAdapterError     the request names an adapter or prefix that is not loaded
    UnknownModelError       the request names a model that is not served here
    ConstraintError         a regex, choice or JSON schema that cannot be compiled
    ChatTemplateError       messages that the model's chat template refuses
  OverloadedError         the server: the queue is full; try again later
  DeadlineError           the request ran past its own deadline
  CancelledError          the caller went away
  NumericError            the model: NaN or infinite logits for this request
  CheckpointError         the model's files: missing, corrupt, of an unknown architecture or dtype
    UnknownArchitectureError
    CorruptCheckpointError
  ResourceError           the machine: too little memory for the weights or for one request's KV
  ExecutorError           the runner failed; the requests of that step get it, all of them where it lasts
  InvariantError          a defect of the engine itself, found by a `check()`
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of all errors of this package; never raised itself."""


class RequestError(EngineError):
    """The caller of one request is at fault; `param` names the offending field where there is one."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidParameterError(RequestError):
    """A sampling parameter outside its range."""


class RequestTooLongError(RequestError):
    """The prompt and its answer cannot fit the model's positions or the whole KV cache."""


class UnknownAdapterError(RequestError):
    """The request names an adapter or a prompt-tuned prefix that is not loaded."""


class UnknownModelError(RequestError):
    """The request names a model that is neither the served one nor a loaded adapter."""


class ConstraintError(RequestError):
    """A regex, choice list or JSON schema that cannot be compiled into a token mask."""


class ChatTemplateError(RequestError):
    """The model's chat template refuses the messages, or there is none."""


class OverloadedError(EngineError):
    """The waiting queue is full; the request was not accepted."""


class DeadlineError(EngineError):
    """The request ran past its own deadline."""


class CancelledError(EngineError):
    """The caller went away; nobody reads the answer."""


class NumericError(EngineError):
    """The model gave NaN or infinite logits for this request."""


class CheckpointError(EngineError):
    """The files of a model cannot be used."""


class UnknownArchitectureError(CheckpointError):
    """`config.json` names an architecture that no model file serves."""


class CorruptCheckpointError(CheckpointError):
    """A weight file is truncated, malformed, or lacks a tensor or its expected shape."""


class ResourceError(EngineError):
    """The machine has too little memory for the weights or for a single request's KV cache."""


class ExecutorError(EngineError):
    """The runner failed; the requests of that step end with it. `lasting`: it will not run another step."""

    def __init__(self, message: str, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


class InvariantError(EngineError):
    """A defect of the engine itself."""
