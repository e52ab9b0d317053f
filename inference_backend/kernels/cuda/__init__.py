"""The operations of `inference_backend.kernels` as Triton kernels for NVIDIA GPUs.

Each file holds one operation: its kernels, and one Python function of the same name and meaning as the plain torch
one in `kernels/reference.py`, against which it is tested over a grid of dtypes and odd shapes (on a GPU, and on small
shapes in Triton's interpreter on a CPU). Attention of many queries has two, with the chunk's own keys at hand
(`chunk_attention.py`) and without (`prefill_attention.py`); products of many tokens are cuBLAS's (`blaslt.py`), but for
those that end in an activation, which on Hopper have a kernel in CUDA C++ (`gated_hopper.py`, compiled by `native.py`).
All of them may be captured in CUDA graphs: grids depend on shapes and upper bounds, never on values, and nothing waits
for the device. Only this folder imports Triton, and it is imported late.
"""

from inference_backend.kernels.cuda.activation import gelu_tanh_mul, silu_mul
from inference_backend.kernels.cuda.blaslt import TunedProducts, can_tune
from inference_backend.kernels.cuda.chunk_attention import ChunkTiling, chunk_attention
from inference_backend.kernels.cuda.decode_attention import paged_attention_decode
from inference_backend.kernels.cuda.gated_hopper import gated_hopper, has_hopper_kernel
from inference_backend.kernels.cuda.gated_linear import (
    fewest_gated_tokens,
    gated_linear,
    gated_linear_in_triton,
)
from inference_backend.kernels.cuda.int4_linear import int4_linear
from inference_backend.kernels.cuda.linear import (
    FEW_TOKENS,
    Operands,
    Tiling,
    dense_linear,
    few_tokens_linear,
    one_token_linear,
)
from inference_backend.kernels.cuda.lora import MOST_ADAPTED_TOKENS, lora
from inference_backend.kernels.cuda.norm import add_rms_norm, rms_norm
from inference_backend.kernels.cuda.prefill_attention import paged_attention, paged_attention_prefill
from inference_backend.kernels.cuda.quantized_linear import (
    fp8_linear,
    int8_linear,
    int8_weight_linear,
    multiplied,
)
from inference_backend.kernels.cuda.rope import rope_and_cache_kv
from inference_backend.kernels.cuda.rounding import quantize_per_token
from inference_backend.kernels.cuda.sampling import SamplingRows, choose, keep_threshold
from inference_backend.kernels.cuda.unpack import PackedSizes, StepTensors, unpack_step

__all__ = [
    "FEW_TOKENS",
    "MOST_ADAPTED_TOKENS",
    "ChunkTiling",
    "Operands",
    "PackedSizes",
    "SamplingRows",
    "StepTensors",
    "Tiling",
    "TunedProducts",
    "add_rms_norm",
    "can_tune",
    "choose",
    "chunk_attention",
    "dense_linear",
    "few_tokens_linear",
    "fewest_gated_tokens",
    "fp8_linear",
    "gated_hopper",
    "gated_linear",
    "gated_linear_in_triton",
    "gelu_tanh_mul",
    "has_hopper_kernel",
    "int4_linear",
    "int8_linear",
    "int8_weight_linear",
    "keep_threshold",
    "lora",
    "multiplied",
    "one_token_linear",
    "paged_attention",
    "paged_attention_decode",
    "paged_attention_prefill",
    "quantize_per_token",
    "rms_norm",
    "rope_and_cache_kv",
    "silu_mul",
    "unpack_step",
]
