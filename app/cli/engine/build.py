"""`engine build`: a progress bar round the engine's own build."""

from __future__ import annotations

from pathlib import Path

import typer

from app.cli.engine.settings import quantization as known_quantization
from app.cli.progress import progress_bar
from inference_backend import build_engine


def run_build(model: Path, out: Path, quantization: str) -> None:
    """Build, or go on with a build.

    Raises:
        CheckpointError: the checkpoint cannot be used, or the folder holds something else.
        UsageError: the quantization does not exist.
    """
    with progress_bar("Writing the tensors ...") as tell:
        build_engine(model, out, known_quantization(quantization), lambda step: tell(step.done, step.total))
    typer.echo(f"Wrote {out}")
