"""Cross-encoders from a local folder: a question and a passage are read together, and scored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.embedding.encoder import (
    EncoderSettings,
    batches_by_length,
    load_tokenizer,
    padded,
    pick_device,
)
from rails_engine.retrieval.errors import EmbeddingConfigError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from rails_engine.retrieval.embedding.bert import Bert


class CrossEncoder:
    """A BERT-family cross-encoder in a folder, by our own torch code; the weights are read on first use."""

    def __init__(self, settings: EncoderSettings) -> None:
        self._settings = settings
        self._loaded: _Loaded | None = None
        self._loading = asyncio.Lock()

    async def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Logits, in the order of the passages.

        Raises:
            EmbeddingConfigError: the folder holds no cross-encoder, or torch is not installed.
        """
        async with self._loading:
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(_load, self._settings)
        return await asyncio.to_thread(self._loaded.scores, question, passages)


@dataclass(frozen=True, slots=True)
class _Loaded:
    bert: Bert
    tokenizer: Tokenizer
    device: torch.device

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How relevant each passage is to the question, float32 `[passages]`; logits, for ranking alone."""
        import torch

        pairs = self.tokenizer.encode_batch([(question, passage) for passage in passages])
        scores = np.empty(len(pairs), np.float32)
        for batch in batches_by_length([pair.ids for pair in pairs]):
            ids = padded([pairs[i].ids for i in batch], self.bert.shape.pad, self.device)
            segments = padded([pairs[i].type_ids for i in batch], 0, self.device)
            with torch.inference_mode():
                states, _ = self.bert.hidden(ids, segments)
                scores[batch] = self.bert.relevance(states).float().cpu().numpy()
        return scores


def _load(settings: EncoderSettings) -> _Loaded:
    try:
        import torch

        from rails_engine.retrieval.embedding.bert import Bert
    except ImportError as error:
        raise EmbeddingConfigError(
            f"a local cross-encoder needs {error.name}: pip install 'interlock-rails[local]'"
        ) from error
    device = pick_device(settings.device)
    bert = Bert.load(settings.folder, device, torch.float16 if device.type == "cuda" else torch.float32)
    length = min(settings.max_tokens or 512, bert.shape.max_tokens)
    return _Loaded(bert, load_tokenizer(settings.folder, length), device)
