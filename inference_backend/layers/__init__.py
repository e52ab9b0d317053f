"""The parts that models are put together from.

Layers pull their own weights from a `WeightSource` and know how they split over tensor-parallel ranks, so a model file
only says which layers there are and what they are called. How a linear layer's numbers are stored is the business of
a `Scheme`. Operations come from `kernels`, which has them for CPU and GPU.
"""

from inference_backend.layers.attention import Attention
from inference_backend.layers.builder import LayerBuilder
from inference_backend.layers.context import StepContext
from inference_backend.layers.embedding import Embedding, Head, head
from inference_backend.layers.linear import (
    AdapterStack,
    DenseLinear,
    DenseScheme,
    Linear,
    LinearSpec,
    Piece,
    Placement,
    Scheme,
    input_range,
    output_range,
    read_bias,
    read_weight,
)
from inference_backend.layers.mlp import GatedMLP, PlainMLP
from inference_backend.layers.norm import LayerNorm, RMSNorm
from inference_backend.layers.rope import RopeScaling, RopeSettings, rope_table

__all__ = [
    "AdapterStack",
    "Attention",
    "DenseLinear",
    "DenseScheme",
    "Embedding",
    "GatedMLP",
    "Head",
    "LayerBuilder",
    "LayerNorm",
    "Linear",
    "LinearSpec",
    "Piece",
    "Placement",
    "PlainMLP",
    "RMSNorm",
    "RopeScaling",
    "RopeSettings",
    "Scheme",
    "StepContext",
    "head",
    "input_range",
    "output_range",
    "read_bias",
    "read_weight",
    "rope_table",
]
