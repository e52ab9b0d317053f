"""The Triton kernel that draws tokens against sorting and counting."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inference_backend.sampling.sampler import truncated
from inference_backend.values import SamplingParameters
from tests.inference_backend.kernels.closeness import GPU

cuda = pytest.importorskip("inference_backend.kernels.cuda")


def rules(device: torch.device, rows: int, **given: float) -> object:
    values = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0} | given
    full = lambda name, dtype: torch.full((rows,), values[name], dtype=dtype, device=device)  # noqa: E731
    return cuda.SamplingRows(
        temperature=full("temperature", torch.float32),
        top_k=full("top_k", torch.int32),
        top_p=full("top_p", torch.float32),
        min_p=full("min_p", torch.float32),
        seeds=torch.arange(rows, device=device) + 12345,
        counters=torch.zeros(rows, dtype=torch.int32, device=device),
    )


def draw(logits: Tensor, given: object) -> Tensor:
    """Tokens drawn; each must also have been noted in its slot."""
    slots = torch.arange(len(logits), dtype=torch.int32, device=logits.device).flip(0)
    last = torch.full((len(logits),), -7, dtype=torch.int32, device=logits.device)
    tokens = cuda.choose(logits, given, last, slots)
    assert torch.equal(last[slots.long()], tokens.clamp_min(0))
    return tokens


@pytest.mark.parametrize("vocabulary", [7, 1000, 20_000])
def test_greedy_is_argmax(device: torch.device, vocabulary: int) -> None:
    logits = torch.randn(3, vocabulary, device=device).to(torch.bfloat16)
    tokens = draw(logits, rules(device, 3, temperature=0.0))
    assert tokens.tolist() == [int((row == row.max()).nonzero()[0]) for row in logits]


def test_flawed_rows_are_reported(device: torch.device) -> None:
    logits = torch.randn(3, 100, device=device)
    logits[0, 5] = float("nan")
    logits[1] = float("-inf")
    logits[2, 7] = 50.0
    assert draw(logits, rules(device, 3, temperature=0.0)).tolist() == [-1, -1, 7]


def surviving(logits: Tensor, top_k: int, top_p: float, min_p: float) -> set[int]:
    """What min-p, then top-k, then top-p keep of one row: the CPU sampler's answer."""
    sampling = SamplingParameters(temperature=0.8, top_k=top_k, top_p=top_p, min_p=min_p)
    return set(truncated(logits, sampling).nonzero().flatten().tolist())


@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"),
    [(3, 1.0, 0.0), (0, 0.7, 0.0), (40, 0.5, 0.0), (0, 1.0, 0.3), (20, 0.9, 0.05)],
)
def test_filters_keep_what_sorting_keeps(
    device: torch.device, top_k: int, top_p: float, min_p: float
) -> None:
    rows = 4 if GPU else 2
    logits = torch.randn(rows, 300, device=device) * 2
    given = rules(device, rows, temperature=0.8, top_k=top_k, top_p=top_p, min_p=min_p)
    threshold = cuda.keep_threshold(logits, given)
    for row in range(rows):
        kept = set((logits[row] >= threshold[row]).nonzero().flatten().tolist())
        assert kept == surviving(logits[row].cpu(), top_k, top_p, min_p)


def test_draws_follow_the_distribution(device: torch.device) -> None:
    rows = 4000 if GPU else 64
    logits = torch.tensor([[1.0, 0.0, 2.0, -1.0]], device=device).log_softmax(-1).repeat(rows, 1)
    tokens = draw(logits, rules(device, rows))
    found = torch.bincount(tokens.long().cpu(), minlength=4) / rows
    assert float((found - logits[0].exp().cpu()).abs().max()) < (0.03 if GPU else 0.12)


def test_a_draw_depends_on_its_seed_and_counter_alone(device: torch.device) -> None:
    logits = torch.randn(1, 500, device=device)
    alone = draw(logits, rules(device, 1))
    together = draw(logits.repeat(3, 1), rules(device, 3))
    assert int(alone[0]) == int(together[0])
    assert len(set(together.tolist())) > 1
