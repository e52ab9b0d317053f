"""Phi-3: Llama with fused projections in the file, a partial rotation and LongRoPE."""

from __future__ import annotations

from inference_backend.kernels import RopeTable
from inference_backend.layers import GatedMLP, LayerBuilder, LinearSpec, Piece
from inference_backend.models.base import CausalLM, Family, PreNormDecoder, PreNormLayer, attention, norm_pair
from inference_backend.models.config import SILU, Fields, ModelConfig, check_activation, common, layer_windows


def read_config(fields: Fields) -> ModelConfig:
    """Phi-3's config.json."""
    check_activation(fields, "hidden_act", SILU)
    windows = layer_windows(fields, fields.maybe("sliding_window"))
    return ModelConfig(architecture="phi3", **{**common(fields), "windows": windows})


def build(builder: LayerBuilder, config: ModelConfig) -> CausalLM:
    """The stage's share of a Phi-3."""
    return PreNormDecoder(builder, config, lambda layer, table: _layer(builder, config, layer, table))


def _layer(builder: LayerBuilder, config: ModelConfig, layer: int, table: RopeTable | None) -> PreNormLayer:
    name = f"model.layers.{layer}"
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    qkv = builder.linear(_fused(f"{name}.self_attn.qkv_proj", (queries, keys, keys), config.hidden_size))
    inner = config.intermediate_size
    gate_up = builder.linear(_fused(f"{name}.mlp.gate_up_proj", (inner, inner), config.hidden_size))
    mlp = GatedMLP(gate_up, builder.rows(f"{name}.mlp.down_proj", inner, config.hidden_size))
    norms = norm_pair(builder, config, layer)
    return PreNormLayer(norms, attention(builder, config, layer, table, qkv), mlp, gate_up)


def _fused(name: str, sizes: tuple[int, ...], inputs: int) -> LinearSpec:
    """One stored tensor, cut where its parts meet, so that each part is split over ranks by itself."""
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    pieces = tuple(Piece(name, size, start, sum(sizes)) for size, start in zip(sizes, starts, strict=True))
    return LinearSpec(pieces, inputs, split="columns")


FAMILY = Family("phi3", ("Phi3ForCausalLM",), read_config, build)
