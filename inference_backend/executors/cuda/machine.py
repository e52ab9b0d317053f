"""All that lives on the device once a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inference_backend.executors.cuda.graphs import GraphSet, adapted_sizes, bucket_sizes, mixed_sizes
from inference_backend.executors.cuda.memory import entering_states, step_tensors
from inference_backend.executors.cuda.packing import Packer, SlotTable
from inference_backend.executors.cuda.sampling import SpecialSampler
from inference_backend.executors.loading import LoadedModel, allocate_cache
from inference_backend.executors.stage import Stage
from inference_backend.kernels import AttentionInputs, LayerCache
from inference_backend.kernels.cuda import PackedSizes, StepTensors
from inference_backend.settings import EngineSettings

LARGEST_MIXED_GRAPH = 2048  # tokens; larger steps run longer than their kernels take to launch


@dataclass(frozen=True, slots=True)
class Machine:
    """A model, its cache, and the tensors and graphs of its steps.

    `states` are a later stage's inputs [T, hidden size], else empty; `adapters` int64 [R] the rows' adapter slots, for
    the graphs of decode rows with adapters. Graphs: `forward` and `sampling` of decode rows by their number, `adapted`
    of those with adapters, `mixed` of any rows by their tokens.
    """

    model: LoadedModel
    caches: tuple[LayerCache, ...]
    step: StepTensors
    states: Tensor
    adapters: Tensor
    packer: Packer
    special: SpecialSampler
    forward: GraphSet
    sampling: GraphSet
    mixed: GraphSet
    adapted: GraphSet

    def rows_among(self, tokens: int) -> int:
        """How many rows a mixed graph of so many tokens has room for."""
        return min(tokens, len(self.step.context_lengths))

    def entering(self, tokens: int) -> Tensor:
        """What the model takes for the step's first tokens: their ids, or the states of the stage before."""
        return self.states[:tokens] if len(self.states) else self.step.token_ids[:tokens]

    def attention(self, tokens: int, rows: int, decode_rows: int, max_context: int) -> AttentionInputs:
        """The step's first tokens and rows; `max_context` is an upper bound of the rows' contexts.

        `decode_rows` -1: the lengths on the device say which rows they are.
        """
        step = self.step
        return AttentionInputs(
            positions=step.positions[:tokens],
            slot_mapping=step.slot_mapping[:tokens],
            query_starts=step.query_starts[: rows + 1],
            context_lengths=step.context_lengths[:rows],
            block_tables=step.block_tables[:rows],
            decode_rows=max(decode_rows, 0),
            max_context=max_context,
            by_length=decode_rows < 0,
        )


def make_machine(
    model: LoadedModel, settings: EngineSettings, stage: Stage, slots: SlotTable, blocks: int
) -> Machine:
    """Allocate everything for a cache of so many blocks; no graph has been captured yet.

    Raises:
        ResourceError: the cache does not fit.
    """
    limits, device = settings.scheduler, model.place.device
    step = step_tensors(model, settings, device)
    words = PackedSizes(
        limits.max_step_tokens, limits.max_sequences, step.block_tables.shape[1], limits.max_step_tokens
    ).words
    sizes = bucket_sizes(limits.max_sequences)
    return Machine(
        model=model,
        caches=allocate_cache(model, settings, blocks, model.layers),
        step=step,
        states=entering_states(model, settings, stage),
        adapters=torch.zeros(limits.max_sequences, dtype=torch.int64, device=device),
        packer=Packer(words, slots, device),
        special=SpecialSampler(slots, model.positions, device),
        forward=GraphSet(sizes),
        sampling=GraphSet(sizes),
        mixed=GraphSet(mixed_sizes(min(limits.max_step_tokens, LARGEST_MIXED_GRAPH))),
        adapted=GraphSet(adapted_sizes(sizes) if settings.adapters.max_adapters else ()),
    )
