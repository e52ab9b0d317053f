"""`engine plan`: the roofline's prediction as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from app.cli.engine.settings import EngineOptions, engine_settings
from app.errors import UsageError
from inference_backend import GPUS, Load, Prediction, predict

_GIB = 2**30


def run_plan(options: EngineOptions, gpu: str, load: Load) -> None:
    """Print what a card, or several that share each layer, can reach with a model.

    Raises:
        UsageError: the card is unknown.
        CheckpointError: the folder has no usable config.json.
    """
    if gpu not in GPUS:
        raise UsageError(f"--gpu is {gpu!r}, but must be one of {', '.join(GPUS)}.")
    settings = engine_settings(options)
    found = predict(options.model, GPUS[gpu], load, settings.quantization, settings.kv_dtype)
    Console().print(_table(found, load))


def _table(found: Prediction, load: Load) -> Table:
    cards = found.gpu.name if load.cards == 1 else f"{load.cards} x {found.gpu.name}"
    each = "" if load.cards == 1 else " each"
    table = Table(title=f"{cards}, {load.prompt} tokens in, {load.output} out", show_header=False)
    rows = [
        ("parameters", f"{found.parameters / 1e9:.2f} billion"),
        ("weights", f"{found.weight_bytes / _GIB:.2f} GiB of {found.gpu.memory / _GIB:.0f}{each}"),
        ("keys and values per token", f"{found.kv_bytes_per_token / 1024:.0f} KiB"),
    ]
    if found.fits:
        rows += [
            ("cache beside the weights", f"{found.cache_tokens:,} tokens"),
            ("sequences that fit", f"{found.max_sequences:,}"),
            ("batch of the figures below", f"{found.batch}"),
            ("time to first token, alone", f"{found.prefill_seconds * 1e3:.1f} ms"),
            ("one step of the batch", f"{found.step_seconds * 1e3:.2f} ms"),
            ("one sequence alone", f"{found.single_tokens_per_second:,.0f} tokens/s"),
            ("decode of the batch", f"{found.batch_tokens_per_second:,.0f} tokens/s"),
            ("output with prompts included", f"{found.served_tokens_per_second:,.0f} tokens/s"),
        ]
    else:
        rows.append(("does it fit", "no: the weights leave no room for one sequence"))
    for name, value in rows:
        table.add_row(name, value)
    return table
