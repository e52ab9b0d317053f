"""Customised models without a copy of the model: LoRA adapters and prompt-tuned prefixes, from PEFT folders.

Each linear layer has a stack of low-rank pairs, one per adapter slot (`lora.py`, which reads them through `peft.py`);
a step's tokens name their slots, so that one batch serves many adapters. A prompt-tuned prefix is rows of the
embedding table behind the vocabulary (`prefix.py`): its virtual tokens are ordinary tokens to everything else, prefix
cache included.
"""

from inference_backend.adapting.lora import load_lora, prepare_lora
from inference_backend.adapting.prefix import load_prefix

__all__ = ["load_lora", "load_prefix", "prepare_lora"]
