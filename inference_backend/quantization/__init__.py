"""How linear layers are stored in fewer bits.

Each format is a `Scheme` (see `layers`): it pulls its own tensors from a checkpoint and returns `Linear` layers.
`scaled` has those of eight bits, `int4` those of four, `stored` how engine folders hold them, `numbers` the rounding.
`choose_scheme` reads what a folder says about itself and what the settings ask for.
"""

from inference_backend.quantization.choice import OWN_FORMAT, choose_scheme, stored_quantization
from inference_backend.quantization.int4 import int4_group
from inference_backend.quantization.numbers import to_fp8, to_int4, to_int8

__all__ = ["OWN_FORMAT", "choose_scheme", "int4_group", "stored_quantization", "to_fp8", "to_int4", "to_int8"]
