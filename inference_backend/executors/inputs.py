"""From a plan's numpy arrays to tensors on the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inference_backend.kernels import AdapterRows, AttentionInputs
from inference_backend.step import Int32s, StepPlan


def long_tensor(array: Int32s, device: torch.device) -> Tensor:
    """The array as int64 on a device."""
    return torch.from_numpy(array.astype(np.int64)).to(device)


def attention_inputs(plan: StepPlan, device: torch.device) -> AttentionInputs:
    """A plan's arrays as tensors on a device."""
    return AttentionInputs(
        positions=long_tensor(plan.positions, device),
        slot_mapping=long_tensor(plan.slot_mapping, device),
        query_starts=torch.from_numpy(plan.query_starts).to(device),
        context_lengths=torch.from_numpy(plan.context_lengths).to(device),
        block_tables=torch.from_numpy(np.ascontiguousarray(plan.block_tables)).to(device),
        decode_rows=plan.decode_rows,
        max_context=int(plan.context_lengths.max()),
    )


def adapter_rows(plan: StepPlan, device: torch.device) -> AdapterRows | None:
    """None where the whole step uses the base model."""
    if not plan.adapters.any():
        return None
    per_token = np.repeat(plan.adapters, np.diff(plan.query_starts))
    active = tuple(int(slot) for slot in np.unique(plan.adapters) if slot)
    return AdapterRows(long_tensor(per_token, device), active)
