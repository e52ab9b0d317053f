"""Which scheme a checkpoint folder needs, or the settings ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inference_backend.errors import CheckpointError, CorruptCheckpointError
from inference_backend.layers import DenseScheme, Scheme
from inference_backend.quantization.int4 import AwqScheme, GptqScheme, Int4Scheme
from inference_backend.quantization.scaled import Fp8Linear, Int8WeightLinear, ScaledScheme, smoothquant
from inference_backend.settings import Quantization

OWN_FORMAT = "interlock"
"""`quant_method` of the folders that `build` writes."""

_AT_LOAD: dict[Quantization, Callable[[], Scheme]] = {
    "fp8": lambda: ScaledScheme(Fp8Linear, stored=False),
    "int8-weights": lambda: ScaledScheme(Int8WeightLinear, stored=False),
    "smoothquant": lambda: smoothquant(stored=False),
    "int4": lambda: Int4Scheme(stored=False),
}
_LIKE = {"awq": "int4", "gptq": "int4", "compressed-tensors": "fp8"}
_STORED: dict[str, Callable[[], Scheme]] = {
    "fp8": lambda: ScaledScheme(Fp8Linear, stored=True),
    "int8-weights": lambda: ScaledScheme(Int8WeightLinear, stored=True),
    "smoothquant": lambda: smoothquant(stored=True),
    "int4": lambda: Int4Scheme(stored=True),
}


def choose_scheme(folder: Path, asked: Quantization | None, *, drawn: bool = False) -> Scheme:
    """The scheme for a folder: its own where its weights are quantised already, else the one asked for.

    `drawn`: the weights are random ones.

    Raises:
        CheckpointError: the folder's own format is unknown or contradicts what is asked.
    """
    stored = _stored_settings(folder)
    if stored is None:
        if asked == "smoothquant" and drawn:
            return smoothquant(stored=False, drawn=True)
        return DenseScheme() if asked is None else _AT_LOAD[asked]()
    method = str(stored.get("quant_method", ""))
    name = str(stored.get("scheme", method))
    if asked not in {None, method, name}:
        raise CheckpointError(f"{folder} is quantised as {name} already; it cannot be loaded as {asked}")
    return _from_settings(folder, method, stored)


def stored_quantization(folder: Path) -> Quantization | None:
    """How a folder's weights are stored, under the name that the settings have for the like; None for plain ones."""
    stored = _stored_settings(folder)
    if stored is None:
        return None
    method = str(stored.get("quant_method", ""))
    name = str(stored.get("scheme", "")) if method == OWN_FORMAT else _LIKE.get(method, "")
    return next((known for known in _AT_LOAD if known == name), None)


def _from_settings(folder: Path, method: str, stored: Mapping[str, Any]) -> Scheme:
    if method == OWN_FORMAT and stored.get("scheme") in _STORED:
        return _STORED[str(stored["scheme"])]()
    if method == "awq":
        _require(folder, stored.get("bits", stored.get("w_bit")) == 4, "AWQ with other than 4 bits")
        _require(
            folder, str(stored.get("version", "gemm")).lower() == "gemm", "AWQ in another layout than GEMM"
        )
        return AwqScheme(int(stored.get("group_size", stored.get("q_group_size", 128))))
    if method == "gptq":
        _require(folder, stored.get("bits") == 4, "GPTQ with other than 4 bits")
        newer = str(stored.get("checkpoint_format", "gptq")) == "gptq_v2"
        return GptqScheme(int(stored.get("group_size", 128)), 0 if newer else 1)
    if method == "compressed-tensors":
        _require(
            folder, _is_dynamic_fp8(stored), "compressed-tensors other than FP8 with dynamic activations"
        )
        return ScaledScheme(Fp8Linear, stored=True)
    raise CheckpointError(f"{folder}/config.json: quant_method {method!r} is not supported")


def _is_dynamic_fp8(stored: Mapping[str, Any]) -> bool:
    groups = stored.get("config_groups")
    if not isinstance(groups, Mapping) or not groups:
        return False
    weights = [group.get("weights") for group in groups.values() if isinstance(group, Mapping)]
    return all(
        isinstance(w, Mapping)
        and w.get("num_bits") == 8
        and w.get("type") == "float"
        and w.get("strategy") in {"channel", "tensor"}
        for w in weights
    )


def _require(folder: Path, met: bool, what: str) -> None:
    if not met:
        raise CheckpointError(f"{folder}/config.json: {what} is not supported")


def _stored_settings(folder: Path) -> Mapping[str, Any] | None:
    path = folder / "config.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8")).get("quantization_config")
    except (OSError, ValueError, AttributeError) as error:
        raise CorruptCheckpointError(f"{path}: cannot be read: {error}") from error
    return value if isinstance(value, Mapping) else None
