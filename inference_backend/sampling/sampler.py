"""The CPU sampler."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from inference_backend.step import Int32s, Join, StepPlan, StepResult, TokenMasks
from inference_backend.values import SamplingParameters

_MASK64 = 2**64 - 1


@dataclass(slots=True)
class _Slot:
    """What is remembered of the sequence in a slot; `outputs` are its generated tokens so far."""

    sampling: SamplingParameters
    seed: int
    prompt: Tensor
    outputs: list[int]
    stop_ids: list[int]


class Sampler:
    """Samples the positions that a plan names. One instance per executor."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self._slots: dict[int, _Slot] = {}
        self._last: dict[int, int] = {}

    def join(self, join: Join) -> None:
        """A sequence takes a slot."""
        prompt = torch.from_numpy(join.prompt_ids.astype(np.int64))
        prompt = prompt[prompt < self.vocab_size]
        self._slots[join.slot] = _Slot(
            join.sampling, join.seed, prompt, join.output_ids.tolist(), join.stop_ids.tolist()
        )

    def resolve(self, plan: StepPlan) -> Int32s:
        """The plan's token ids, pending ones filled in."""
        if not plan.pending.any():
            return plan.token_ids
        tokens = plan.token_ids.copy()
        rows = np.repeat(plan.slots, np.diff(plan.query_starts))
        for index in np.flatnonzero(plan.pending):
            tokens[index] = self._last[int(rows[index])]
        return tokens

    def sample(self, logits: Tensor, plan: StepPlan, fed: Int32s, masks: TokenMasks | None) -> StepResult:
        """Choose one token per row of float32 logits [S, vocabulary]; `fed` are the step's resolved tokens [T]."""
        slots = [self._slots[int(plan.slots[row])] for row in plan.sample_rows]
        bad = ~torch.isfinite(logits.amax(dim=-1)) | torch.isnan(logits).any(dim=-1)
        raw = logits
        if (
            any(not _plain(slot, index) for slot, index in zip(slots, plan.sample_indexes, strict=True))
            or masks
        ):
            logits = logits.clone()
            self._adjust(logits, slots, plan, fed, masks)
        tokens = logits.argmax(dim=-1)
        for at, slot in enumerate(slots):
            if not slot.sampling.greedy and not bad[at] and plan.targets[at] < 0:
                tokens[at] = _draw(logits[at], slot, int(plan.sample_indexes[at]))
        chosen = tokens.numpy().astype(np.int32)
        for row, token in zip(plan.sample_rows, chosen, strict=True):
            self._last[int(plan.slots[row])] = int(token)
        wanted = [count for slot in slots if (count := slot.sampling.most_logprobs) is not None]
        shown = np.where(plan.targets < 0, chosen, plan.targets)
        plain = StepResult(plan.number, chosen, bad.numpy().astype(np.bool_))
        if not wanted:
            return plain
        logprobs = torch.log_softmax(raw, dim=-1)
        if masks is not None:
            for words, at in zip(masks.words, plan.masked, strict=True):
                if slots[int(at)].sampling.allowed_logprobs:
                    logprobs[int(at)].masked_fill_(~_bits(words, logprobs.shape[1]), float("-inf"))
        return _with_logprobs(plain, logprobs, shown, max(wanted))

    def _adjust(
        self, logits: Tensor, slots: list[_Slot], plan: StepPlan, fed: Int32s, masks: TokenMasks | None
    ) -> None:
        if masks is not None:
            for words, at in zip(masks.words, plan.masked, strict=True):
                logits[int(at)].masked_fill_(~_bits(words, logits.shape[1]), float("-inf"))
        for at, slot in enumerate(slots):
            index = int(plan.sample_indexes[at])
            for token, bias in slot.sampling.logit_bias:
                logits[at, token] += bias
            if slot.sampling.penalised:
                _penalise(logits[at], slot, _history(slot, plan, fed, at))
            if index < slot.sampling.min_tokens:
                logits[at, slot.stop_ids] = float("-inf")


