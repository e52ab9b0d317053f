"""The operations that models are written with, one name each for CPU and GPU.

`reference` holds each of them in plain torch: it runs on the CPU and is what GPU kernels are compared with, over
a grid of dtypes and odd shapes. `cuda` holds them as Triton kernels. `dispatch` looks at the device of an operation's
first tensor and calls the implementation for it; Triton is imported then, not before.
"""

from inference_backend.kernels.dispatch import (
    add_rms_norm,
    dense_linear,
    fp8_linear,
    gelu_tanh_mul,
    int4_linear,
    int8_linear,
    int8_weight_linear,
    lora,
    paged_attention,
    plain,
    quantize_per_token,
    rms_norm,
    rope_and_cache_kv,
    silu_mul,
)
from inference_backend.kernels.reference_linear import pack_int4, unpack_int4
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
    Rotated,
)

__all__ = [
    "Activation",
    "ActivationFormat",
    "AdapterRows",
    "AttentionInputs",
    "AttentionSpec",
    "Deferred",
    "LayerCache",
    "Multiplier",
    "Output",
    "Product",
    "Quantized",
    "Queries",
    "RopeTable",
    "Rotated",
    "add_rms_norm",
    "dense_linear",
    "fp8_linear",
    "gelu_tanh_mul",
    "int4_linear",
    "int8_linear",
    "int8_weight_linear",
    "lora",
    "pack_int4",
    "paged_attention",
    "plain",
    "quantize_per_token",
    "rms_norm",
    "rope_and_cache_kv",
    "silu_mul",
    "unpack_int4",
]
