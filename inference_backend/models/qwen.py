"""Qwen 2, 2.5 (biases on queries, keys and values) and Qwen 3 (norms on query and key heads)."""

from __future__ import annotations

from dataclasses import replace

from inference_backend.layers import LayerBuilder
from inference_backend.models.base import CausalLM, Family, PreNormDecoder, llama_layer
from inference_backend.models.config import SILU, Fields, ModelConfig, check_activation, common, layer_windows


def read_qwen2(fields: Fields) -> ModelConfig:
    """Qwen 2's and 2.5's config.json."""
    check_activation(fields, "hidden_act", SILU)
    window = fields.maybe("sliding_window") if fields.flag("use_sliding_window") else None
    windows = layer_windows(fields, window, fields.integer("max_window_layers", 0))
    return ModelConfig(architecture="qwen2", **{**common(fields), "windows": windows}, attention_bias=True)


def read_qwen3(fields: Fields) -> ModelConfig:
    """Qwen 3's config.json."""
    bias = fields.flag("attention_bias")
    config = read_qwen2(fields)
    return replace(
        config,
        architecture="qwen3",
        head_dim=fields.integer("head_dim", 128),
        attention_bias=bias,
        output_bias=bias,
        head_norms=True,
    )


def build(builder: LayerBuilder, config: ModelConfig) -> CausalLM:
    """The stage's share of a Qwen."""
    return PreNormDecoder(builder, config, lambda layer, table: llama_layer(builder, config, layer, table))


QWEN2 = Family("qwen2", ("Qwen2ForCausalLM",), read_qwen2, build)
QWEN3 = Family("qwen3", ("Qwen3ForCausalLM",), read_qwen3, build)
