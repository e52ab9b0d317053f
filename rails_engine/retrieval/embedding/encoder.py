"""Sentence encoders from a local folder, run by our own torch code (`engine: local`).

A folder is what sentence-transformers saves: `config.json`, `model.safetensors`, `tokenizer.json`, and optionally
`1_Pooling/config.json` (mean or first token), `sentence_bert_config.json` (length) and `config_sentence_transformers.json`
(prompts put before queries and passages). Texts are sorted by length, so that a batch is padded little, and run in a
worker thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.vectors import unit_rows

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from rails_engine.retrieval.embedding.bert import Bert

Device = Literal["auto", "cpu", "cuda"]
TOKENS_AT_ONCE = 8192
"""Padded tokens in one forward pass."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """`max_tokens` and the prompts default to what the folder says."""

    folder: Path
    device: Device = "auto"
    max_tokens: int | None = None
    prompts: Mapping[EmbeddingKind, str] = field(default_factory=dict)


class LocalEncoder:
    """An `Embedder`; the weights are read on first use."""

    def __init__(self, settings: EncoderSettings) -> None:
        self._settings = settings
        self._loaded: _Loaded | None = None
        self._loading = asyncio.Lock()

    @property
    def model_name(self) -> str:
        """See `Embedder.model_name`."""
        return f"local#{self._settings.folder.resolve().as_posix()}"

    async def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return (await self._model()).bert.shape.hidden

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
        """One unit row a text; texts beyond the model's length are cut at their end.

        Raises:
            EmbeddingConfigError: the folder holds no encoder that can be run, or torch is not installed.
        """
        model = await self._model()
        prompt = self._settings.prompts.get(kind, model.prompts.get(kind, ""))
        return await asyncio.to_thread(model.encode, [prompt + text for text in texts])

    async def _model(self) -> _Loaded:
        async with self._loading:
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(_load, self._settings)
        return self._loaded


@dataclass(frozen=True, slots=True)
class _Loaded:
    bert: Bert
    tokenizer: Tokenizer
    device: torch.device
    first_token: bool
    prompts: Mapping[EmbeddingKind, str]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows float32 `[texts, hidden]`; batched by length, so that little is padding."""
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        vectors = np.empty((len(rows), self.bert.shape.hidden), np.float32)
        for batch in batches_by_length(rows):
            vectors[batch] = self._pooled([rows[i] for i in batch])
        return unit_rows(vectors)

    def _pooled(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            states, mask = self.bert.hidden(padded(rows, self.bert.shape.pad, self.device))
            if self.first_token:
                pooled = states[:, 0]
            else:
                weights = mask.unsqueeze(-1).to(states.dtype)
                pooled = (states * weights).sum(1) / weights.sum(1).clamp_min(1)
            result: NDArray[np.float32] = pooled.float().cpu().numpy()
        return result


def batches_by_length(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Row numbers in batches of like length, each at most `TOKENS_AT_ONCE` padded tokens (or one row)."""
    batches: list[list[int]] = []
    for i in sorted(range(len(rows)), key=lambda i: len(rows[i])):
        if batches and (len(batches[-1]) + 1) * len(rows[i]) <= TOKENS_AT_ONCE:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


def padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> torch.Tensor:
    """Rows of ids as one int64 `[n, longest]`, filled up with `pad`."""
    import torch

    matrix = np.full((len(rows), max(1, *(len(row) for row in rows))), pad, np.int64)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return torch.from_numpy(matrix).to(device)


def pick_device(wanted: Device) -> torch.device:
    """The device to run on.

    Raises:
        EmbeddingConfigError: a GPU was asked for and there is none.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise EmbeddingConfigError(
            "device: cuda was asked for, but torch sees no GPU; use `device: auto` or `cpu`"
        )
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def load_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    """The folder's `tokenizer.json`, cutting at `max_tokens`, not padding.

    Raises:
        EmbeddingConfigError: it is missing or unreadable.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise EmbeddingConfigError(f"{folder}: there is no tokenizer.json")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _load(settings: EncoderSettings) -> _Loaded:
    try:
        import torch

        from rails_engine.retrieval.embedding.bert import Bert
    except ImportError as error:
        raise EmbeddingConfigError(
            f"`engine: local` needs {error.name}: pip install 'interlock-rails[local]', or leave the engine out to use "
            "the built-in offline embedder"
        ) from error
    folder = settings.folder
    device = pick_device(settings.device)
    bert = Bert.load(folder, device, torch.float16 if device.type == "cuda" else torch.float32)
    length = settings.max_tokens or _json(folder / "sentence_bert_config.json").get("max_seq_length")
    return _Loaded(
        bert=bert,
        tokenizer=load_tokenizer(folder, min(length or 512, bert.shape.max_tokens)),
        device=device,
        first_token=bool(_json(folder / "1_Pooling" / "config.json").get("pooling_mode_cls_token")),
        prompts=_prompts(folder),
    )


def _prompts(folder: Path) -> dict[EmbeddingKind, str]:
    raw = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
    passage = raw.get("passage", raw.get("document", ""))
    return {EmbeddingKind.QUERY: str(raw.get("query", "")), EmbeddingKind.PASSAGE: str(passage)}


def _json(path: Path) -> dict[str, Any]:
    """The JSON object in an optional file; none is empty."""
    if not path.is_file():
        return {}
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EmbeddingConfigError(f"{path}: cannot be read ({error})") from error
    return raw if isinstance(raw, dict) else {}
