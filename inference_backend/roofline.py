"""What a GPU can reach with a model, worked out before anything is loaded.

A decode step reads every weight and every running sequence's keys and values once, and multiplies each weight once
per sequence; the slower of reading and multiplying bounds the linear layers, reading bounds attention. One stream
runs them one after the other, so their times add (the "serial" bound). A prompt is bound by multiplying.
Tensor-parallel cards each do their share and add up the states twice a layer. Rates of the H200 are measured ones;
those of other cards are their data sheets', scaled by what the H200 reaches of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inference_backend.errors import CheckpointError
from inference_backend.models import ModelConfig, load_config
from inference_backend.quantization import stored_quantization
from inference_backend.settings import KVDType, Quantization

_GB = 1e9
_RESERVE_BYTES = 3e9
_SUM_SECONDS = 7e-6  # of a sum over ranks, however small: measured between two H200s
_LINK_RATE = 200e9  # bytes/s of what is summed, measured there too


@dataclass(frozen=True, slots=True)
class Gpu:
    """Memory in bytes, read rate in bytes/s, dense multiply-add rates in FLOP/s."""

    name: str
    memory: float
    bandwidth: float
    flops16: float
    flops8: float


_READ, _FLOPS16, _FLOPS8 = 4.41 / 4.8, 676 / 989, 1320 / 1979  # what an H200 reaches of its data sheet


def _from_sheet(name: str, gigabytes: float, terabytes_s: float, tflops16: float, tflops8: float) -> Gpu:
    return Gpu(
        name,
        gigabytes * _GB,
        terabytes_s * 1e12 * _READ,
        tflops16 * 1e12 * _FLOPS16,
        tflops8 * 1e12 * _FLOPS8,
    )


GPUS: dict[str, Gpu] = {
    gpu.name: gpu
    for gpu in (
        Gpu("h200", 143_771 * 2**20, 4.41e12, 676e12, 1320e12),
        _from_sheet("h100", 80, 3.35, 989, 1979),
        _from_sheet("a100", 80, 2.04, 312, 312),
        _from_sheet("l40s", 48, 0.864, 362, 733),
        _from_sheet("l4", 24, 0.3, 121, 242),
        _from_sheet("a10", 24, 0.6, 125, 125),
        _from_sheet("b200", 180, 8.0, 2250, 4500),
    )
}
_WEIGHT_BYTES: dict[str | None, float] = {
    None: 2.0,
    "fp8": 1.0,
    "int8-weights": 1.0,
    "smoothquant": 1.0,
    "int4": 0.52,
}
_EIGHT_BIT_PRODUCTS = {"fp8", "smoothquant"}


@dataclass(frozen=True, slots=True)
class Prediction:
    """Bounds for one GPU, or several that share each layer.

    Attributes:
        parameters: all weights, embedding included.
        weight_bytes: what they take in the memory of each card.
        kv_bytes_per_token: over all layers, on each card.
        cache_tokens: tokens of keys and values that fit beside the weights; 0 where the weights alone do not fit.
        max_sequences: sequences of prompt + output that fit at once.
        batch: sequences that the figures below are for.
        prefill_seconds: for one prompt.
        step_seconds: one decode step of the batch.
        single_tokens_per_second, batch_tokens_per_second: output tokens, decode alone, of one sequence and the batch.
        served_tokens_per_second: output tokens of the batch, its prompts included.
    """

    gpu: Gpu
    parameters: float
    weight_bytes: float
    kv_bytes_per_token: float
    cache_tokens: int
    max_sequences: int
    batch: int
    prefill_seconds: float
    step_seconds: float
    single_tokens_per_second: float
    batch_tokens_per_second: float
    served_tokens_per_second: float

    @property
    def fits(self) -> bool:
        """Whether one sequence at least has room beside the weights."""
        return self.max_sequences > 0


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the model: tokens per prompt and answer, and sequences at once (None: as many as fit, to 512).

    `cards` is how many share each layer (tensor parallel).
    """

    prompt: int = 1024
    output: int = 256
    batch: int | None = None
    cards: int = 1


