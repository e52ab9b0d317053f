"""The operations that models are written with, one name each for CPU and GPU.

`reference` holds each of them in plain torch: it runs on the CPU and is what GPU kernels are compared with, over
a grid of dtypes and odd shapes. The functions here look at the device of their first tensor and call the
implementation for it.
"""

from inference_backend.kernels.reference import (
    add_rms_norm,
    gelu_tanh_mul,
    lora,
    paged_attention,
    paged_attention_decode,
    paged_attention_prefill,
    quantize_per_token,
    rms_norm,
    rope_and_cache_kv,
    silu_mul,
)
from inference_backend.kernels.values import (
    Activation,
    ActivationFormat,
    AdapterRows,
    AttentionInputs,
    AttentionSpec,
    LayerCache,
    Quantized,
    RopeTable,
)

__all__ = [
    "Activation",
    "ActivationFormat",
    "AdapterRows",
    "AttentionInputs",
    "AttentionSpec",
    "LayerCache",
    "Quantized",
    "RopeTable",
    "add_rms_norm",
    "gelu_tanh_mul",
    "lora",
    "paged_attention",
    "paged_attention_decode",
    "paged_attention_prefill",
    "quantize_per_token",
    "rms_norm",
    "rope_and_cache_kv",
    "silu_mul",
]
