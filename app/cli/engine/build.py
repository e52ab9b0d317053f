"""`engine build`: a progress bar round the engine's own build."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.engine.settings import quantization as known_quantization
from inference_backend import BuildProgress, build_engine


def run_build(model: Path, out: Path, quantization: str) -> None:
    """Build, or go on with a build.

    Raises:
        CheckpointError: the checkpoint cannot be used, or the folder holds something else.
        UsageError: the quantization does not exist.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("tensors", total=None)

        def show(step: BuildProgress) -> None:
            bar.update(task, completed=step.done, total=step.total)

        build_engine(model, out, known_quantization(quantization), show)
    typer.echo(f"Wrote {out}")
