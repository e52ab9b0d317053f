"""From settings to a model with weights and a cache of the right size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inference_backend.errors import CheckpointError, ResourceError
from inference_backend.executor import Capacity
from inference_backend.executors.room import free_memory
from inference_backend.kernels import LayerCache
from inference_backend.layers import LayerBuilder, Placement, Scheme
from inference_backend.models import CausalLM, ModelConfig, build_model, load_config
from inference_backend.parallel import SINGLE, TensorGroup
from inference_backend.quantization import choose_scheme
from inference_backend.settings import EngineSettings
from inference_backend.weights import RandomSource, SafetensorsFolder, WeightSource

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_GIB = 2**30
_QUANTISED_BYTES = 0.5  # at least
_CACHE_DTYPES = {"fp8": torch.float8_e4m3fn, "int8": torch.int8}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model or a stage of it, its shape, and where and in what it computes.

    `positions` is the longest sequence it is set up for; `layers` how many layers this stage has.
    """

    model: CausalLM
    config: ModelConfig
    place: Placement
    positions: int
    layers: int

    @property
    def local_kv_heads(self) -> int:
        """KV heads of this rank."""
        return self.config.kv_heads // self.place.group.size

    def capacity(self, blocks: int, block_size: int) -> Capacity:
        """What an executor that holds it can hold besides: so many KV blocks of so many tokens."""
        return Capacity(
            blocks=blocks,
            block_size=block_size,
            max_positions=self.positions,
            vocab_size=self.config.vocab_size,
            hidden_size=self.config.hidden_size,
            eos_ids=self.config.eos_ids,
        )


def load_model(
    settings: EngineSettings,
    device: torch.device,
    group: TensorGroup = SINGLE,
    stage: tuple[int, int] = (0, 1),
    scheme: Scheme | None = None,
) -> LoadedModel:
    """Read config and weights. `stage` is (this pipeline stage, how many there are); `scheme` None is chosen here.

    Raises:
        CheckpointError: the folder cannot be used.
        ResourceError: the weights do not fit into memory.
    """
    folder = Path(settings.model)
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder: give the path of a downloaded checkpoint")
    config = load_config(folder)
    place = Placement(device, compute_dtype(settings, config, device), group)
    source = _source(settings, folder, place)
    _check_room(source, settings, place, stage[1])
    positions = min(config.max_positions, settings.scheduler.max_positions or config.max_positions)
    builder = LayerBuilder(
        source=source,
        scheme=scheme or choose_scheme(folder, settings.quantization, drawn=settings.random_weights),
        place=place,
        positions=positions,
        layers=stage_layers(config.layers, *stage),
        prefix_rows=settings.adapters.max_prefix_tokens,
    )
    try:
        model = build_model(builder, config).eval()
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ResourceError(f"the weights of {folder} do not fit into the memory of {device}") from error
    start, stop = builder.layers
    return LoadedModel(model, config, place, positions, stop - start)


def compute_dtype(settings: EngineSettings, config: ModelConfig, device: torch.device) -> torch.dtype:
    """What is asked for; else float32 on a CPU, the stored dtype (bfloat16 for float32 files) on a GPU."""
    if settings.dtype != "auto":
        return _DTYPES[settings.dtype]
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if config.dtype == "float32" else _DTYPES[config.dtype]


def stage_layers(layers: int, stage: int, stages: int) -> tuple[int, int]:
    """This stage's range of layers; the first stages take what does not divide evenly."""
    each, rest = divmod(layers, stages)
    start = stage * each + min(stage, rest)
    return start, start + each + (stage < rest)


def _source(settings: EngineSettings, folder: Path, place: Placement) -> WeightSource:
    if settings.random_weights:
        return RandomSource(place.dtype, place.device)
    return SafetensorsFolder(folder)


def _check_room(source: WeightSource, settings: EngineSettings, place: Placement, stages: int) -> None:
    """See on a CPU that the weights fit: there the process would be ended where a GPU gives an error.

    Raises:
        ResourceError: they do not.
    """
    if place.device.type != "cpu" or not isinstance(source, SafetensorsFolder):
        return
    each = place.dtype.itemsize if settings.quantization is None else _QUANTISED_BYTES
    needed = sum(source.bytes_as(name, each) for name in source.names()) / (place.group.size * stages)
    free = free_memory()
    if needed > free:
        raise ResourceError(
            f"the weights of {source.folder} take {needed / _GIB:.1f} GiB in {str(place.dtype).removeprefix('torch.')}, "
            f"but {free / _GIB:.1f} GiB of memory are free: use dtype: bfloat16, a quantization or a smaller model"
        )


def cache_dtype(settings: EngineSettings, dtype: torch.dtype) -> torch.dtype:
    """What keys and values are stored in: what the settings ask for, else the model's own `dtype`."""
    return _CACHE_DTYPES.get(settings.kv_dtype, dtype)


def cache_bytes_per_block(loaded: LoadedModel, settings: EngineSettings, layers: int) -> int:
    """Bytes of one block over the layers of this stage, scales of int8 included."""
    places = settings.scheduler.block_size * loaded.local_kv_heads
    width = loaded.config.head_dim * cache_dtype(settings, loaded.place.dtype).itemsize
    scales = 4 if settings.kv_dtype == "int8" else 0
    return 2 * layers * places * (width + scales)


def cache_blocks(loaded: LoadedModel, settings: EngineSettings, left: Callable[[], int]) -> int:
    """How many KV blocks there are: as set, else what fits into the memory set aside, and no more than can be used.

    `left` says how many bytes there are for them, where the settings do not; it is asked only then.

    Raises:
        ResourceError: not even one fits.
    """
    if settings.kv_blocks is not None:
        return settings.kv_blocks
    each = cache_bytes_per_block(loaded, settings, loaded.layers)
    budget = left() if settings.kv_memory_gib is None else int(settings.kv_memory_gib * _GIB)
    usable = settings.scheduler.max_sequences * -(-loaded.positions // settings.scheduler.block_size)
    blocks = min(budget // each, usable)
    if blocks < 1:
        raise ResourceError(
            f"one KV block needs {each} bytes, but {max(budget, 0)} bytes are left for the cache beside the weights "
            f"and a step of {settings.scheduler.max_step_tokens} tokens"
        )
    return int(blocks)


def allocate_cache(
    loaded: LoadedModel, settings: EngineSettings, blocks: int, layers: int
) -> tuple[LayerCache, ...]:
    """Zeroed caches, one per layer of this stage.

    Raises:
        ResourceError: they do not fit.
    """
    shape = (blocks, settings.scheduler.block_size, loaded.local_kv_heads, loaded.config.head_dim)
    dtype, device = cache_dtype(settings, loaded.place.dtype), loaded.place.device
    try:
        return tuple(_layer_cache(shape, dtype, device) for _ in range(layers))
    except (MemoryError, RuntimeError, ValueError) as error:
        raise ResourceError(
            f"a KV cache of {blocks} blocks does not fit into the memory of {device}"
        ) from error


def _layer_cache(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> LayerCache:
    keys, values = (_zeros(shape, dtype, device) for _ in range(2))
    if dtype != torch.int8:
        return LayerCache(keys, values)
    scales = [_zeros(shape[:-1], torch.float32, device) for _ in range(2)]
    return LayerCache(keys, values, *scales)


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros; on a CPU the pages become memory only when they are first written, so that an idle cache costs nothing."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    return (
        torch.from_numpy(np.zeros(math.prod(shape) * dtype.itemsize, dtype=np.uint8)).view(dtype).view(shape)
    )
