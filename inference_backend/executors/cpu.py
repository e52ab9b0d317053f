"""Plans run with plain torch on the CPU, one after the other."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from inference_backend.adapting import load_lora, load_prefix, prepare_lora
from inference_backend.errors import ExecutorError, ResourceError
from inference_backend.executor import Capacity
from inference_backend.executors.inputs import adapter_rows, attention_inputs, long_tensor
from inference_backend.executors.loading import LoadedModel, allocate_cache, cache_blocks, load_model
from inference_backend.executors.room import free_memory
from inference_backend.executors.stage import WHOLE, Stage
from inference_backend.kernels import LayerCache
from inference_backend.layers import Scheme, StepContext
from inference_backend.parallel import SINGLE, TensorGroup
from inference_backend.sampling import Sampler
from inference_backend.settings import EngineSettings
from inference_backend.step import Int32s, StepPlan, StepResult, TokenMasks

_LARGEST_DEFAULT = 4 * 2**30


class CpuExecutor:
    """An `Executor`. Steps run where they are launched, so planning ahead brings nothing but is supported."""

    def __init__(
        self,
        settings: EngineSettings,
        group: TensorGroup = SINGLE,
        scheme: Scheme | None = None,
        stage: Stage = WHOLE,
    ) -> None:
        self.settings = settings
        self._stage = stage
        self._scheme = scheme
        self.plans_ahead = bool(settings.plan_ahead)
        self.group = group
        self._loaded: LoadedModel | None = None
        self._caches: tuple[LayerCache, ...] = ()
        self._sampler = Sampler(0)
        self._launched: tuple[StepPlan, Int32s, Tensor] | None = None
        self._results: deque[StepResult] = deque()

    @property
    def loaded(self) -> LoadedModel:
        """The model.

        Raises:
            ResourceError: `load` has not run, or `close` has.
        """
        if self._loaded is None:
            raise ResourceError("the executor holds no model")
        return self._loaded

    def load(self) -> Capacity:
        """See `Executor.load`."""
        stage = (self._stage.number, self._stage.count)
        loaded = load_model(self.settings, torch.device("cpu"), self.group, stage, self._scheme)
        prepare_lora(loaded.model, self.settings.adapters)
        blocks = cache_blocks(loaded, self.settings, _budget)
        self._caches = allocate_cache(loaded, self.settings, blocks, loaded.layers)
        self._sampler = Sampler(loaded.config.vocab_size)
        self._loaded = loaded
        return loaded.capacity(blocks, self.settings.scheduler.block_size)

    def launch(self, plan: StepPlan) -> None:
        """See `Executor.launch`."""
        try:
            self._forward(plan)
        except (RuntimeError, MemoryError) as error:
            raise ExecutorError(f"the forward pass failed: {error}", lasting=False) from error

    @torch.inference_mode()
    def _forward(self, plan: StepPlan) -> None:
        for join in plan.joins:
            self._sampler.join(join)
        fed = self._sampler.resolve(plan)
        device = self.loaded.place.device
        step = StepContext(attention_inputs(plan, device), self._caches, adapter_rows(plan, device))
        self._launched = plan, fed, self._through_stage(long_tensor(fed, device), step)

    def _through_stage(self, token_ids: Tensor, step: StepContext) -> Tensor:
        """The stage's share of the model; hidden states come from the stage before and go to the one after."""
        x, loaded = token_ids, self.loaded
        if self._stage.number:
            shape = len(token_ids), loaded.config.hidden_size
            x = self._stage.receive(torch.empty(shape, dtype=loaded.place.dtype, device=loaded.place.device))
        hidden: Tensor = loaded.model(x, step)
        self._stage.send(hidden)
        return hidden

    def sample(self, masks: TokenMasks | None) -> None:
        """See `Executor.sample`."""
        launched, self._launched = self._launched, None
        if launched is None:
            raise ResourceError("no step has been launched")
        try:
            self._sample(*launched, masks)
        except (RuntimeError, MemoryError) as error:
            raise ExecutorError(f"sampling failed: {error}", lasting=False) from error

    @torch.inference_mode()
    def _sample(self, plan: StepPlan, fed: Int32s, hidden: Tensor, masks: TokenMasks | None) -> None:
        logits = self.loaded.model.logits(hidden[torch.from_numpy(plan.sample_tokens).long()])
        result = self._sampler.sample(logits, plan, fed, masks)
        if len(plan.hidden_tokens):
            states = hidden[torch.from_numpy(plan.hidden_tokens).long()].float().numpy()
            result = replace(result, hidden=states)
        self._results.append(result)

    def collect(self) -> StepResult:
        """See `Executor.collect`."""
        return self._results.popleft()

    def load_adapter(self, slot: int, folder: str) -> None:
        """See `Executor.load_adapter`."""
        load_lora(self.loaded.model, slot, Path(folder), self.settings.adapters)

    def load_prefix(self, start: int, folder: str) -> int:
        """See `Executor.load_prefix`."""
        return load_prefix(self.loaded.model, start, Path(folder), self.settings.adapters)

    def close(self) -> None:
        """See `Executor.close`."""
        self._loaded = None
        self._caches = ()
        self._results.clear()


def _budget() -> int:
    """Bytes for a cache whose size is not set: a quarter of the free memory, at most 4 GiB."""
    return min(free_memory() // 4, _LARGEST_DEFAULT)
