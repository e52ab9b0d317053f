"""Llama 2 and 3.x, and Mistral, which differs by a sliding window."""

from __future__ import annotations

from inference_backend.layers import LayerBuilder
from inference_backend.models.base import CausalLM, Family, PreNormDecoder, llama_layer
from inference_backend.models.config import SILU, Fields, ModelConfig, check_activation, common, layer_windows


def read_config(fields: Fields) -> ModelConfig:
    """Llama's or Mistral's config.json."""
    check_activation(fields, "hidden_act", SILU)
    bias = fields.flag("attention_bias")
    return ModelConfig(
        architecture="llama",
        **{**common(fields), "windows": layer_windows(fields, fields.maybe("sliding_window"))},
        attention_bias=bias,
        output_bias=bias,
        mlp_bias=fields.flag("mlp_bias"),
    )


def build(builder: LayerBuilder, config: ModelConfig) -> CausalLM:
    """The stage's share of a Llama."""
    return PreNormDecoder(builder, config, lambda layer, table: llama_layer(builder, config, layer, table))


FAMILY = Family("llama", ("LlamaForCausalLM", "MistralForCausalLM"), read_config, build)
