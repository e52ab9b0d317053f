"""Encoders of the BERT family in plain torch: BERT, MiniLM, RoBERTa and XLM-R checkpoints in safetensors.

Devlin et al. 2019 (arXiv:1810.04805): token, position and segment embeddings, then layers of bidirectional attention
and a GELU feed-forward, each followed by layer normalisation. Attention is torch's fused one. RoBERTa differs in that
positions begin after the padding id (Liu et al. 2019, arXiv:1907.11692).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from rails_engine.retrieval.embedding.shape import BertShape
from rails_engine.retrieval.errors import EmbeddingConfigError


class Bert:
    """Weights and the forward pass; no state changes after loading, so calls may be concurrent."""

    def __init__(self, shape: BertShape, weights: Mapping[str, Tensor]) -> None:
        self.shape = shape
        self._weights = weights

    @staticmethod
    def load(folder: Path, device: torch.device, dtype: torch.dtype) -> Bert:
        """Read `model.safetensors` of a checkpoint folder.

        Raises:
            EmbeddingConfigError: the folder holds no encoder that can be run.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        shape = BertShape.read(folder)
        try:
            raw = load_file(folder / "model.safetensors")
        except (OSError, SafetensorError) as error:
            raise EmbeddingConfigError(f"{folder}: model.safetensors cannot be read ({error})") from error
        weights = {
            _plain_name(name): tensor.to(device, dtype)
            for name, tensor in raw.items()
            if tensor.is_floating_point()
        }
        if "embeddings.word_embeddings.weight" not in weights:
            raise EmbeddingConfigError(f"{folder}: model.safetensors holds no BERT encoder")
        return Bert(shape, weights)

    def hidden(self, ids: Tensor, segments: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Token ids `[n, t]` int64, padded with the pad id: hidden states `[n, t, hidden]` and the mask `[n, t]`."""
        mask = ids != self.shape.pad
        states = self._embedded(ids, mask, segments)
        for layer in range(self.shape.layers):
            states = self._layer(states, mask, f"encoder.layer.{layer}.")
        return states, mask

    def relevance(self, states: Tensor) -> Tensor:
        """The classification head of a cross-encoder on hidden states `[n, t, hidden]`: logits `[n]`.

        Raises:
            EmbeddingConfigError: the checkpoint has no such head.
        """
        first = states[:, 0]
        if "classifier.dense.weight" in self._weights:  # RoBERTa's head
            return self._linear(torch.tanh(self._linear(first, "classifier.dense")), "classifier.out_proj")[
                :, 0
            ]
        if "classifier.weight" not in self._weights:
            raise EmbeddingConfigError("the checkpoint has no classification head, so it is no cross-encoder")
        return self._linear(torch.tanh(self._linear(first, "pooler.dense")), "classifier")[:, 0]

    def _embedded(self, ids: Tensor, mask: Tensor, segments: Tensor | None) -> Tensor:
        weights = self._weights
        places = torch.arange(ids.shape[1], device=ids.device) + self.shape.first_position
        positions = torch.where(mask, places, self.shape.pad if self.shape.first_position else places)
        segment_table = weights["embeddings.token_type_embeddings.weight"]
        # RoBERTa's table has one row: its models do not tell the two texts of a pair apart.
        kinds = torch.zeros_like(ids) if segments is None else segments.clamp_max(len(segment_table) - 1)
        states = (
            functional.embedding(ids, weights["embeddings.word_embeddings.weight"])
            + functional.embedding(positions, weights["embeddings.position_embeddings.weight"])
            + functional.embedding(kinds, segment_table)
        )
        return self._norm(states, "embeddings.LayerNorm")

    def _layer(self, states: Tensor, mask: Tensor, name: str) -> Tensor:
        attended = self._attention(states, mask, name + "attention.self.")
        states = self._norm(
            states + self._linear(attended, name + "attention.output.dense"),
            name + "attention.output.LayerNorm",
        )
        grown = functional.gelu(self._linear(states, name + "intermediate.dense"))
        return self._norm(states + self._linear(grown, name + "output.dense"), name + "output.LayerNorm")

    def _attention(self, states: Tensor, mask: Tensor, name: str) -> Tensor:
        count, length, hidden = states.shape
        query, key, value = (
            self._linear(states, name + part).view(count, length, self.shape.heads, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        return mixed.transpose(1, 2).reshape(count, length, hidden)

    def _linear(self, states: Tensor, name: str) -> Tensor:
        return functional.linear(states, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, states: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(states, (self.shape.hidden,), weight, bias, self.shape.eps)


def _plain_name(name: str) -> str:
    """Checkpoints of task models prefix the encoder's names."""
    for prefix in ("bert.", "roberta."):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
