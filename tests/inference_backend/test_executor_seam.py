"""The seam between planning and hardware takes an executor that runs an exported graph, attention as a plugin.

This is the shape of an executor for a compiler such as TensorRT: the model becomes a graph without Python in it
(`torch.export`), paged attention and the cache's writing are opaque operations of it, and the executor feeds it the
plan's arrays. Scheduler, engine and sampler are those of every other executor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inference_backend import kernels
from inference_backend.engine import Engine, EngineParts
from inference_backend.executor import Capacity
from inference_backend.executors import CpuExecutor
from inference_backend.kernels import AttentionInputs, AttentionSpec, LayerCache, RopeTable, reference
from inference_backend.layers import StepContext
from inference_backend.settings import EngineSettings, SchedulerSettings
from tests.inference_backend.conftest import Maker, collect, greedy, tokens
from tests.inference_backend.test_models import PROMPTS

LIBRARY = "interlock_seam"


@torch.library.custom_op(f"{LIBRARY}::rope_and_cache", mutates_args=("keys", "values"))
def rope_and_cache(  # noqa: PLR0917 -- an operation of a graph takes tensors, not objects
    qkv: Tensor,
    table: Tensor,
    positions: Tensor,
    slots: Tensor,
    keys: Tensor,
    values: Tensor,
    sizes: list[int],
) -> Tensor:
    heads, kv_heads, head_dim = sizes
    spec = AttentionSpec(heads, kv_heads, head_dim, 1.0)
    inputs = AttentionInputs(positions, slots, positions, positions, positions, 0, 0)
    turned = reference.rope_and_cache_kv(
        qkv, spec, RopeTable(table, table.shape[1]), LayerCache(keys, values), inputs
    )
    return turned.contiguous()


@rope_and_cache.register_fake
def _(qkv: Tensor, *_: Any) -> Tensor:
    sizes = _[-1]
    return qkv.new_empty(qkv.shape[0], sizes[0], sizes[2])


@torch.library.custom_op(f"{LIBRARY}::paged_attention", mutates_args=())
def paged_attention(  # noqa: PLR0917 -- as above
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    starts: Tensor,
    lengths: Tensor,
    tables: Tensor,
    scale: float,
) -> Tensor:
    heads, kv_heads, head_dim = queries.shape[1], keys.shape[2], queries.shape[2]
    spec = AttentionSpec(heads, kv_heads, head_dim, scale)
    inputs = AttentionInputs(starts, starts, starts, lengths, tables, 0, 0)
    return reference.paged_attention(queries, LayerCache(keys, values), inputs, spec)


@paged_attention.register_fake
def _(queries: Tensor, *_: Any) -> Tensor:
    return queries.new_empty(queries.shape[0], queries.shape[1] * queries.shape[2])


@contextmanager
def plugins() -> Iterator[None]:
    """The model's attention calls the opaque operations while the graph is made."""

    def rope(
        qkv: Tensor, spec: AttentionSpec, table: RopeTable, cache: LayerCache, step: AttentionInputs
    ) -> Tensor:
        sizes = [spec.heads, spec.kv_heads, spec.head_dim]
        return rope_and_cache(
            qkv, table.cos_sin, step.positions, step.slot_mapping, cache.keys, cache.values, sizes
        )

    def attend(queries: Tensor, cache: LayerCache, step: AttentionInputs, spec: AttentionSpec) -> Tensor:
        return paged_attention(
            queries, cache.keys, cache.values, step.query_starts, step.context_lengths, step.block_tables,
            spec.scale,
        )  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "rope_and_cache_kv", rope)
        patch.setattr(kernels, "paged_attention", attend)
        yield


class Flat(nn.Module):
    """The model with the step's arrays and the caches as plain inputs: what a compiled graph has."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, step: tuple[Tensor, ...], caches: list[tuple[Tensor, Tensor]]) -> Tensor:
        positions, slots, starts, lengths, tables = step
        inputs = AttentionInputs(positions, slots, starts, lengths, tables, 0, 0)
        out: Tensor = self.model(ids, StepContext(inputs, tuple(LayerCache(*pair) for pair in caches)))
        return out


@dataclass
class Dynamic:
    """Which sizes differ from step to step."""

    tokens = torch.export.Dim("tokens", min=2, max=4096)
    rows = torch.export.Dim("rows", min=2, max=256)
    columns = torch.export.Dim("columns", min=2, max=4096)


class ExportedExecutor(CpuExecutor):
    """Runs the exported graph instead of the model."""

    graph: nn.Module

    def load(self) -> Capacity:
        capacity = super().load()
        ids, positions, slots = torch.zeros(6).long(), torch.arange(6), torch.arange(6)
        step = (
            positions,
            slots,
            torch.tensor([0, 3, 6]).int(),
            torch.tensor([3, 3]).int(),
            torch.zeros(2, 2).int(),
        )
        shapes = (
            {0: Dynamic.tokens},
            ({0: Dynamic.tokens}, {0: Dynamic.tokens}, {0: torch.export.Dim.AUTO}, {0: Dynamic.rows}, {0: Dynamic.rows, 1: Dynamic.columns}),
            [({}, {}) for _ in self._caches],
        )  # fmt: skip
        with plugins(), torch.no_grad():
            exported = torch.export.export(
                Flat(self.loaded.model), (ids, step, self._pairs()), dynamic_shapes=shapes
            )
        self.graph = exported.module()
        return capacity

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        return [(cache.keys, cache.values) for cache in self._caches]

    def _through_stage(self, token_ids: Tensor, step: StepContext) -> Tensor:
        inputs = step.inputs
        arrays = (
            inputs.positions,
            inputs.slot_mapping,
            inputs.query_starts,
            inputs.context_lengths,
            inputs.block_tables,
        )
        out: Tensor = self.graph(token_ids, arrays, self._pairs())
        return out


def test_an_exported_graph_serves_behind_the_same_scheduler(checkpoint: Maker) -> None:
    made = checkpoint("qwen3")
    limits = SchedulerSettings(block_size=4, max_sequences=8, max_step_tokens=10)
    settings = EngineSettings(str(made.folder), device="cpu", kv_blocks=16, plan_ahead=True, scheduler=limits)
    executor = ExportedExecutor(settings)
    engine = Engine(EngineParts(executor, limits), executor.load())
    called = {str(node.target) for node in executor.graph.graph.nodes if node.op == "call_function"}
    assert {f"{LIBRARY}.rope_and_cache.default", f"{LIBRARY}.paged_attention.default"} <= called
    for number, prompt in enumerate(PROMPTS):
        engine.submit(engine.prepare(greedy(f"r{number}", prompt, 20)))
    got = collect(engine)
    for number, prompt in enumerate(PROMPTS):
        assert tokens(got[f"r{number}", 0]) == made.greedy(prompt, 20)
    assert engine.scheduler.counters.preemptions
