"""Thresholds that were chosen on one embedder's scale, carried to another's.

Configurations set similarity thresholds on the scale of `all-MiniLM-L6-v2`, the embedder that the format's other
implementation falls back to. Where a configuration names no engine, ours is the built-in one, fitted to that model's
vectors: its cosines lie a little higher where there is little in common, and a little lower where there is much. The
points below map equal quantiles of the two embedders' cosines over 1.4 million pairs of banking questions and
encyclopedia paragraphs; between points the map is straight.
"""

from __future__ import annotations

import numpy as np

_MINILM = (-1.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_BUILT_IN = (-1.0, 0.02, 0.12, 0.21, 0.31, 0.42, 0.515, 0.605, 0.69, 0.785, 0.89, 1.0)


def built_in_cosine(minilm_cosine: float) -> float:
    """The built-in embedder's cosine that is as rare as this one of all-MiniLM-L6-v2."""
    return float(np.interp(minilm_cosine, _MINILM, _BUILT_IN))
