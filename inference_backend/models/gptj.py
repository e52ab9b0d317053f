"""GPT-J: attention and feed-forward side by side on one norm, interleaved partial rotation, a biased head."""

from __future__ import annotations

from torch import Tensor, nn

from inference_backend.kernels import RopeTable, plain
from inference_backend.layers import (
    Attention,
    Head,
    LayerBuilder,
    LayerNorm,
    PlainMLP,
    RopeSettings,
    StepContext,
    head,
    rope_table,
)
from inference_backend.models.base import CausalLM, Family, attention_spec, token_embedding
from inference_backend.models.config import GELU_TANH, Fields, ModelConfig, check_activation, stored_dtype


def read_config(fields: Fields) -> ModelConfig:
    """GPT-J's config.json."""
    check_activation(fields, "activation_function", GELU_TANH)
    hidden, heads = fields.integer("n_embd"), fields.integer("n_head")
    layers, positions = fields.integer("n_layer"), fields.integer("n_positions", 2048)
    head_dim = hidden // heads
    return ModelConfig(
        architecture="gptj",
        vocab_size=fields.integer("vocab_size"),
        hidden_size=hidden,
        intermediate_size=fields.integer("n_inner", 4 * hidden),
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=head_dim,
        max_positions=positions,
        eps=fields.number("layer_norm_epsilon", 1e-5),
        tied=fields.flag("tie_word_embeddings"),
        dtype=stored_dtype(fields),
        eos_ids=fields.ids("eos_token_id"),
        windows=(None,) * layers,
        rope=RopeSettings(10000.0, fields.integer("rotary_dim", head_dim), positions, interleaved=True),
    )


class GPTJLayer(nn.Module):
    """x + attention(norm(x)) + mlp(norm(x))."""

    def __init__(self, norm: LayerNorm, mix: Attention, mlp: PlainMLP) -> None:
        super().__init__()
        self.norm = norm
        self.attention = mix
        self.mlp = mlp

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """States [T, hidden size] to states of the same shape."""
        normed = self.norm(x)
        out: Tensor = x + plain(self.attention(normed, step)) + self.mlp(normed, step)
        return out


class GPTJ(CausalLM):
    """Embedding, layers whose attention and feed-forward see the same norm, final norm, a head with a bias."""

    def __init__(self, builder: LayerBuilder, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        last = builder.layers[1] == config.layers
        table = None if config.rope is None else rope_table(config.rope, builder.positions, builder.device)
        self.first = builder.first_stage
        self.embedding = token_embedding(builder, config, "transformer.wte") if self.first else None
        self.layers = nn.ModuleList(_layer(builder, config, layer, table) for layer in range(*builder.layers))
        self.norm = builder.layer_norm("transformer.ln_f", config.hidden_size, config.eps) if last else None
        shape = (config.vocab_size, config.hidden_size)
        self.head = Head(head(builder, "lm_head", shape, bias=True)) if last else None

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """Token ids int64 [T], or states [T, hidden size], to states [T, hidden size]."""
        if self.embedding is not None:
            x = self.embedding(x)
        for layer in self.layers:
            x = layer(x, step)
        return x if self.norm is None else self.norm(x)


def _layer(builder: LayerBuilder, config: ModelConfig, layer: int, table: RopeTable | None) -> GPTJLayer:
    name, hidden = f"transformer.h.{layer}", config.hidden_size
    qkv = builder.columns(tuple((f"{name}.attn.{part}_proj", hidden) for part in "qkv"), hidden)
    output = builder.rows(f"{name}.attn.out_proj", hidden, hidden)
    spec = attention_spec(builder, config, layer)
    up = builder.columns(((f"{name}.mlp.fc_in", config.intermediate_size),), hidden, bias=True)
    down = builder.rows(f"{name}.mlp.fc_out", config.intermediate_size, hidden, bias=True)
    norm = builder.layer_norm(f"{name}.ln_1", hidden, config.eps)
    return GPTJLayer(norm, Attention(qkv, output, spec, table, layer - builder.layers[0]), PlainMLP(up, down))


FAMILY = Family("gptj", ("GPTJForCausalLM",), read_config, GPTJ)
