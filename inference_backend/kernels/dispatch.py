"""Which implementation runs: Triton's for tensors on an NVIDIA GPU, plain torch for all others."""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from inference_backend.kernels import reference, reference_linear
from inference_backend.kernels.values import (
    Activation,
    ActivationFormat,
    AdapterRows,
    AttentionInputs,
    AttentionSpec,
    Deferred,
    LayerCache,
    Multiplier,
    Output,
    Product,
    Quantized,
    Queries,
    RopeTable,
)


def _on_gpu(x: Output) -> bool:
    if isinstance(x, Deferred):
        return x.x.is_cuda
    return (x.data if isinstance(x, Product) else x).is_cuda


def _cuda() -> ModuleType:
    from inference_backend.kernels import cuda

    return cuda


def plain(x: Output) -> Tensor:
    """The values of a product, its scales multiplied in."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Deferred):
        return x.plain
    made: Tensor = _cuda().multiplied(x) if x.data.is_cuda else x.plain
    return made


def quantize_per_token(x: Tensor, form: ActivationFormat) -> Activation:
    """See `reference.quantize_per_token`."""
    made: Activation = (_cuda() if x.is_cuda else reference).quantize_per_token(x, form)
    return made


def rms_norm(
    x: Output, weight: Tensor, eps: float, *, offset: float = 0.0, form: ActivationFormat = "plain"
) -> Activation:
    """See `reference.rms_norm`."""
    # Without a sum the input itself is kept as the residual, so its scales must be multiplied in anyway.
    made: Activation = (_cuda() if _on_gpu(x) else reference).rms_norm(
        plain(x), weight, eps, offset=offset, form=form
    )
    return made


def add_rms_norm(
    x: Output,
    residual: Tensor,
    weight: Tensor,
    eps: float,
    *,
    offset: float = 0.0,
    form: ActivationFormat = "plain",
) -> tuple[Activation, Tensor]:
    """See `reference.add_rms_norm`."""
    if not _on_gpu(x):
        return reference.add_rms_norm(plain(x), residual, weight, eps, offset=offset, form=form)
    made: tuple[Activation, Tensor] = _cuda().add_rms_norm(x, residual, weight, eps, offset=offset, form=form)
    return made


def silu_mul(gate_up: Output, *, form: ActivationFormat = "plain") -> Activation:
    """See `reference.silu_mul`."""
    if not _on_gpu(gate_up):
        return reference.silu_mul(plain(gate_up), form=form)
    made: Activation = _cuda().silu_mul(gate_up, form=form)
    return made


def gelu_tanh_mul(gate_up: Output, *, form: ActivationFormat = "plain") -> Activation:
    """See `reference.gelu_tanh_mul`."""
    if not _on_gpu(gate_up):
        return reference.gelu_tanh_mul(plain(gate_up), form=form)
    made: Activation = _cuda().gelu_tanh_mul(gate_up, form=form)
    return made


def rope_and_cache_kv(
    qkv: Output, spec: AttentionSpec, table: RopeTable | None, cache: LayerCache, inputs: AttentionInputs
) -> Queries:
    """See `reference.rope_and_cache_kv`."""
    if not _on_gpu(qkv):
        return reference.rope_and_cache_kv(plain(qkv), spec, table, cache, inputs)
    made: Queries = _cuda().rope_and_cache_kv(qkv, spec, table, cache, inputs)
    return made


def paged_attention(
    queries: Queries, cache: LayerCache, inputs: AttentionInputs, spec: AttentionSpec
) -> Tensor:
    """See `reference.paged_attention`."""
    if isinstance(queries, Tensor) and not queries.is_cuda:
        return reference.paged_attention(queries, cache, inputs, spec)
    made: Tensor = _cuda().paged_attention(queries, cache, inputs, spec)
    return made


def dense_linear(x: Tensor, weight: Tensor, by: Multiplier | None = None) -> Output:
    """`x` [..., n] by a floating-point weight [outputs, n]: [..., outputs]; on a GPU, many tokens are multiplied `by`."""
    if not x.is_cuda:
        return reference.dense_linear(x, weight)
    made: Output = _cuda().dense_linear(x, weight, by)
    return made


def lora(out: Tensor, x: Tensor, down: Tensor, up: Tensor, rows: AdapterRows) -> Tensor:
    """See `reference.lora`."""
    made: Tensor = (_cuda() if out.is_cuda else reference).lora(out, x, down, up, rows)
    return made


def fp8_linear(x: Quantized, weight: Tensor, scales: Tensor) -> Output:
    """See `reference_linear.fp8_linear`."""
    made: Output = (_cuda() if weight.is_cuda else reference_linear).fp8_linear(x, weight, scales)
    return made


def int8_linear(x: Quantized, weight: Tensor, scales: Tensor) -> Output:
    """See `reference_linear.int8_linear`."""
    made: Output = (_cuda() if weight.is_cuda else reference_linear).int8_linear(x, weight, scales)
    return made


def int8_weight_linear(x: Tensor, weight: Tensor, scales: Tensor) -> Output:
    """See `reference_linear.int8_weight_linear`."""
    made: Output = (_cuda() if weight.is_cuda else reference_linear).int8_weight_linear(x, weight, scales)
    return made


def int4_linear(x: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor) -> Output:
    """See `reference_linear.int4_linear`."""
    made: Output = (_cuda() if packed.is_cuda else reference_linear).int4_linear(x, packed, scales, zeros)
    return made
