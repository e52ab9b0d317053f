"""How linear layers are stored in fewer bits.

Each format is a `Scheme` (see `layers`): it pulls its own tensors from a checkpoint and returns `Linear` layers.
`choose_scheme` reads what a folder says about itself and what the settings ask for.
"""

from inference_backend.quantization.choice import choose_scheme

__all__ = ["choose_scheme"]
