"""Sentence encoders from a local folder, run by our own torch code or by ONNX Runtime (`engine: local`).

A folder is what sentence-transformers saves: `config.json`, `model.safetensors` or an ONNX graph, `tokenizer.json`,
and optionally `1_Pooling/config.json` (mean or first token), `sentence_bert_config.json` (length) and
`config_sentence_transformers.json` (prompts put before queries and passages). Texts are sorted by length, so that a
batch is padded little, and run in a worker thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.embedding.onnx_encoder import OnnxForward, graph_in
from rails_engine.retrieval.embedding.shape import BertShape
from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.vectors import unit_rows

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from rails_engine.retrieval.embedding.bert import Bert

Device = Literal["auto", "cpu", "cuda"]
Runtime = Literal["auto", "torch", "onnx"]
TOKENS_AT_ONCE = 8192
"""Padded tokens in one forward pass."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """`max_tokens` and the prompts default to what the folder says; `runtime` to torch where it and its weights are there."""

    folder: Path
    device: Device = "auto"
    max_tokens: int | None = None
    prompts: Mapping[EmbeddingKind, str] = field(default_factory=dict)
    runtime: Runtime = "auto"


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
        return (await self._model()).hidden

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
        """One unit row a text; texts beyond the model's length are cut at their end.

        Raises:
            EmbeddingConfigError: the folder holds no encoder that can be run, or what runs it is not installed.
        """
        model = await self._model()
        prompt = self._settings.prompts.get(kind, model.prompts.get(kind, ""))
        return await asyncio.to_thread(model.encode, [prompt + text for text in texts])

    async def _model(self) -> _Loaded:
        async with self._loading:
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(_load, self._settings)
        return self._loaded


class Forward(Protocol):
    """A model that makes sentence vectors of token ids."""

    def pooled(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """One sentence vector for each row of token ids, not of unit length: float32 `[n, hidden]`."""
        ...


@dataclass(frozen=True, slots=True)
class _Loaded:
    forward: Forward
    hidden: int
    tokenizer: Tokenizer
    prompts: Mapping[EmbeddingKind, str]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows float32 `[texts, hidden]`; batched by length, so that little is padding."""
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        vectors = np.empty((len(rows), self.hidden), np.float32)
        for batch in batches_by_length(rows):
            vectors[batch] = self.forward.pooled([rows[i] for i in batch])
        return unit_rows(vectors)


@dataclass(frozen=True, slots=True)
class TorchForward:
    """Our own forward pass, pooled on the device."""

    bert: Bert
    device: torch.device
    first_token: bool

    def pooled(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """One sentence vector for each row of token ids, not of unit length: float32 `[n, hidden]`."""
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
    folder = settings.folder
    first_token = bool(_json(folder / "1_Pooling" / "config.json").get("pooling_mode_cls_token"))
    shape = BertShape.read(folder)
    length = settings.max_tokens or _json(folder / "sentence_bert_config.json").get("max_seq_length")
    try:
        forward: Forward
        if _runs_on_torch(settings):
            forward = _torch(settings, first_token)
        else:
            forward = OnnxForward.load(folder, shape, settings.device, first_token)
        tokenizer = load_tokenizer(folder, min(length or 512, shape.max_tokens))
    except ImportError as error:
        raise EmbeddingConfigError(
            f"`engine: local` needs {error.name}: pip install 'interlock-rails[local]' (or [onnx] for an ONNX graph), or "
            "leave the engine out to use the built-in offline embedder"
        ) from error
    return _Loaded(forward, shape.hidden, tokenizer, _prompts(folder))


def _runs_on_torch(settings: EncoderSettings) -> bool:
    """Whether torch runs the encoder; it does in doubt, so that its error says what is missing."""
    if settings.runtime != "auto":
        return settings.runtime == "torch"
    if graph_in(settings.folder) is None:
        return True
    return (settings.folder / "model.safetensors").is_file() and find_spec("torch") is not None


def _torch(settings: EncoderSettings, first_token: bool) -> TorchForward:
    import torch

    from rails_engine.retrieval.embedding.bert import Bert

    device = pick_device(settings.device)
    bert = Bert.load(settings.folder, device, torch.float16 if device.type == "cuda" else torch.float32)
    return TorchForward(bert, device, first_token)


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
