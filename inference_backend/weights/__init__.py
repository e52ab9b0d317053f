"""Where weights come from: safetensors folders, or a seeded generator for benchmarks of shapes.

Loading is pulled, not pushed: a layer asks its source for the tensors it is made of, by name and shape, and takes only
the part that its rank holds. Files are mapped, so that nothing is read twice and a 70B model needs no 140 GB of RAM.
"""

from inference_backend.weights.folder import SafetensorsFolder
from inference_backend.weights.source import Part, RandomSource, WeightSource

__all__ = ["Part", "RandomSource", "SafetensorsFolder", "WeightSource"]
