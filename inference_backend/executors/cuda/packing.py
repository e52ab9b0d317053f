"""From a plan's arrays to one pinned buffer on its way to the device. At most two steps may be under way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference_backend.kernels.cuda import PackedSizes
from inference_backend.step import Int32s, Join, StepPlan

_BUFFERS = 4  # two steps under way, one being planned, one to spare


class SlotTable:
    """Sampling parameters by slot, on the host, so that a step's rows are gathered in a few array operations.

    `special` marks slots whose sampling needs more than temperature, top-k, top-p and min-p.
    """

    def __init__(self, slots: int) -> None:
        self.temperature = np.zeros(slots, dtype=np.float32)
        self.top_k = np.zeros(slots, dtype=np.int32)
        self.top_p = np.ones(slots, dtype=np.float32)
        self.min_p = np.zeros(slots, dtype=np.float32)
        self.seeds = np.zeros(slots, dtype=np.int64)
        self.min_tokens = np.zeros(slots, dtype=np.int32)
        self.special = np.zeros(slots, dtype=np.bool_)

    def join(self, join: Join) -> None:
        """Note a sequence's parameters under its slot."""
        slot, sampling = join.slot, join.sampling
        self.temperature[slot] = sampling.temperature
        self.top_k[slot] = sampling.top_k
        self.top_p[slot] = sampling.top_p
        self.min_p[slot] = sampling.min_p
        self.seeds[slot] = np.int64(join.seed & (2**63 - 1))
        self.min_tokens[slot] = sampling.min_tokens
        self.special[slot] = (
            sampling.penalised or bool(sampling.logit_bias) or sampling.most_logprobs is not None
        )


@dataclass(frozen=True, slots=True)
class PackedStep:
    """A packed step on the device; `ready` is recorded once it is there."""

    words: Tensor
    sizes: PackedSizes
    ready: torch.cuda.Event


class Packer:
    """Packs steps into a ring of pinned buffers and copies them on a stream of its own."""

    def __init__(self, words: int, slots: SlotTable, device: torch.device) -> None:
        self._host = [torch.empty(words, dtype=torch.int32, pin_memory=True) for _ in range(_BUFFERS)]
        self._views = [buffer.numpy() for buffer in self._host]
        self._device = [torch.empty(words, dtype=torch.int32, device=device) for _ in range(_BUFFERS)]
        self._stream = torch.cuda.Stream(device)
        self._slots = slots
        self._next = 0

    def pack(self, plan: StepPlan, padded: tuple[int, int, int] | None = None) -> PackedStep:
        """Send a plan on its way, `padded` to so many tokens, rows and sampled positions."""
        index, self._next = self._next, (self._next + 1) % _BUFFERS
        tokens, rows, samples = padded or (plan.tokens, plan.rows, len(plan.sample_tokens))
        sizes = PackedSizes(tokens, rows, plan.block_tables.shape[1], samples)
        _fill(self._views[index], plan, sizes, self._slots)
        target = self._device[index][: sizes.words]
        with torch.cuda.stream(self._stream):
            target.copy_(self._host[index][: sizes.words], non_blocking=True)
            ready = torch.cuda.Event()
            ready.record(self._stream)
        return PackedStep(target, sizes, ready)


def _fill(words: Int32s, plan: StepPlan, sizes: PackedSizes, slots: SlotTable) -> None:
    """The sections of `PackedSizes`, in order. Padding rows have no context, write nothing and sample greedily."""
    place = _Sections(words)
    row_slots = plan.slots if plan.decode_only else np.repeat(plan.slots, np.diff(plan.query_starts))
    place.add(plan.token_ids, sizes.tokens, 0)
    place.add(np.where(plan.pending, row_slots, -1), sizes.tokens, -1)
    place.add(plan.positions, sizes.tokens, 0)
    place.add(plan.slot_mapping, sizes.tokens, -1)
    place.add(plan.query_starts, sizes.rows + 1, plan.tokens)
    place.add(plan.context_lengths, sizes.rows, 0)
    place.add(plan.block_tables.ravel(), sizes.rows * sizes.columns, 0)
    owners = plan.slots[plan.sample_rows]
    place.add(plan.sample_tokens, sizes.samples, 0)
    place.add(_remembering(plan, owners, len(slots.seeds)), sizes.samples, len(slots.seeds))
    place.add(slots.temperature[owners].view(np.int32), sizes.samples, 0)
    place.add(slots.top_k[owners], sizes.samples, 0)
    place.add(slots.top_p[owners].view(np.int32), sizes.samples, 0)
    place.add(slots.min_p[owners].view(np.int32), sizes.samples, 0)
    place.add(plan.sample_indexes, sizes.samples, 0)
    place.add(slots.seeds[owners].view(np.int32), 2 * sizes.samples, 0)


def _remembering(plan: StepPlan, owners: Int32s, nowhere: int) -> Int32s:
    """Where each sampled token is remembered: its slot for a row's last one, the spare place for those before it."""
    last = np.ones(len(owners), dtype=np.bool_)
    last[:-1] = plan.sample_rows[1:] != plan.sample_rows[:-1]
    return np.where(last, owners, nowhere)


class _Sections:
    """Writes sections one after the other."""

    def __init__(self, words: Int32s) -> None:
        self._words = words
        self._at = 0

    def add(self, values: Int32s, size: int, padding: int) -> None:
        end = self._at + size
        filled = self._at + len(values)
        self._words[self._at : filled] = values
        if filled < end:
            self._words[filled:end] = padding
        self._at = end
