"""What can go wrong in retrieval.

RetrievalError
  EmbeddingError            texts could not be turned into vectors
    EmbeddingConfigError    the configuration names an unknown engine, a missing key or a missing package
    EmbeddingRemoteError    the endpoint refused, failed or answered nonsense
  DimensionError            vectors of another length than the index holds (the caller, or a changed model)
  IndexFormatError          a saved index is missing, stale or was tampered with; rebuild it
  IndexStorageError         an index could not be written; the former one is intact
  DocumentError             a document of the knowledge base cannot be read (names the file and the reason); it is also a
                            ConfigurationError, since documents are read when a configuration is loaded
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rails_engine.errors import ConfigurationError

OFFLINE: Final = (
    "Without a network, leave the engine out to use the built-in offline embedder, or name a model folder with "
    "`engine: local`."
)
"""What can be done where a model cannot be reached."""


class RetrievalError(Exception):
    """Base of every error of this package."""


class EmbeddingError(RetrievalError):
    """Texts could not be turned into vectors."""


class EmbeddingConfigError(EmbeddingError):
    """The configuration cannot be carried out as written."""


class EmbeddingRemoteError(EmbeddingError):
    """The endpoint refused, failed or answered nonsense; `status` is the HTTP status where there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class DimensionError(RetrievalError):
    """Vectors of another length than the index holds."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(
            f"the index holds vectors of length {expected}, these have length {got}: "
            "was the embedding model changed? Rebuild the index with the new model."
        )
        self.expected = expected
        self.got = got


class IndexFormatError(RetrievalError):
    """A saved index is missing, stale or was tampered with."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder}: {reason}; rebuild the index")
        self.folder = folder
        self.reason = reason


class IndexStorageError(RetrievalError):
    """An index could not be written; the former one is intact."""


class DocumentError(RetrievalError, ConfigurationError):
    """A document of the knowledge base cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
