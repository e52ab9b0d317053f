"""What all families share: the interface of a model, and the pre-norm decoder that most of them are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from inference_backend.kernels import Activation, ActivationFormat, AttentionSpec, Output, RopeTable, plain
from inference_backend.layers import (
    Attention,
    Embedding,
    GatedMLP,
    Head,
    LayerBuilder,
    Linear,
    RMSNorm,
    StepContext,
    head,
    rope_table,
)
from inference_backend.models.config import Fields, ModelConfig


class CausalLM(nn.Module, ABC):
    """A decoder, or one pipeline stage of it.

    Stages: the first takes token ids int64 [T], later ones the states [T, hidden size] of the stage before; the
    last one returns normalised hidden states, the others plain ones.
    """

    config: ModelConfig
    embedding: Embedding | None
    head: Head | None
    first: bool  # whether it takes token ids
    trims = False  # whether `StepContext.wanted` is heeded

    @abstractmethod
    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """Run the stage over the step's T tokens."""

    def logits(self, hidden: Tensor, *, narrow: bool = False) -> Tensor:
        """Float32 [S, vocabulary] of the last stage's hidden states [S, hidden size].

        `narrow` leaves them in the product's dtype, which holds all they have.
        """
        if self.head is None:
            raise TypeError("only the last pipeline stage has a head")
        out: Tensor = self.head(hidden, narrow=narrow)
        return out


@dataclass(frozen=True, slots=True)
class Family:
    """Models of one build: their `name` is `ModelConfig.architecture`, `architectures` are what `config.json` says."""

    name: str
    architectures: tuple[str, ...]
    config: Callable[[Fields], ModelConfig]
    build: Callable[[LayerBuilder, ModelConfig], CausalLM]


def wanted_form(linear: Linear, step: StepContext) -> ActivationFormat:
    """What to hand a linear layer: adapters need the activations before quantisation."""
    return "plain" if step.adapters is not None else linear.form


class PreNormLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), with the sums fused into the norms that follow them."""

    def __init__(
        self, norms: tuple[RMSNorm, RMSNorm], attention: Attention, mlp: nn.Module, mlp_input: Linear | None
    ) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = norms
        self.attention = attention
        self.mlp = mlp
        self._mlp_input = [mlp_input]  # in a list, so that it is not registered a second time

    def forward(
        self, x: Output, residual: Tensor | None, step: StepContext, wanted: Tensor | None = None
    ) -> tuple[Output, Tensor]:
        """`x` is the last sub-layer's output, not yet added to `residual`; returns the same pair, of `wanted` tokens."""
        form = wanted_form(self.attention.qkv, step)
        normed: Activation
        if residual is None:
            residual = plain(x)
            normed = self.attention_norm(residual, form)
        else:
            normed, residual = self.attention_norm.add(x, residual, form)
        mixed = self.attention(normed, step, wanted)
        if wanted is not None:
            residual = residual[wanted]
        first = self._mlp_input[0]
        normed, residual = self.mlp_norm.add(mixed, residual, wanted_form(first, step) if first else "plain")
        return self.mlp(normed, step), residual


class PreNormDecoder(CausalLM):
    """Embedding, pre-norm layers, final norm, head: Llama and its relatives."""

    trims = True

    def __init__(
        self,
        builder: LayerBuilder,
        config: ModelConfig,
        layer: Callable[[int, RopeTable | None], PreNormLayer],
    ) -> None:
        super().__init__()
        self.config = config
        last = builder.layers[1] == config.layers
        table = None if config.rope is None else rope_table(config.rope, builder.positions, builder.device)
        self.embedding = (
            token_embedding(builder, config) if builder.first_stage or (last and config.tied) else None
        )
        self.first = builder.first_stage
        self.layers = nn.ModuleList(layer(index, table) for index in range(*builder.layers))
        self.norm = builder.rms_norm("model.norm", config.hidden_size, config.eps) if last else None
        self.head = output_head(builder, config) if last else None

    def forward(self, x: Tensor, step: StepContext) -> Tensor:
        """Token ids int64 [T], or states [T, hidden size], to states of all tokens, or of those wanted at the end."""
        if self.first and self.embedding is not None:
            x = self.embedding(x)
        out: Output = x
        residual: Tensor | None = None
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            wanted = step.wanted if number == last and self.norm is not None else None
            out, residual = layer(out, residual, step, wanted)
        if residual is None:
            return plain(out)
        if self.norm is None:
            return plain(out) + residual
        normed, _ = self.norm.add(out, residual)
        return normed if isinstance(normed, Tensor) else normed.data


