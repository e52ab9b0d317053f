"""Attention over the paged cache, from hidden states to hidden states."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from inference_backend import kernels
from inference_backend.kernels import (
    Activation,
    AttentionInputs,
    AttentionSpec,
    LayerCache,
    Output,
    Quantized,
    Queries,
    RopeTable,
)
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
        if wanted is not None and 0 < len(wanted) <= len(step.inputs.context_lengths):
            of_wanted = self._of_wanted(x, step, wanted)
            if of_wanted is not None:
                return self.output.unscaled(of_wanted, step.adapters)
        cache = step.caches[self.layer]
        queries = self._rotated(self.qkv.unscaled(x, step.adapters), self.spec, cache, step.inputs)
        mixed = kernels.paged_attention(queries, cache, step.inputs, self.spec)
        if wanted is not None:
            mixed = mixed[wanted]
        return self.output.unscaled(mixed, step.adapters)

    def _of_wanted(self, x: Activation, step: StepContext, wanted: Tensor) -> Tensor | None:
        """What the `wanted` tokens see; keys and values of all are written, but the others' queries never worked out.

        None where the projection cannot be cut into queries and the rest, or adapters add to it.
        """
        keys_at, end = (
            count * self.spec.head_dim
            for count in (self.spec.heads, self.spec.heads + 2 * self.spec.kv_heads)
        )
        query, other = self.qkv.part(0, keys_at), self.qkv.part(keys_at, end)
        if query is None or other is None or step.adapters is not None:
            return None
        cache, inputs = step.caches[self.layer], step.inputs.of_tokens(wanted)
        self._rotated(other.unscaled(x), replace(self.spec, heads=0), cache, step.inputs)
        own = x.of_tokens(wanted) if isinstance(x, Quantized) else x[wanted]
        queries = self._rotated(query.unscaled(own), replace(self.spec, kv_heads=0), cache, inputs)
        return kernels.paged_attention(queries, cache, inputs, self.spec)

    def _rotated(
        self, qkv: Output, spec: AttentionSpec, cache: LayerCache, inputs: AttentionInputs
    ) -> Queries:
        """The queries [T, H, D] of a projection that holds `spec`'s heads; its keys and values go to the cache."""
        if self.head_norms is not None:
            qkv = _normalised(kernels.plain(qkv), spec, *self.head_norms)
        return kernels.rope_and_cache_kv(qkv, spec, self.table, cache, inputs)


def _normalised(qkv: Tensor, spec: AttentionSpec, query_norm: RMSNorm, key_norm: RMSNorm) -> Tensor:
    # `shape` and not `len`: an exported graph is made for any number of tokens.
    heads = qkv.view(qkv.shape[0], -1, spec.head_dim)
    keys_at, values_at = spec.heads, spec.heads + spec.kv_heads
    heads[:, :keys_at] = query_norm.plain(heads[:, :keys_at])
    heads[:, keys_at:values_at] = key_norm.plain(heads[:, keys_at:values_at])
    return qkv
