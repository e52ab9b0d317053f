"""Mixtral: Llama with a sparse mixture of gated feed-forwards; each token goes through the best few of them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from inference_backend.kernels import AdapterRows, RopeTable, plain
from inference_backend.layers import GatedMLP, LayerBuilder, Linear, LinearSpec, Piece, StepContext
from inference_backend.models.base import CausalLM, Family, PreNormDecoder, PreNormLayer, attention, norm_pair
from inference_backend.models.config import SILU, Fields, ModelConfig, check_activation, common, layer_windows


def read_config(fields: Fields) -> ModelConfig:
    """Mixtral's config.json."""
    check_activation(fields, "hidden_act", SILU)
    return ModelConfig(
        architecture="mixtral",
        **{**common(fields), "windows": layer_windows(fields, fields.maybe("sliding_window"))},
        experts=fields.integer("num_local_experts"),
        experts_per_token=fields.integer("num_experts_per_tok"),
    )


class MixtureMLP(nn.Module):
    """Routing by softmax over all experts, the weights of the chosen ones scaled to one (Jiang et al., 2024)."""

    def __init__(self, router: Linear, experts: list[GatedMLP], chosen: int) -> None:
        super().__init__()
        self.router = router
        self.experts = nn.ModuleList(experts)
        self.chosen = chosen

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """[T, hidden size] to the same shape: each token through its experts, weighted."""
        probabilities = torch.softmax(self.router(x, step.adapters).float(), dim=-1)
        weights, picks = probabilities.topk(self.chosen, dim=-1)
        weights = (weights / weights.sum(dim=-1, keepdim=True)).to(x.dtype)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, places = torch.where(picks == number)
            if len(rows):
                found = plain(expert(x[rows], _among(step, rows)))
                out.index_add_(0, rows, found * weights[rows, places, None])
        return out


def _among(step: StepContext, rows: Tensor) -> StepContext:
    """The step as an expert sees it: only some of its tokens, each with its adapter."""
    if step.adapters is None:
        return step
    return replace(step, adapters=AdapterRows(step.adapters.indexes[rows], step.adapters.active))


def build(builder: LayerBuilder, config: ModelConfig) -> CausalLM:
    """The stage's share of a Mixtral."""
    return PreNormDecoder(builder, config, lambda layer, table: _layer(builder, config, layer, table))


def _layer(builder: LayerBuilder, config: ModelConfig, layer: int, table: RopeTable | None) -> PreNormLayer:
    name = f"model.layers.{layer}.block_sparse_moe"
    router = builder.dense(LinearSpec((Piece(f"{name}.gate", config.experts),), config.hidden_size))
    experts = [_expert(builder, config, f"{name}.experts.{number}") for number in range(config.experts)]
    mlp = MixtureMLP(router, experts, config.experts_per_token)
    return PreNormLayer(
        norm_pair(builder, config, layer), attention(builder, config, layer, table), mlp, None
    )


def _expert(builder: LayerBuilder, config: ModelConfig, name: str) -> GatedMLP:
    inner, hidden = config.intermediate_size, config.hidden_size
    gate_up = builder.columns(((f"{name}.w1", inner), (f"{name}.w3", inner)), hidden)
    return GatedMLP(gate_up, builder.rows(f"{name}.w2", inner, hidden))


FAMILY = Family("mixtral", ("MixtralForCausalLM",), read_config, build)
