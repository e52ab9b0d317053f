"""What runs plans.

`cpu.py` runs them with plain torch on the CPU; it is the reference for every other executor and keeps to the same
protocol (`inference_backend.executor`). `loading.py` turns settings into a model with weights, and sizes the cache;
`inputs.py` turns a plan's arrays into the tensors that models take; `stage.py` is a pipeline stage's place. They
serve all torch executors.
"""

from inference_backend.executors.cpu import CpuExecutor
from inference_backend.executors.loading import LoadedModel, allocate_cache, cache_bytes_per_block, load_model
from inference_backend.executors.stage import Stage

__all__ = ["CpuExecutor", "LoadedModel", "Stage", "allocate_cache", "cache_bytes_per_block", "load_model"]
