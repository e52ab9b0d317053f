"""Thresholds that were chosen on one embedder's scale, carried to another's.

Configurations set similarity thresholds on the scale of `all-MiniLM-L6-v2`, the embedder that the format's other
implementation falls back to. Where a configuration names no engine, ours is the built-in one, whose cosines lie higher:
two unrelated sentences share common pieces. The points below map equal quantiles of the two embedders' cosines over
1.3 million pairs of banking questions and encyclopedia paragraphs; between points the map is straight.
"""

from __future__ import annotations

import numpy as np

_MINILM = (-1.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_BUILT_IN = (-1.0, 0.22, 0.35, 0.44, 0.51, 0.565, 0.62, 0.68, 0.74, 0.82, 0.9, 1.0)


def built_in_cosine(minilm_cosine: float) -> float:
    """The built-in embedder's cosine that is as rare as this one of all-MiniLM-L6-v2."""
    return float(np.interp(minilm_cosine, _MINILM, _BUILT_IN))
