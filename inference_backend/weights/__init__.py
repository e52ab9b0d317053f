"""Where weights come from: safetensors folders, or a seeded generator for benchmarks of shapes."""

from inference_backend.weights.source import Part, RandomSource, WeightSource

__all__ = ["Part", "RandomSource", "WeightSource"]
