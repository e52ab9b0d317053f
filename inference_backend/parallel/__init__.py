"""Several processes for one model: tensor parallel inside a layer, pipeline parallel across layers."""

from inference_backend.parallel.group import SINGLE, TensorGroup

__all__ = ["SINGLE", "TensorGroup"]