def _plain(slot: _Slot, index: int) -> bool:
    """Whether nothing changes this slot's logits."""
    sampling = slot.sampling
    return not (sampling.penalised or sampling.logit_bias or index < sampling.min_tokens)


def _history(slot: _Slot, plan: StepPlan, fed: Int32s, at: int) -> list[int]:
    """The tokens generated before a sampled position, and among them, where drafts are verified, the drafts before it.

    The token that the position was fed is the last of them.
    """
    index = int(plan.sample_indexes[at])
    if index:
        slot.outputs[index - 1 :] = [int(fed[plan.sample_tokens[at]])]
    return slot.outputs[:index]


def _penalise(logits: Tensor, slot: _Slot, outputs: list[int]) -> None:
    """OpenAI's presence and frequency penalties over the output, CTRL's repetition penalty over prompt and output."""
    sampling = slot.sampling
    counts = torch.bincount(torch.tensor(outputs, dtype=torch.int64), minlength=len(logits))[: len(logits)]
    if sampling.repetition_penalty != 1.0:
        seen = counts > 0
        seen[slot.prompt] = True
        scaled = torch.where(
            logits > 0, logits / sampling.repetition_penalty, logits * sampling.repetition_penalty
        )
        logits.copy_(torch.where(seen, scaled, logits))
    logits -= sampling.frequency_penalty * counts
    logits -= sampling.presence_penalty * (counts > 0)


def _draw(logits: Tensor, slot: _Slot, index: int) -> int:
    """One token from the truncated distribution, by inverting its cumulative sum at one random number."""
    probabilities = truncated(logits, slot.sampling)
    sums = probabilities.cumsum(dim=-1)
    generator = np.random.Generator(np.random.Philox(key=slot.seed & _MASK64, counter=index))
    target = generator.random() * float(sums[-1])
    token = int(torch.searchsorted(sums, torch.tensor(target, dtype=sums.dtype), right=True))
    return token if token < len(sums) else int(probabilities.nonzero()[-1])


def truncated(logits: Tensor, sampling: SamplingParameters) -> Tensor:
    """Float64 probabilities [vocabulary], not normalised, zero outside min-p, top-k and top-p."""
    scaled = logits.double() / max(sampling.temperature, 1e-5)
    probabilities = torch.softmax(scaled, dim=-1)
    if sampling.min_p > 0:
        probabilities = probabilities.where(probabilities >= sampling.min_p * probabilities.max(), 0.0)
    keep = sampling.top_k or len(probabilities)
    if keep >= len(probabilities) and sampling.top_p >= 1.0:
        return probabilities
    ordered, order = probabilities.sort(descending=True, stable=True)
    ordered[keep:] = 0.0
    ordered = ordered / ordered.sum()
    # A token stays if those before it have not yet reached top-p; the first always does.
    ordered[ordered.cumsum(dim=-1) - ordered >= sampling.top_p] = 0.0
    return torch.zeros_like(probabilities).scatter(0, order, ordered)


def _bits(words: Int32s, count: int) -> Tensor:
    """Bool [count] from packed words."""
    bits = np.unpackbits(words.view(np.uint8), bitorder="little", count=min(count, words.size * 32))
    out = torch.zeros(count, dtype=torch.bool)
    out[: len(bits)] = torch.from_numpy(bits.astype(np.bool_))
    return out


def _with_logprobs(plain: StepResult, logprobs: Tensor, shown: Int32s, count: int) -> StepResult:
    """The result with the log probabilities [S, vocabulary] of the tokens `shown` and of the `count` likeliest."""
    own = logprobs[torch.arange(len(shown)), torch.from_numpy(shown).long()]
    top, ids = logprobs.topk(min(max(1, count), logprobs.shape[1]), dim=-1)
    return replace(
        plain, logprobs=own.numpy(), top_ids=ids.numpy().astype(np.int32), top_logprobs=top.numpy()
    )
