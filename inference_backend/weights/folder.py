"""A checkpoint folder's safetensors files, sharded or not. Nothing else is read: no pickle, no code."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from inference_backend.errors import CheckpointError, CorruptCheckpointError, ResourceError
from inference_backend.weights.source import Part

_DTYPE_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
_FLOATS = {"F64", "F32", "F16", "BF16"}
INDEX = "model.safetensors.index.json"


class SafetensorsFolder:
    """A `WeightSource` over the files of a folder, opened once and mapped, not copied.

    Raises:
        CheckpointError: there is no safetensors file.
        CorruptCheckpointError: a file is truncated or malformed, or the index names one that is not there.
        ResourceError: a file is larger than can be mapped.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = {path: _open(path) for path in _weight_files(folder)}
        self._where = {name: path for path, file in self._files.items() for name in file.keys()}  # noqa: SIM118 -- no mapping

    def has(self, name: str) -> bool:
        """Whether there is a tensor of this name."""
        return name in self._where

    def names(self) -> list[str]:
        """All tensors' names, sorted."""
        return sorted(self._where)

    @staticmethod
    def names_in(path: Path) -> list[str]:
        """The tensors of one file.

        Raises:
            CorruptCheckpointError: it cannot be read.
        """
        return list(_open(path).keys())

    def bytes(self, name: str) -> int:
        """What a tensor takes in its file."""
        return math.prod(self.shape(name)) * _DTYPE_BYTES.get(self._slice(name).get_dtype(), 1)

    def bytes_as(self, name: str, float_bytes: float) -> float:
        """What a tensor takes where floating-point numbers take `float_bytes` each and others what they do here."""
        plain = self._slice(name).get_dtype() in _FLOATS
        return math.prod(self.shape(name)) * float_bytes if plain else self.bytes(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """The stored shape.

        Raises:
            CorruptCheckpointError: no such tensor.
        """
        return tuple(self._slice(name).get_shape())

    def read(self, name: str, shape: tuple[int, ...], parts: tuple[Part, ...] = ()) -> Tensor:
        """See `WeightSource.read`."""
        self.read_shape(name, shape)
        stored = self._slice(name)
        at = [slice(None)] * len(shape)
        for part in parts:
            at[part.dim] = slice(part.start, part.stop)
        try:
            tensor: Tensor = stored[tuple(at)] if shape else self._files[self._where[name]].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CorruptCheckpointError(f"{self._where[name]}: cannot read {name}: {error}") from error
        return tensor

    def read_shape(self, name: str, expected: tuple[int, ...]) -> tuple[int, ...]:
        """The stored shape, which must be the expected one.

        Raises:
            CorruptCheckpointError: no such tensor, or of another shape.
        """
        stored = self.shape(name)
        if stored != expected:
            raise CorruptCheckpointError(
                f"{self._where[name]}: {name} has shape {list(stored)}, but config.json makes it {list(expected)}"
            )
        return stored

    def _slice(self, name: str) -> Any:
        if name not in self._where:
            raise CorruptCheckpointError(f"{self.folder}: no weight file has the tensor {name}")
        return self._files[self._where[name]].get_slice(name)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.is_file():
        return _indexed(index)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        others = sorted(path.name for path in folder.glob("*.bin"))
        hint = (
            f"; {others[0]} is a pickle, which is never loaded: convert it to safetensors" if others else ""
        )
        raise CheckpointError(f"{folder} has no *.safetensors file{hint}")
    return files


def _indexed(index: Path) -> list[Path]:
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError) as error:
        raise CorruptCheckpointError(f"{index}: no usable weight_map: {error}") from error
    files = [index.parent / name for name in sorted(names)]
    for path in files:
        if path.parent != index.parent or not path.is_file():
            raise CorruptCheckpointError(f"{index} names {path.name}, which is not in its folder")
    return files


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CorruptCheckpointError(f"{path}: not a readable safetensors file: {error}") from error
    except RuntimeError as error:  # torch's own words for a file that the address space has no room for
        raise ResourceError(f"{path} cannot be mapped into memory: {error}") from error
