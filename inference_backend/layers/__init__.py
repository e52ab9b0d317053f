"""The parts that models are put together from. Layers pull their weights and know how they split over ranks."""

from inference_backend.layers.linear import DenseLinear, Linear, LinearSpec, Piece, Placement, Scheme

__all__ = ["DenseLinear", "Linear", "LinearSpec", "Piece", "Placement", "Scheme"]
