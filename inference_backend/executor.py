"""The one seam between planning and hardware.

An executor owns the weights, the KV cache and the device. It runs steps strictly in the order of `launch`; the engine
never has more than two under way. Nothing here names torch: a TensorRT executor takes the same arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from inference_backend.step import StepPlan, StepResult, TokenMasks


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a loaded executor can hold.

    `blocks` KV blocks of `block_size` tokens; `max_positions` is the model's longest sequence.
    """

    blocks: int
    block_size: int
    max_positions: int
    vocab_size: int
    hidden_size: int
    eos_ids: tuple[int, ...]


class Executor(Protocol):
    """Runs plans. One thread calls it; no method may be called before `load`."""

    @property
    def plans_ahead(self) -> bool:
        """Whether the next step should be planned before this one's result is collected."""
        ...

    def load(self) -> Capacity:
        """Load weights, size and allocate the KV cache, warm up.

        Raises:
            CheckpointError: the files cannot be used.
            ResourceError: the weights or a single sequence's KV cache do not fit.
        """
        ...

    def launch(self, plan: StepPlan) -> None:
        """Start the forward pass of a step, without waiting for it. Joins and KV writes happen here.

        Raises:
            ExecutorError: the step could not run; where the error is not `lasting`, the next one may be launched.
        """
        ...

    def sample(self, masks: TokenMasks | None) -> None:
        """Start the sampling of the step launched last; called once per launch, before the next one.

        `masks` is set exactly where the plan has `masked` positions.

        Raises:
            ExecutorError: as for `launch`.
        """
        ...

    def collect(self) -> StepResult:
        """Wait for the oldest step not yet collected.

        Raises:
            ExecutorError: the device failed; steps under way are lost.
        """
        ...

    def load_adapter(self, slot: int, folder: str) -> None:
        """Put the LoRA adapter of a folder into an adapter slot (1 or above), replacing what is there.

        Raises:
            CheckpointError: not an adapter of this model.
        """
        ...

    def load_prefix(self, start: int, folder: str) -> int:
        """Load a prompt-tuned prefix (p-tuning embeddings); returns its length in virtual tokens.

        Its rows become token ids `vocab_size + start` and on.

        Raises:
            CheckpointError: not a prompt-tuned prefix of this model.
        """
        ...

    def close(self) -> None:
        """Free the device. Idempotent."""
        ...
