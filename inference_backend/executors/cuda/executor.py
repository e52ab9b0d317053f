"""The executor for one NVIDIA GPU (one rank of several, with a tensor group or as a pipeline stage)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inference_backend.adapting import load_lora, load_prefix, prepare_lora
from inference_backend.errors import ExecutorError, ResourceError
from inference_backend.executor import Capacity
from inference_backend.executors.cuda.capturing import capture
from inference_backend.executors.cuda.machine import Machine, make_machine
from inference_backend.executors.cuda.memory import left_beside_largest_step
from inference_backend.executors.cuda.packing import SlotTable
from inference_backend.executors.cuda.results import Flight, ReturnPath, Sampled
from inference_backend.executors.cuda.sampling import draw
from inference_backend.executors.cuda.tuning import tune_products
from inference_backend.executors.cuda.warming import warm_step
from inference_backend.executors.inputs import adapter_rows
from inference_backend.executors.loading import cache_blocks, load_model
from inference_backend.executors.stage import WHOLE, Stage
from inference_backend.kernels.cuda import unpack_step
from inference_backend.layers import Scheme, StepContext
from inference_backend.parallel import SINGLE, TensorGroup
from inference_backend.settings import EngineSettings
from inference_backend.step import Int32s, StepPlan, StepResult, TokenMasks


@dataclass(frozen=True, slots=True)
class _Launched:
    """A step whose hidden states are being computed; `rows` is the graph it was padded to, if any.

    `hidden` has the sampled tokens' states, then those that the plan asks for; of a graph, those of all its rows.
    """

    plan: StepPlan
    hidden: Tensor
    rows: int | None


class CudaExecutor:
    """An `Executor`. Its steps run on the device's current stream, in order; the host is always a step ahead."""

    def __init__(
        self,
        settings: EngineSettings,
        group: TensorGroup = SINGLE,
        scheme: Scheme | None = None,
        stage: Stage = WHOLE,
    ) -> None:
        self.settings = settings
        self.plans_ahead = settings.plan_ahead is not False
        self.group = group
        self._scheme = scheme
        self._stage = stage
        self._device = torch.device("cuda", torch.cuda.current_device())
        self._slots = SlotTable(settings.scheduler.max_sequences)
        self._machine: Machine | None = None
        self._returns: ReturnPath | None = None
        self._launched: _Launched | None = None
        self._flights: deque[Flight] = deque()

    @property
    def machine(self) -> Machine:
        """What `load` made.

        Raises:
            ResourceError: `load` has not run, or `close` has.
        """
        if self._machine is None:
            raise ResourceError("the executor holds no model")
        return self._machine

    @torch.inference_mode()
    def load(self) -> Capacity:
        """See `Executor.load`."""
        torch.cuda.set_device(self._device)
        stage = (self._stage.number, self._stage.count)
        model = load_model(self.settings, self._device, self.group, stage, self._scheme)
        prepare_lora(model.model, self.settings.adapters)
        tune_products(model.model, self.settings.scheduler)
        blocks = cache_blocks(model, self.settings, partial(left_beside_largest_step, model, self.settings))
        self._machine = make_machine(model, self.settings, self._stage, self._slots, blocks)
        self._returns = ReturnPath(self._device)
        if not model.config.experts:
            alone = self.group.size == self._stage.count == 1
            capture(self._machine, last_stage=self._stage.last, measured=alone)
        self._warm()
        torch.cuda.synchronize()
        return model.capacity(blocks, self.settings.scheduler.block_size)

    def launch(self, plan: StepPlan) -> None:
        """See `Executor.launch`."""
        with _faults(f"step {plan.number}"):
            self._launch(plan)

    def sample(self, masks: TokenMasks | None) -> None:
        """See `Executor.sample`."""
        launched, self._launched = self._launched, None
        if launched is None:
            raise ResourceError("no step has been launched")
        with _faults(f"the sampling of step {launched.plan.number}"):
            self._sample(launched, masks)

    def collect(self) -> StepResult:
        """See `Executor.collect`."""
        flight = self._flights.popleft()
        with _faults(f"step {flight.number}"):
            return flight.wait()

    def close(self) -> None:
        """See `Executor.close`."""
        self._machine = None
        self._launched = None
        self._flights.clear()
        torch.cuda.empty_cache()

    # --- one step -----------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def _launch(self, plan: StepPlan) -> None:
        machine = self.machine
        for join in plan.joins:
            self._slots.join(join)
            machine.special.join(join)
        rows, tokens = self._graph_for(plan)
        padded = None
        if rows:
            padded = rows, rows, rows
        elif tokens:
            padded = tokens, machine.rows_among(tokens), len(plan.sample_tokens)
        packed = machine.packer.pack(plan, padded)
        torch.cuda.current_stream().wait_event(packed.ready)
        unpack_step(packed.words, packed.sizes, machine.step)
        machine.special.feed(plan, machine.step.token_ids)
        entering = machine.states[: rows or tokens or plan.tokens]
        if len(entering):
            entering.copy_(self._stage.receive(entering))
        if rows and plan.adapters.any():
            machine.adapters.copy_(_padded(plan.adapters, len(machine.adapters)))
            hidden = machine.adapted.replay(rows)
        elif rows:
            hidden = machine.forward.replay(rows)
        elif tokens:
            hidden = machine.mixed.replay(tokens)
        else:
            hidden = self._forward(plan)
        self._stage.send(hidden)
        if tokens and self._stage.last:
            hidden = hidden[self._wanted(plan)]
        self._launched = _Launched(plan, hidden, rows)

    def _graph_for(self, plan: StepPlan) -> tuple[int | None, int | None]:
        """The decode graph that fits a plan, by its rows, or the mixed one, by its tokens."""
        machine = self.machine
        plain_decode = plan.decode_only and len(plan.sample_tokens) == plan.rows
        if plan.adapters.any():
            return machine.adapted.fitting(plan.rows) if plain_decode else None, None
        if plain_decode:
            return machine.forward.fitting(plan.rows), None
        tokens = machine.mixed.fitting(plan.tokens)
        return None, tokens if tokens and plan.rows <= machine.rows_among(tokens) else None

    def _wanted(self, plan: StepPlan) -> Tensor:
        """Indexes of the tokens whose hidden states are read: sampled ones, then those that the plan asks for."""
        wanted = self.machine.step.sample_tokens[: len(plan.sample_tokens)]
        if not len(plan.hidden_tokens):
            return wanted
        asked = torch.from_numpy(plan.hidden_tokens.astype(np.int64)).to(self._device)
        return torch.cat((wanted, asked))

    def _forward(self, plan: StepPlan) -> Tensor:
        """The step's kernels one by one: the hidden states that are read, or all of them for the stage after."""
        machine, tokens, rows = self.machine, plan.tokens, plan.rows
        inputs = machine.attention(tokens, rows, plan.decode_rows, int(plan.context_lengths.max()))
        wanted = self._wanted(plan)
        adapters = adapter_rows(plan, self._device)
        model = machine.model.model
        trims = model.trims and adapters is None and self._stage.last
        context = StepContext(inputs, machine.caches, adapters, wanted if trims else None)
        out: Tensor = model(machine.entering(tokens), context)
        return out if trims or not self._stage.last else out[wanted]

    @torch.inference_mode()
    def _sample(self, launched: _Launched, masks: TokenMasks | None) -> None:
        machine, plan = self.machine, launched.plan
        if self._returns is None:
            raise ResourceError("the executor holds no model")
        self._returns.before_reuse()
        count = len(plan.sample_tokens)
        model = machine.model.model
        if not count:
            result = Sampled(machine.step.last_tokens[:0])
        elif machine.special.needed(plan):
            logits = model.logits(launched.hidden[:count])
            result = machine.special.sample(logits, plan, masks, machine.step)
        elif launched.rows is not None:
            result = Sampled(machine.sampling.replay(launched.rows)[:count])
        else:
            logits = model.logits(launched.hidden[:count], narrow=True)
            result = Sampled(draw(logits, machine.step))
        if len(plan.hidden_tokens):
            result = replace(result, hidden=launched.hidden[count:].float())
        self._flights.append(self._returns.send(plan.number, result))

    # --- start --------------------------------------------------------------------------------------------------

    def _warm(self) -> None:
        """Steps of prompts in several sizes, so that no request waits for a kernel to be compiled or loaded."""
        machine, limits = self.machine, self.settings.scheduler
        tokens = limits.max_step_tokens
        while tokens >= 1:
            longest = min(tokens, machine.model.positions)
            plan = warm_step(tokens, longest, min(limits.max_sequences, tokens), limits.block_size)
            packed = machine.packer.pack(plan)
            torch.cuda.current_stream().wait_event(packed.ready)
            unpack_step(packed.words, packed.sizes, machine.step)
            hidden = self._forward(plan)
            if self._stage.last:
                draw(machine.model.model.logits(hidden, narrow=True), machine.step)
            torch.cuda.synchronize()  # the packer's buffers are for two steps under way
            tokens //= 2

    @torch.inference_mode()
    def load_adapter(self, slot: int, folder: str) -> None:
        """See `Executor.load_adapter`."""
        load_lora(self.machine.model.model, slot, Path(folder), self.settings.adapters)

    @torch.inference_mode()
    def load_prefix(self, start: int, folder: str) -> int:
        """See `Executor.load_prefix`."""
        return load_prefix(self.machine.model.model, start, Path(folder), self.settings.adapters)


@contextmanager
def _faults(where: str) -> Iterator[None]:
    """What torch says, as the engine's error: a lack of memory ends one step, anything else the executor."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise ExecutorError(f"the GPU has no memory for {where}: {error}", lasting=False) from error
    except RuntimeError as error:
        raise ExecutorError(f"the GPU failed in {where}: {error}") from error


def _padded(slots: Int32s, length: int) -> Tensor:
    """Adapter slots as int64 [length], 0 for padding rows."""
    out = np.zeros(length, dtype=np.int64)
    out[: len(slots)] = slots
    return torch.from_numpy(out)