def predict(
    folder: Path, gpu: Gpu, load: Load, quantization: Quantization | None = None, kv_dtype: KVDType = "auto"
) -> Prediction:
    """Predict from `config.json` alone; `quantization` None is what the folder says of itself.

    Raises:
        CheckpointError: there is none, it is of an unknown architecture, or its heads cannot be shared so.
    """
    config = load_config(folder)
    quantization = quantization or stored_quantization(folder)
    if config.kv_heads % load.cards:
        raise CheckpointError(f"{config.kv_heads} KV heads cannot be shared by {load.cards} cards")
    whole = _sizes(config)
    sizes = whole.shared(load.cards)
    weight_bytes = sizes.linear * _WEIGHT_BYTES[quantization] + (sizes.head + sizes.embedding) * 2.0
    kv_heads = config.kv_heads // load.cards
    kv_bytes = 2.0 * config.layers * kv_heads * config.head_dim * (2.0 if kv_dtype == "auto" else 1.0)
    room = gpu.memory * 0.95 - weight_bytes - _RESERVE_BYTES
    cache_tokens = max(int(room / kv_bytes), 0)
    most = cache_tokens // (load.prompt + load.output)
    batch = max(load.batch or min(most, 512), 1)
    model = _Costs(config, sizes, gpu, quantization, kv_bytes, load.cards)
    length = load.prompt + load.output / 2
    prefill, step = model.prefill(load.prompt), model.step(batch, length)
    return Prediction(
        gpu=gpu,
        parameters=whole.linear + whole.head + whole.embedding,
        weight_bytes=weight_bytes,
        kv_bytes_per_token=kv_bytes,
        cache_tokens=cache_tokens,
        max_sequences=most,
        batch=batch,
        prefill_seconds=prefill,
        step_seconds=step,
        single_tokens_per_second=1 / model.step(1, length),
        batch_tokens_per_second=batch / step,
        served_tokens_per_second=batch * load.output / (batch * prefill + load.output * step),
    )


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Parameters: of the layers, those of the layers that one token uses, of the head, of a separate embedding."""

    linear: float
    used: float
    head: float
    embedding: float

    def shared(self, cards: int) -> _Sizes:
        """What each of several cards holds: the embedding is whole on each."""
        return _Sizes(self.linear / cards, self.used / cards, self.head / cards, self.embedding)


def _sizes(config: ModelConfig) -> _Sizes:
    hidden, inner = config.hidden_size, config.intermediate_size
    attention = hidden * config.head_dim * (2 * config.heads + 2 * config.kv_heads)
    matrices = 2 if config.architecture in {"gpt2", "gptj"} else 3
    mlp = matrices * hidden * inner
    experts = max(config.experts, 1)
    used = max(config.experts_per_token, 1)
    head = float(config.vocab_size * hidden)
    return _Sizes(
        linear=config.layers * float(attention + mlp * experts),
        used=config.layers * float(attention + mlp * used),
        head=head,
        embedding=0.0 if config.tied else head,
    )


@dataclass(frozen=True, slots=True)
class _Costs:
    """Seconds of a step and of a prompt."""

    config: ModelConfig
    sizes: _Sizes
    gpu: Gpu
    quantization: Quantization | None
    kv_bytes: float
    cards: int

    @property
    def _pairs(self) -> float:
        """Operations per query and key on each card."""
        return 4.0 * self.config.layers * self.config.heads * self.config.head_dim / self.cards

    def _sums(self, tokens: float) -> float:
        """Adding up the states of so many tokens over the cards."""
        if self.cards == 1:
            return 0.0
        return 2 * self.config.layers * (_SUM_SECONDS + tokens * self.config.hidden_size * 2.0 / _LINK_RATE)

    @property
    def _rate(self) -> float:
        return self.gpu.flops8 if self.quantization in _EIGHT_BIT_PRODUCTS else self.gpu.flops16

    def _linear(self, tokens: float, heads: float) -> float:
        """The linear layers over so many tokens, and the head over `heads` of them."""
        read = self.sizes.linear * _WEIGHT_BYTES[self.quantization] + self.sizes.head * 2.0
        multiply = 2 * tokens * self.sizes.used / self._rate + 2 * heads * self.sizes.head / self.gpu.flops16
        return max(read / self.gpu.bandwidth, multiply)

    def step(self, batch: int, length: float) -> float:
        """Seconds of one decoding step of `batch` sequences with `length` tokens each."""
        attention = max(
            batch * length * self.kv_bytes / self.gpu.bandwidth,
            batch * length * self._pairs / self.gpu.flops16,
        )
        logits = batch * self.config.vocab_size * 8 / self.gpu.bandwidth
        return self._linear(batch, batch) + attention + logits + self._sums(batch)

    def prefill(self, prompt: int) -> float:
        """Seconds until a prompt of so many tokens is computed, alone."""
        attention = prompt**2 / 2 * self._pairs / self.gpu.flops16
        return self._linear(prompt, 1) + attention + self._sums(prompt)