def token_embedding(
    builder: LayerBuilder, config: ModelConfig, name: str = "model.embed_tokens"
) -> Embedding:
    """The embedding table, every row on every rank."""
    table = builder.tensor(f"{name}.weight", config.vocab_size, config.hidden_size)
    return Embedding(table, builder.prefix_rows)


def output_head(builder: LayerBuilder, config: ModelConfig, embedding: str = "model.embed_tokens") -> Head:
    """`lm_head`, or the embedding's table where they are tied (or where a tied file left `lm_head` out)."""
    tied = config.tied or not builder.source.has("lm_head.weight")
    name = embedding if tied else "lm_head"
    linear = head(builder, name, (config.vocab_size, config.hidden_size))
    return Head(linear, config.logit_soft_cap)


def attention_spec(builder: LayerBuilder, config: ModelConfig, layer: int) -> AttentionSpec:
    """This rank's share of a layer's heads."""
    heads = builder.group.share(config.heads, "num_attention_heads")
    kv_heads = builder.group.share(config.kv_heads, "num_key_value_heads")
    return AttentionSpec(
        heads=heads[1] - heads[0],
        kv_heads=kv_heads[1] - kv_heads[0],
        head_dim=config.head_dim,
        scale=config.scale,
        window=config.windows[layer],
        soft_cap=config.attention_soft_cap,
    )


def attention(
    builder: LayerBuilder, config: ModelConfig, layer: int, table: RopeTable | None, qkv: Linear | None = None
) -> Attention:
    """Attention under Llama's names; `qkv` given where the checkpoint has it fused."""
    name = f"model.layers.{layer}.self_attn"
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    names = ((f"{name}.q_proj", queries), (f"{name}.k_proj", keys), (f"{name}.v_proj", keys))
    qkv = qkv or builder.columns(names, config.hidden_size, bias=config.attention_bias)
    output = builder.rows(f"{name}.o_proj", queries, config.hidden_size, bias=config.output_bias)
    made = Attention(qkv, output, attention_spec(builder, config, layer), table, layer - builder.layers[0])
    if config.head_norms:
        made.head_norms = (
            builder.rms_norm(f"{name}.q_norm", config.head_dim, config.eps),
            builder.rms_norm(f"{name}.k_norm", config.head_dim, config.eps),
        )
    return made


def gated_mlp(builder: LayerBuilder, config: ModelConfig, layer: int) -> GatedMLP:
    """The SwiGLU feed-forward under Llama's names."""
    name = f"model.layers.{layer}.mlp"
    sizes = ((f"{name}.gate_proj", config.intermediate_size), (f"{name}.up_proj", config.intermediate_size))
    gate_up = builder.columns(sizes, config.hidden_size, bias=config.mlp_bias)
    down = builder.rows(
        f"{name}.down_proj", config.intermediate_size, config.hidden_size, bias=config.mlp_bias
    )
    return GatedMLP(gate_up, down)


def norm_pair(builder: LayerBuilder, config: ModelConfig, layer: int) -> tuple[RMSNorm, RMSNorm]:
    """The norms before attention and before the feed-forward, under Llama's names."""
    name = f"model.layers.{layer}"
    return (
        builder.rms_norm(f"{name}.input_layernorm", config.hidden_size, config.eps),
        builder.rms_norm(f"{name}.post_attention_layernorm", config.hidden_size, config.eps),
    )


def llama_layer(
    builder: LayerBuilder, config: ModelConfig, layer: int, table: RopeTable | None
) -> PreNormLayer:
    """One layer under Llama's names."""
    mlp = gated_mlp(builder, config, layer)
    norms = norm_pair(builder, config, layer)
    return PreNormLayer(norms, attention(builder, config, layer, table), mlp, mlp.gate_up)
