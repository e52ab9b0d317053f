"""What fits into the device's memory, and the tensors at fixed addresses."""

from __future__ import annotations

import torch
from torch import Tensor

from inference_backend.executors.loading import LoadedModel, allocate_cache
from inference_backend.executors.stage import Stage
from inference_backend.kernels import AttentionInputs
from inference_backend.kernels.cuda import StepTensors
from inference_backend.layers import StepContext
from inference_backend.settings import EngineSettings

_GIB = 2**30
_GRAPHS = 2 * _GIB  # what captured graphs and their workspaces take, generously


def step_tensors(model: LoadedModel, settings: EngineSettings, device: torch.device) -> StepTensors:
    """Zeroed, for the largest step that the settings allow."""
    limits = settings.scheduler
    tokens, rows = limits.max_step_tokens, limits.max_sequences
    columns = -(-model.positions // limits.block_size)
    ints = [torch.zeros(tokens, dtype=torch.int32, device=device) for _ in range(3)]
    longs = [torch.zeros(tokens, dtype=torch.int64, device=device) for _ in range(5)]
    floats = [torch.zeros(tokens, dtype=torch.float32, device=device) for _ in range(3)]
    return StepTensors(
        token_ids=longs[0],
        positions=longs[1],
        slot_mapping=longs[2],
        query_starts=torch.zeros(rows + 1, dtype=torch.int32, device=device),
        context_lengths=torch.zeros(rows, dtype=torch.int32, device=device),
        block_tables=torch.zeros((rows, columns), dtype=torch.int32, device=device),
        sample_tokens=longs[3],
        sample_slots=ints[0],
        temperature=floats[0],
        top_k=ints[1],
        top_p=floats[1],
        min_p=floats[2],
        counters=ints[2],
        seeds=longs[4],
        last_tokens=torch.zeros(rows + 1, dtype=torch.int32, device=device),
    )


def entering_states(model: LoadedModel, settings: EngineSettings, stage: Stage) -> Tensor:
    """Where a later stage finds the states of the one before: [T, hidden size] for the largest step, else no rows."""
    rows = settings.scheduler.max_step_tokens if stage.number else 0
    return torch.zeros(rows, model.config.hidden_size, dtype=model.place.dtype, device=model.place.device)


def left_beside_largest_step(model: LoadedModel, settings: EngineSettings) -> int:
    """Bytes of `memory_share` that remain once the largest prompt step has shown what it takes."""
    device = model.place.device
    caches = allocate_cache(model, settings, 1, model.layers)
    tokens = min(settings.scheduler.max_step_tokens, model.positions)
    torch.cuda.reset_peak_memory_stats(device)
    longs = torch.zeros(tokens, dtype=torch.int64, device=device)
    columns = -(-tokens // settings.scheduler.block_size)
    inputs = AttentionInputs(
        positions=torch.arange(tokens, device=device),
        slot_mapping=longs - 1,
        query_starts=torch.tensor([0, tokens], dtype=torch.int32, device=device),
        context_lengths=torch.tensor([tokens], dtype=torch.int32, device=device),
        block_tables=torch.zeros((1, columns), dtype=torch.int32, device=device),
        decode_rows=int(tokens == 1),
        max_context=tokens,
    )
    hidden = model.model(_placeholder(model, longs), StepContext(inputs, caches))
    if model.model.head is not None:
        model.model.logits(hidden[: settings.scheduler.max_sequences])
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device)
    del hidden, caches
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    others = total - free - torch.cuda.memory_reserved(device)
    return int(total * settings.memory_share) - peak - others - _GRAPHS


def _placeholder(model: LoadedModel, token_ids: Tensor) -> Tensor:
    """Inputs of the right kind for this stage: token ids, or states for stages after the first."""
    if model.model.first:
        return token_ids
    return torch.zeros(
        len(token_ids), model.config.hidden_size, dtype=model.place.dtype, device=model.place.device
    )
