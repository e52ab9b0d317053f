"""Sampling on the device: two kernels for most rows, torch operations before them for the rest.

What needs more than temperature and truncation (masks, biases, penalties, a minimum length, log-probabilities) works on
float32 logits with tensors that are on the device already; nothing waits for it. Penalties read a table of the tokens
each penalised sequence has been fed, by position, because the last of them are not yet known to the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference_backend.executors.cuda.packing import SlotTable
from inference_backend.executors.cuda.results import Sampled
from inference_backend.kernels.cuda import SamplingRows, StepTensors, choose
from inference_backend.step import Join, StepPlan, TokenMasks
from inference_backend.values import SamplingParameters


@dataclass(frozen=True, slots=True)
class _Special:
    """A sequence whose sampling needs more, with what it needs as tensors on the device."""

    sampling: SamplingParameters
    prompt_length: int
    stop_ids: Tensor
    bias_ids: Tensor
    bias_values: Tensor


def sampling_rows(step: StepTensors, count: int) -> SamplingRows:
    """The first `count` sampled positions as kernels take them."""
    return SamplingRows(
        temperature=step.temperature[:count],
        top_k=step.top_k[:count],
        top_p=step.top_p[:count],
        min_p=step.min_p[:count],
        seeds=step.seeds[:count],
        counters=step.counters[:count],
    )


def draw(logits: Tensor, step: StepTensors) -> Tensor:
    """Sample a token per row of [S, V] and remember it by slot: int32 [S], -1 for flawed rows."""
    count = len(logits)
    return choose(logits, sampling_rows(step, count), step.last_tokens, step.sample_slots[:count])


class SpecialSampler:
    """The rows that temperature and truncation alone do not serve."""

    def __init__(self, slots: SlotTable, positions: int, device: torch.device) -> None:
        self.slots = slots
        self._device = device
        self._positions = positions
        self._special: dict[int, _Special] = {}
        self._history: Tensor | None = None

    def join(self, join: Join) -> None:
        """A sequence takes a slot."""
        sampling = join.sampling
        self._special.pop(join.slot, None)
        if not (self.slots.special[join.slot] or sampling.min_tokens):
            return
        self._special[join.slot] = _Special(
            sampling,
            len(join.prompt_ids),
            self._longs(join.stop_ids),
            self._longs(np.asarray([token for token, _ in sampling.logit_bias], dtype=np.int32)),
            torch.tensor([bias for _, bias in sampling.logit_bias], dtype=torch.float32).to(self._device),
        )
        if sampling.penalised:
            known = np.concatenate((join.prompt_ids, join.output_ids))
            self._table()[join.slot, : len(known)] = torch.from_numpy(known).to(self._device)

    def needed(self, plan: StepPlan) -> bool:
        """Whether any sampled position of a plan needs more than the two kernels."""
        if len(plan.masked):
            return True
        owners = plan.slots[plan.sample_rows]
        early = plan.sample_indexes < self.slots.min_tokens[owners]
        return bool(self.slots.special[owners].any() or early.any())

    def feed(self, plan: StepPlan, token_ids: Tensor) -> None:
        """Note the tokens that penalised sequences are fed in this step."""
        penalised = [slot for slot, special in self._special.items() if special.sampling.penalised]
        if not penalised:
            return
        owners = np.repeat(plan.slots, np.diff(plan.query_starts))
        chosen = np.flatnonzero(np.isin(owners, penalised))
        rows, columns = self._longs(owners[chosen]), self._longs(plan.positions[chosen])
        self._table().index_put_((rows, columns), token_ids[self._longs(chosen)].int())

    def sample(self, logits: Tensor, plan: StepPlan, masks: TokenMasks | None, step: StepTensors) -> Sampled:
        """Sample float32 logits [S, V], which are changed in place."""
        owners = [int(slot) for slot in plan.slots[plan.sample_rows]]
        wanted = [self._wanted(slot) for slot in owners]
        raw = logits.clone() if any(count is not None for count in wanted) else None
        if masks is not None:
            _mask(logits, self._longs(plan.masked), torch.from_numpy(masks.words).to(self._device))
        for at, slot in enumerate(owners):
            special = self._special.get(slot)
            if special is not None:
                self._adjust(logits[at], special, slot, int(plan.sample_indexes[at]))
        tokens = draw(logits, step)
        if raw is None:
            return Sampled(tokens)
        shown = tokens.long()
        if (plan.targets >= 0).any():
            targets = self._longs(plan.targets)
            shown = torch.where(targets < 0, shown, targets)
        logprobs = torch.log_softmax(raw, dim=-1)
        if masks is not None and (chosen := self._held(plan)):
            words = torch.from_numpy(masks.words[chosen]).to(self._device)
            _mask(logprobs, self._longs(plan.masked[chosen]), words)
        return _with_logprobs(logprobs, tokens, shown, max(count or 0 for count in wanted))

    def _held(self, plan: StepPlan) -> list[int]:
        """Which of the plan's masked positions want the log probabilities of allowed tokens alone."""
        owners = plan.slots[plan.sample_rows[plan.masked]]
        specials = [self._special.get(int(slot)) for slot in owners]
        return [at for at, special in enumerate(specials) if special and special.sampling.allowed_logprobs]

    def _wanted(self, slot: int) -> int | None:
        special = self._special.get(slot)
        return None if special is None else special.sampling.most_logprobs

    def _adjust(self, logits: Tensor, special: _Special, slot: int, index: int) -> None:
        """Bias, penalties and the minimum length, in the order of the CPU sampler."""
        logits.index_add_(0, special.bias_ids, special.bias_values)
        if special.sampling.penalised:
            self._penalise(logits, special, slot, index)
        if index < special.sampling.min_tokens:
            logits.index_fill_(0, special.stop_ids, float("-inf"))

    def _penalise(self, logits: Tensor, special: _Special, slot: int, index: int) -> None:
        """Presence and frequency penalties over the output, the repetition penalty over prompt and output."""
        sampling, prompt = special.sampling, special.prompt_length
        history = self._table()[slot, : prompt + index].long()
        counts = torch.zeros(len(logits) + 1, device=logits.device)
        outputs = history[prompt:].clamp_max(len(logits))
        counts.index_add_(0, outputs, torch.ones(len(outputs), device=logits.device))
        counts = counts[:-1]
        if sampling.repetition_penalty != 1.0:
            seen = torch.zeros(len(logits) + 1, dtype=torch.bool, device=logits.device)
            seen.index_fill_(0, history.clamp_max(len(logits)), value=True)
            size = sampling.repetition_penalty
            scaled = torch.where(logits > 0, logits / size, logits * size)
            logits.copy_(torch.where(seen[:-1], scaled, logits))
        logits.sub_(sampling.frequency_penalty * counts + sampling.presence_penalty * (counts > 0))

    def _table(self) -> Tensor:
        """Tokens by slot and position; made when the first penalised sequence comes."""
        if self._history is None:
            shape = (len(self.slots.seeds), self._positions)
            self._history = torch.zeros(shape, dtype=torch.int32, device=self._device)
        return self._history

    def _longs(self, array: NDArray[np.signedinteger]) -> Tensor:
        return torch.from_numpy(array.astype(np.int64)).to(self._device)


def _mask(logits: Tensor, rows: Tensor, words: Tensor) -> None:
    """Bit t % 32 of word t // 32 says whether token t is allowed."""
    bits = torch.arange(32, dtype=torch.int32, device=words.device)
    allowed = ((words[:, :, None] >> bits) & 1).flatten(1)[:, : logits.shape[1]].bool()
    missing = logits.shape[1] - allowed.shape[1]
    if missing > 0:
        allowed = torch.nn.functional.pad(allowed, (0, missing))
    logits.index_copy_(0, rows, logits[rows].masked_fill(~allowed, float("-inf")))


def _with_logprobs(logprobs: Tensor, tokens: Tensor, shown: Tensor, count: int) -> Sampled:
    """The sampled tokens with the log probabilities, of [S, V], of the ones `shown`, int64 [S]."""
    own = logprobs.gather(1, shown.clamp_min(0)[:, None])[:, 0]
    top, ids = logprobs.topk(max(1, count), dim=-1)
    return Sampled(tokens, own, ids.int(), top)
