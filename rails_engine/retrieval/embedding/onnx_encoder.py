"""Sentence encoders in ONNX, run by ONNX Runtime: no torch is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rails_engine.error_boundary import ErrorBoundary
from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.vectors import Vectors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from rails_engine.retrieval.embedding.shape import BertShape

PLACES = ("model.onnx", "onnx/model.onnx", "model_optimized.onnx")
"""Where folders keep the graph: optimum and FastEmbed, sentence-transformers, FastEmbed again."""
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class OnnxForward:
    """A graph from token ids to hidden states, or to sentence vectors that it pools itself."""

    def __init__(self, session: InferenceSession, shape: BertShape, first_token: bool) -> None:
        self._session = session
        self._shape = shape
        self._first_token = first_token
        self._inputs = {given.name for given in session.get_inputs()}

    @staticmethod
    def load(
        folder: Path, shape: BertShape, device: Literal["auto", "cpu", "cuda"], first_token: bool
    ) -> OnnxForward:
        """Open the graph of a folder.

        Raises:
            EmbeddingConfigError: there is none, it cannot be read, or a GPU was asked for and ONNX Runtime has none.
        """
        import onnxruntime

        path = graph_in(folder)
        if path is None:
            raise EmbeddingConfigError(f"{folder}: there is no ONNX graph ({', '.join(PLACES)})")
        there = onnxruntime.get_available_providers()
        if device == "cuda" and _CUDA not in there:
            raise EmbeddingConfigError(
                "device: cuda was asked for, but ONNX Runtime has no CUDA provider here; install onnxruntime-gpu, or use "
                "`device: auto` or `cpu`"
            )
        wanted = [provider for provider in (_CUDA, _CPU) if provider in there]
        # ONNX Runtime's errors have no common type.
        with ErrorBoundary(lambda error: EmbeddingConfigError(f"{path}: cannot be run ({error})")):
            session = onnxruntime.InferenceSession(path, providers=[_CPU] if device == "cpu" else wanted)
        return OnnxForward(session, shape, first_token)

    def pooled(self, rows: Sequence[Sequence[int]]) -> Vectors:
        """One sentence vector for each row of token ids, not of unit length: float32 `[n, hidden]`."""
        ids = np.full((len(rows), max(1, *(len(row) for row in rows))), self._shape.pad, np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        fed: dict[str, NDArray[np.int64]] = {"input_ids": ids, "attention_mask": mask}
        fed["token_type_ids"] = np.zeros_like(ids)
        outputs: list[Any] = self._session.run(None, {name: fed[name] for name in self._inputs & fed.keys()})
        return _pooled(outputs, mask, self._first_token)


def graph_in(folder: Path) -> Path | None:
    """The ONNX graph of a folder, None where there is none."""
    return next((folder / place for place in PLACES if (folder / place).is_file()), None)


def _pooled(outputs: Sequence[Vectors], mask: NDArray[np.int64], first_token: bool) -> Vectors:
    states = next((output for output in outputs if output.ndim == 3), None)
    if states is None:
        return np.asarray(outputs[0], np.float32)
    if first_token:
        return np.asarray(states[:, 0], np.float32)
    weights = mask[:, :, None].astype(np.float32)
    result: Vectors = (states * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    return result
