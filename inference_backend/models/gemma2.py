"""Gemma 2: norms before and after each sub-layer, soft caps, and every other layer behind a sliding window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference_backend.kernels import RopeTable
from inference_backend.layers import Attention, GatedMLP, LayerBuilder, RMSNorm, StepContext, rope_table
from inference_backend.models.base import (
    CausalLM,
    Family,
    attention,
    output_head,
    token_embedding,
    wanted_form,
)
from inference_backend.models.config import (
    GELU_TANH,
    Fields,
    ModelConfig,
    check_activation,
    common,
    layer_windows,
)


def read_config(fields: Fields) -> ModelConfig:
    """Gemma 2's config.json."""
    check_activation(fields, "hidden_activation", GELU_TANH)
    window = fields.integer("sliding_window", 4096)
    shared = common(fields)
    windows = layer_windows(fields, window)
    if not isinstance(fields.raw.get("layer_types"), list):
        windows = tuple(None if layer % 2 else window for layer in range(shared["layers"]))
    bias = fields.flag("attention_bias")
    return ModelConfig(
        architecture="gemma2",
        **{**shared, "windows": windows, "tied": fields.flag("tie_word_embeddings", default=True)},
        attention_bias=bias,
        output_bias=bias,
        attention_soft_cap=_cap(fields, "attn_logit_softcapping"),
        logit_soft_cap=_cap(fields, "final_logit_softcapping"),
        attention_scale=fields.number("query_pre_attn_scalar", 256.0) ** -0.5,
    )


def _cap(fields: Fields, key: str) -> float | None:
    return fields.number(key) if fields.has(key) else None


class Gemma2Layer(nn.Module):
    """x + norm(attention(norm(x))), then x + norm(mlp(norm(x)))."""

    def __init__(self, norms: tuple[RMSNorm, ...], mix: Attention, mlp: GatedMLP) -> None:
        super().__init__()
        self.before_attention, self.after_attention, self.before_mlp, self.after_mlp = norms
        self.attention = mix
        self.mlp = mlp

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """States [T, hidden size] to states of the same shape."""
        normed = self.before_attention(x, wanted_form(self.attention.qkv, step))
        mixed = self.after_attention.plain(self.attention(normed, step))
        normed, x = self.before_mlp.add(mixed, x, wanted_form(self.mlp.gate_up, step))
        return x + self.after_mlp.plain(self.mlp(normed, step))


class Gemma2(CausalLM):
    """Scaled embedding, layers with norms on both sides, final norm, a head whose logits may be capped."""

    def __init__(self, builder: LayerBuilder, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        last = builder.layers[1] == config.layers
        table = None if config.rope is None else rope_table(config.rope, builder.positions, builder.device)
        self.embedding = token_embedding(builder, config) if builder.first_stage or last else None
        self.first = builder.first_stage
        # The scale is rounded to the model's dtype before use: the checkpoints were trained so.
        self.embedding_scale = float(torch.tensor(config.hidden_size**0.5, dtype=builder.place.dtype))
        self.layers = nn.ModuleList(_layer(builder, config, layer, table) for layer in range(*builder.layers))
        self.norm = _norm(builder, config, "model.norm") if last else None
        self.head = output_head(builder, config) if last else None

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """Token ids int64 [T], or states [T, hidden size], to states [T, hidden size]."""
        if self.first and self.embedding is not None:
            x = self.embedding(x) * self.embedding_scale
        for layer in self.layers:
            x = layer(x, step)
        return x if self.norm is None else self.norm.plain(x)


def _norm(builder: LayerBuilder, config: ModelConfig, name: str) -> RMSNorm:
    return builder.rms_norm(name, config.hidden_size, config.eps, offset=1.0)


def _layer(builder: LayerBuilder, config: ModelConfig, layer: int, table: RopeTable | None) -> Gemma2Layer:
    name = f"model.layers.{layer}"
    norms = tuple(
        _norm(builder, config, f"{name}.{kind}_layernorm")
        for kind in ("input", "post_attention", "pre_feedforward", "post_feedforward")
    )
    inner = config.intermediate_size
    sizes = ((f"{name}.mlp.gate_proj", inner), (f"{name}.mlp.up_proj", inner))
    gate_up = builder.columns(sizes, config.hidden_size)
    mlp = GatedMLP(gate_up, builder.rows(f"{name}.mlp.down_proj", inner, config.hidden_size), "gelu_tanh")
    return Gemma2Layer(norms, attention(builder, config, layer, table), mlp)


FAMILY = Family("gemma2", ("Gemma2ForCausalLM",), read_config, Gemma2)
