"""Writing an engine folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from inference_backend.building.calibration import activation_peaks
from inference_backend.building.smoothing import NONE, Smoothing, smoothing
from inference_backend.building.survey import survey
from inference_backend.errors import CheckpointError
from inference_backend.layers import LinearSpec
from inference_backend.models import load_config, read_json
from inference_backend.quantization import OWN_FORMAT, int4_group, to_fp8, to_int4, to_int8
from inference_backend.settings import Quantization
from inference_backend.weights import SafetensorsFolder

_SHARD_BYTES = 2 * 2**30
_STATE = "build-state.json"
_COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
    "tokenizer.model",
)


def _four_bits(weight: Tensor) -> tuple[Tensor, ...]:
    return to_int4(weight, int4_group(weight.shape[1]))


_QUANTIZERS: dict[str, Callable[[Tensor], tuple[Tensor, ...]]] = {
    "fp8": to_fp8,
    "int8-weights": to_int8,
    "smoothquant": to_int8,
    "int4": _four_bits,
}
_SUFFIXES = "weight", "weight_scale", "weight_zero"


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Tensors written so far, of how many, and the last one's name."""

    done: int
    total: int
    name: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """What goes into which shard, and how it is made."""

    source: SafetensorsFolder
    linear: frozenset[str]
    transposed: frozenset[str]
    shards: tuple[tuple[str, ...], ...]
    quantization: Quantization
    smoothing: Smoothing = NONE

    @property
    def total(self) -> int:
        return sum(len(shard) for shard in self.shards)

    def outputs(self, name: str) -> dict[str, Tensor]:
        """What one stored tensor becomes."""
        tensor = self.source.read(name, self.source.shape(name))
        tensor = self.smoothing.applied(name, tensor)
        if name not in self.linear:
            return {name: tensor.contiguous()}
        made = _QUANTIZERS[self.quantization](tensor.T if name in self.transposed else tensor)
        root = name.removesuffix("weight")
        return {f"{root}{suffix}": part.contiguous() for suffix, part in zip(_SUFFIXES, made, strict=False)}


def build_engine(
    checkpoint: Path,
    out: Path,
    quantization: Quantization,
    progress: Callable[[BuildProgress], None] = lambda _: None,
    shard_bytes: int = _SHARD_BYTES,
) -> None:
    """Quantise a checkpoint into `out`; a build that was stopped is continued.

    Raises:
        CheckpointError: the checkpoint cannot be used, or `out` holds something else.
    """
    config = load_config(checkpoint)
    raw = read_json(checkpoint / "config.json")
    if raw.get("quantization_config"):
        raise CheckpointError(f"{checkpoint} is quantised already")
    source = SafetensorsFolder(checkpoint)
    specs = survey(source, config)
    plan = _plan(source, specs, quantization, shard_bytes)
    _open_state(out, plan, checkpoint)
    if quantization == "smoothquant":
        plan = _smoothed(plan, smoothing(source, config, activation_peaks(checkpoint)))
    _write_shards(out, plan, progress)
    _finish(checkpoint, out, plan, raw)


def _plan(
    source: SafetensorsFolder, specs: list[LinearSpec], quantization: Quantization, shard_bytes: int
) -> _Plan:
    linear = frozenset(f"{piece.name}.weight" for spec in specs for piece in spec.pieces)
    transposed = frozenset(f"{p.name}.weight" for spec in specs if spec.transposed for p in spec.pieces)
    shards: list[tuple[str, ...]] = []
    current: list[str] = []
    size = 0
    for name in source.names():
        size += source.bytes(name)
        current.append(name)
        if size >= shard_bytes:
            shards.append(tuple(current))
            current, size = [], 0
    if current:
        shards.append(tuple(current))
    return _Plan(source, linear, transposed, tuple(shards), quantization)


def _smoothed(plan: _Plan, found: Smoothing) -> _Plan:
    return _Plan(plan.source, plan.linear, plan.transposed, plan.shards, plan.quantization, found)


def _open_state(out: Path, plan: _Plan, checkpoint: Path) -> None:
    """Create the folder, or see that it holds an unfinished build of the same thing."""
    digest = _digest(plan, checkpoint)
    state = out / _STATE
    if state.is_file():
        if read_json(state).get("plan") != digest:
            raise CheckpointError(f"{out} holds an unfinished build of something else: choose another folder")
        return
    if out.exists() and any(out.iterdir()):
        raise CheckpointError(f"{out} is not empty: choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    _write_json(state, {"plan": digest})


def _digest(plan: _Plan, checkpoint: Path) -> str:
    files = sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in checkpoint.glob("*.safetensors"))
    text = json.dumps([plan.quantization, plan.shards, files])
    return hashlib.sha256(text.encode()).hexdigest()


def _write_shards(out: Path, plan: _Plan, progress: Callable[[BuildProgress], None]) -> None:
    done = 0
    for number, shard in enumerate(plan.shards):
        path = out / _shard_name(number, len(plan.shards))
        if path.is_file():
            done += len(shard)
            progress(BuildProgress(done, plan.total, shard[-1]))
            continue
        tensors: dict[str, Tensor] = {}
        for name in shard:
            tensors.update(plan.outputs(name))
            done += 1
            progress(BuildProgress(done, plan.total, name))
        temporary = path.with_suffix(".partial")
        save_file(tensors, temporary, metadata={"format": "pt"})
        temporary.replace(path)


def _finish(checkpoint: Path, out: Path, plan: _Plan, raw: dict[str, object]) -> None:
    weight_map = {}
    for number in range(len(plan.shards)):
        name = _shard_name(number, len(plan.shards))
        weight_map.update(dict.fromkeys(SafetensorsFolder.names_in(out / name), name))
    _write_json(out / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    for copied in _COPIED:
        if (checkpoint / copied).is_file():
            shutil.copyfile(checkpoint / copied, out / copied)
    settings = {"quant_method": OWN_FORMAT, "scheme": plan.quantization}
    _write_json(out / "config.json", {**raw, "quantization_config": settings})
    (out / _STATE).unlink()


def _shard_name(number: int, total: int) -> str:
    return f"model-{number + 1:05d}-of-{total:05d}.safetensors"


def _write_json(path: Path, value: dict[str, object]) -> None:
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
