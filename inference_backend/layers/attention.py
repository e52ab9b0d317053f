"""Attention over the paged cache, from hidden states to hidden states."""

from __future__ import annotations

from torch import Tensor, nn

from inference_backend import kernels
from inference_backend.kernels import Activation, AttentionSpec, Output, RopeTable
from inference_backend.layers.context import StepContext
from inference_backend.layers.linear import Linear
from inference_backend.layers.norm import RMSNorm


class Attention(nn.Module):
    """Fused query-key-value projection, rotation and cache write, attention, output projection.

    `spec` counts this rank's heads. `layer` is the index among this stage's caches. `head_norms` normalise each
    query head and each key head before rotation (Qwen3).
    """

    def __init__(
        self, qkv: Linear, output: Linear, spec: AttentionSpec, table: RopeTable | None, layer: int
    ) -> None:
        super().__init__()
        self.qkv = qkv
        self.output = output
        self.spec = spec
        self.table = table
        self.layer = layer
        self.head_norms: tuple[RMSNorm, RMSNorm] | None = None

    def forward(self, x: Activation, step: StepContext, wanted: Tensor | None = None) -> Output:
        """Hidden states of all tokens, or of the `wanted` ones."""
        cache = step.caches[self.layer]
        qkv = self.qkv.unscaled(x, step.adapters)
        if self.head_norms is not None:
            qkv = self._normalised(kernels.plain(qkv), *self.head_norms)
        queries = kernels.rope_and_cache_kv(qkv, self.spec, self.table, cache, step.inputs)
        mixed = kernels.paged_attention(queries, cache, step.inputs, self.spec)
        if wanted is not None:
            mixed = mixed[wanted]
        return self.output.unscaled(mixed, step.adapters)

    def _normalised(self, qkv: Tensor, query_norm: RMSNorm, key_norm: RMSNorm) -> Tensor:
        # `shape` and not `len`: an exported graph is made for any number of tokens.
        heads = qkv.view(qkv.shape[0], -1, self.spec.head_dim)
        keys_at, values_at = self.spec.heads, self.spec.heads + self.spec.kv_heads
        heads[:, :keys_at] = query_norm.plain(heads[:, :keys_at])
        heads[:, keys_at:values_at] = key_norm.plain(heads[:, keys_at:values_at])
        return qkv
