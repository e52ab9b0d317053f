"""Fitted heads kept from one start to the next, by the content that they were fitted on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rails_engine.retrieval.errors import IndexFormatError, IndexStorageError
from rails_engine.retrieval.index import Content, open_folder, save_folder
from rails_engine.retrieval.intents.head import Head
from rails_engine.retrieval.vectors import Vectors

_log = logging.getLogger(__name__)
_KIND = "intent-head-4"


def cache_folder() -> Path:
    """Where things that can be made again are kept: `INTERLOCK_CACHE`, else the user's cache folder."""
    given = os.environ.get("INTERLOCK_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interlock"


def content_key(model: str, texts: Sequence[str], intents: Sequence[str]) -> str:
    """SHA-256 in hex of the embedding model's name and the examples with their intents."""
    content = json.dumps([_KIND, model, list(zip(texts, intents, strict=True))])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


class FittedHeads:
    """A folder of heads. What cannot be read or written is fitted again: a cache never fails a start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str, model: str) -> Head | None:
        """The head fitted on this content, if it is there and unharmed."""
        try:
            _, paths = open_folder(self._folder / key, _KIND, model)
            weights, bias, rarity, mixing = (
                np.load(paths[role], allow_pickle=False) for role in ("weights", "bias", "rarity", "mixing")
            )
        except (IndexFormatError, KeyError, ValueError, OSError):
            return None
        return Head(weights, bias, rarity, *(float(number) for number in mixing))

    def save(self, key: str, model: str, head: Head) -> None:
        """Keep a head; a folder that cannot be written is only logged."""
        mixing = np.array([head.similarity_weight, head.temperature, head.scope_threshold], np.float32)
        arrays = {"weights": head.weights, "bias": head.bias, "rarity": head.rarity, "mixing": mixing}
        writers = {role: _writer(array) for role, array in arrays.items()}
        content = Content(_KIND, model, head.weights.shape[0], head.weights.shape[1], writers)
        try:
            save_folder(self._folder / key, content)
        except IndexStorageError as error:
            _log.info("the fitted intents are not kept: %s", error)


def _writer(array: Vectors) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)

    return write
