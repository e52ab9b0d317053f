"""GPT-2: learned positions, biases everywhere, weights stored [inputs, outputs]."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from inference_backend.errors import CheckpointError
from inference_backend.kernels import plain
from inference_backend.layers import (
    Attention,
    Head,
    LayerBuilder,
    LayerNorm,
    Linear,
    LinearSpec,
    Piece,
    PlainMLP,
    StepContext,
    head,
)
from inference_backend.models.base import CausalLM, Family, attention_spec, token_embedding
from inference_backend.models.config import GELU_TANH, Fields, ModelConfig, check_activation, stored_dtype


def read_config(fields: Fields) -> ModelConfig:
    """GPT-2's config.json."""
    check_activation(fields, "activation_function", GELU_TANH)
    hidden, heads, layers = fields.integer("n_embd"), fields.integer("n_head"), fields.integer("n_layer")
    if fields.flag("scale_attn_by_inverse_layer_idx"):
        raise CheckpointError(f"{fields.where}: scale_attn_by_inverse_layer_idx is not supported")
    return ModelConfig(
        architecture="gpt2",
        vocab_size=fields.integer("vocab_size"),
        hidden_size=hidden,
        intermediate_size=fields.integer("n_inner", 4 * hidden),
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        max_positions=fields.integer("n_positions", 1024),
        eps=fields.number("layer_norm_epsilon", 1e-5),
        tied=True,
        dtype=stored_dtype(fields),
        eos_ids=fields.ids("eos_token_id"),
        windows=(None,) * layers,
        rope=None,
    )


class GPT2Layer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, norms: tuple[LayerNorm, LayerNorm], mix: Attention, mlp: PlainMLP) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = norms
        self.attention = mix
        self.mlp = mlp

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """States [T, hidden size] to states of the same shape."""
        x = x + plain(self.attention(self.attention_norm(x), step))
        out: Tensor = x + self.mlp(self.mlp_norm(x), step)
        return out


class GPT2(CausalLM):
    """Token and position embeddings, pre-norm layers, final norm, the tied head."""

    def __init__(self, builder: LayerBuilder, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        last = builder.layers[1] == config.layers
        # Older files leave the leading "transformer." out.
        root = "transformer." if builder.source.has("transformer.wte.weight") else ""
        self.first = builder.first_stage
        self.embedding = token_embedding(builder, config, f"{root}wte") if self.first else None
        self.positions = (
            builder.tensor(f"{root}wpe.weight", config.max_positions, config.hidden_size)
            if self.first
            else None
        )
        self.layers = nn.ModuleList(_layer(builder, config, layer, root) for layer in range(*builder.layers))
        self.norm = builder.layer_norm(f"{root}ln_f", config.hidden_size, config.eps) if last else None
        self.head = (
            Head(head(builder, f"{root}wte", (config.vocab_size, config.hidden_size))) if last else None
        )

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """Token ids int64 [T], or states [T, hidden size], to states [T, hidden size]."""
        if self.embedding is not None and self.positions is not None:
            x = self.embedding(x) + functional.embedding(step.inputs.positions, self.positions)
        for layer in self.layers:
            x = layer(x, step)
        return x if self.norm is None else self.norm(x)


def _layer(builder: LayerBuilder, config: ModelConfig, layer: int, root: str) -> GPT2Layer:
    name, hidden = f"{root}h.{layer}", config.hidden_size
    qkv = tuple(Piece(f"{name}.attn.c_attn", hidden, part * hidden, 3 * hidden) for part in range(3))
    spec = attention_spec(builder, config, layer)
    attention = Attention(
        _linear(builder, qkv, hidden, "columns"),
        _linear(builder, (Piece(f"{name}.attn.c_proj", hidden),), hidden, "rows"),
        spec,
        None,
        layer - builder.layers[0],
    )
    inner = config.intermediate_size
    mlp = PlainMLP(
        _linear(builder, (Piece(f"{name}.mlp.c_fc", inner),), hidden, "columns"),
        _linear(builder, (Piece(f"{name}.mlp.c_proj", hidden),), inner, "rows"),
    )
    norms = tuple(builder.layer_norm(f"{name}.ln_{number}", hidden, config.eps) for number in (1, 2))
    return GPT2Layer((norms[0], norms[1]), attention, mlp)


def _linear(builder: LayerBuilder, pieces: tuple[Piece, ...], inputs: int, split: str) -> Linear:
    columns = split == "columns"
    spec = LinearSpec(pieces, inputs, bias=True, split="columns" if columns else "rows", transposed=True)
    return builder.linear(spec)


FAMILY = Family("gpt2", ("GPT2LMHeadModel",), read_config, GPT2)
