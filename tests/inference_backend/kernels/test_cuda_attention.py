"""The Triton kernels of rotation, cache and attention against plain torch, over dtypes and odd shapes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from inference_backend.kernels import (
    AttentionInputs,
    AttentionSpec,
    LayerCache,
    RopeTable,
    Rotated,
    reference,
)
from tests.inference_backend.kernels.closeness import BLOCK, FP8_TOLERANCE, GPU, HALF, TOLERANCE, apart

cuda = pytest.importorskip("inference_backend.kernels.cuda")


def make_cache(device: torch.device, spec: AttentionSpec, kind: torch.dtype, blocks: int = 40) -> LayerCache:
    shape = (blocks, BLOCK, spec.kv_heads, spec.head_dim)
    keys, values = torch.randn(2, *shape, device=device)
    if kind == torch.int8:
        scales = torch.rand(2, *shape[:3], device=device) * 0.02 + 0.01
        return LayerCache((keys * 30).to(kind), (values * 30).to(kind), scales[0], scales[1])
    return LayerCache(keys.to(kind), values.to(kind))


def make_inputs(device: torch.device, rows: list[tuple[int, int]], blocks: int = 40) -> AttentionInputs:
    """`rows` are (queries, context) pairs, rows of one query first; blocks are dealt at random."""
    deck = torch.randperm(blocks).tolist()
    width = max(-(-context // BLOCK) for _, context in rows)
    tables, positions, slots, starts = [], [], [], [0]
    for queries, context in rows:
        own = [deck.pop() for _ in range(-(-context // BLOCK))]
        tables.append(own + [0] * (width - len(own)))
        for at in range(context - queries, context):
            positions.append(at)
            slots.append(own[at // BLOCK] * BLOCK + at % BLOCK)
        starts.append(starts[-1] + queries)
    tensor = lambda data, dtype: torch.tensor(data, dtype=dtype, device=device)  # noqa: E731
    return AttentionInputs(
        positions=tensor(positions, torch.int64),
        slot_mapping=tensor(slots, torch.int64),
        query_starts=tensor(starts, torch.int32),
        context_lengths=tensor([context for _, context in rows], torch.int32),
        block_tables=tensor(tables, torch.int32),
        decode_rows=sum(queries == 1 for queries, _ in rows),
        max_context=max(context for _, context in rows),
    )


@pytest.mark.parametrize("kind", ["model", torch.float8_e4m3fn, torch.int8])
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(("rotated", "interleaved"), [(64, False), (32, False), (32, True), (0, False)])
def test_rope_and_cache(
    device: torch.device, kind: torch.dtype | str, dtype: torch.dtype, rotated: int, interleaved: bool
) -> None:
    spec = AttentionSpec(heads=6, kv_heads=3, head_dim=64, scale=0.125)
    kind = dtype if kind == "model" else kind
    inputs = make_inputs(device, [(1, 17), (5, 30)])
    table = RopeTable(torch.randn(64, rotated, device=device), rotated, interleaved) if rotated else None
    qkv = torch.randn(6, 12 * 64, device=device).to(dtype)
    ours, theirs = make_cache(device, spec, kind), make_cache(device, spec, kind)
    for store in ("keys", "values", "key_scales", "value_scales"):
        if getattr(ours, store) is not None:
            getattr(theirs, store).view(torch.uint8).copy_(getattr(ours, store).view(torch.uint8))
    turned = cuda.rope_and_cache_kv(qkv, spec, table, ours, inputs)
    expected = reference.rope_and_cache_kv(qkv, spec, table, theirs, inputs)
    assert isinstance(turned, Rotated) == (kind == dtype)
    if isinstance(turned, Rotated):
        places = inputs.slot_mapping
        assert torch.equal(turned.keys, ours.keys.flatten(0, 1)[places])
        assert torch.equal(turned.values, ours.values.flatten(0, 1)[places])
        turned, expected = turned.queries, expected[: len(turned.queries)]
    assert apart(turned, expected) < TOLERANCE[dtype]
    every = torch.arange(40, device=device)[None]
    for out, right in zip(
        reference.read_blocks(ours, every, dtype), reference.read_blocks(theirs, every, dtype), strict=True
    ):
        assert apart(out, right) < (1e-3 if GPU or kind != torch.float8_e4m3fn else FP8_TOLERANCE)


@pytest.mark.parametrize("dtype", HALF)
def test_rope_of_queries_alone_and_of_the_rest(device: torch.device, dtype: torch.dtype) -> None:
    spec = AttentionSpec(heads=6, kv_heads=3, head_dim=64, scale=0.125)
    inputs = make_inputs(device, [(1, 17), (5, 30)])
    table = RopeTable(torch.randn(64, 64, device=device), 64)
    qkv = torch.randn(6, 12 * 64, device=device).to(dtype)
    caches = [make_cache(device, spec, dtype) for _ in range(2)]
    caches[1].keys.copy_(caches[0].keys)
    caches[1].values.copy_(caches[0].values)
    whole = cuda.rope_and_cache_kv(qkv, spec, table, caches[0], inputs)
    wanted = torch.tensor([0, 3], device=device)
    cuda.rope_and_cache_kv(qkv[:, 6 * 64 :].contiguous(), replace(spec, heads=0), table, caches[1], inputs)
    few = cuda.rope_and_cache_kv(
        qkv[wanted, : 6 * 64], replace(spec, kv_heads=0), table, caches[1], inputs.of_tokens(wanted)
    )
    assert torch.equal(few, whole.queries[wanted])
    assert torch.equal(caches[1].keys, caches[0].keys)
    assert torch.equal(caches[1].values, caches[0].values)


def test_padding_tokens_write_nothing(device: torch.device) -> None:
    spec = AttentionSpec(heads=2, kv_heads=1, head_dim=32, scale=0.125)
    cache = make_cache(device, spec, torch.float16)
    before = cache.keys.clone()
    inputs = make_inputs(device, [(3, 20)])
    inputs = replace(inputs, slot_mapping=torch.full_like(inputs.slot_mapping, -1))
    cuda.rope_and_cache_kv(torch.randn(3, 128, device=device).half(), spec, None, cache, inputs)
    assert torch.equal(cache.keys, before)


ROWS = [[(2, 2)], [(1, 9), (1, 40), (7, 90), (33, 33), (70, 150)]] if GPU else [[(1, 9), (7, 20), (33, 70)]]
SPECS = [
    AttentionSpec(heads=8, kv_heads=2, head_dim=64, scale=0.125),
    AttentionSpec(heads=3, kv_heads=3, head_dim=80, scale=0.2),
    AttentionSpec(heads=6, kv_heads=2, head_dim=32, scale=0.125, window=19),
    AttentionSpec(heads=4, kv_heads=1, head_dim=128, scale=0.3, soft_cap=5.0),
]


@pytest.mark.parametrize("kind", ["model", torch.float8_e4m3fn, torch.int8])
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("contexts", [[1], [16, 17, 161, 5], [300]] if GPU else [[16, 17, 161]])
def test_decode_attention(
    device: torch.device,
    kind: torch.dtype | str,
    dtype: torch.dtype,
    spec: AttentionSpec,
    contexts: list[int],
) -> None:
    cache = make_cache(device, spec, dtype if kind == "model" else kind)
    inputs = make_inputs(device, [(1, context) for context in contexts])
    q = torch.randn(len(contexts), spec.heads, spec.head_dim, device=device).to(dtype)
    out = cuda.paged_attention_decode(q, cache, inputs, spec)
    assert apart(out, reference.paged_attention_decode(q, cache, inputs, spec)) < TOLERANCE[dtype]


def test_decode_of_a_padding_row_is_zero(device: torch.device) -> None:
    cache = make_cache(device, SPECS[0], torch.float16)
    inputs = make_inputs(device, [(1, 200), (1, 1)])
    inputs.context_lengths[1] = 0
    q = torch.randn(2, 8, 64, device=device).half()
    out = cuda.paged_attention_decode(q, cache, inputs, SPECS[0])
    assert int(out[1].count_nonzero()) == 0
    assert not bool(out.isnan().any())


@pytest.mark.parametrize("kind", ["model", torch.float8_e4m3fn, torch.int8])
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("rows", ROWS)
def test_prefill_attention(
    device: torch.device,
    kind: torch.dtype | str,
    dtype: torch.dtype,
    spec: AttentionSpec,
    rows: list[tuple[int, int]],
) -> None:
    cache = make_cache(device, spec, dtype if kind == "model" else kind)
    inputs = make_inputs(device, rows)
    tokens = sum(queries for queries, _ in rows) - inputs.decode_rows
    q = torch.randn(tokens, spec.heads, spec.head_dim, device=device).to(dtype)
    out = cuda.paged_attention_prefill(q, cache, inputs, spec)
    assert apart(out, reference.paged_attention_prefill(q, cache, inputs, spec)) < TOLERANCE[dtype]


CHUNK_SPECS = [
    AttentionSpec(heads=6, kv_heads=2, head_dim=64, scale=0.125, window=19),
    AttentionSpec(heads=4, kv_heads=1, head_dim=128, scale=0.3, soft_cap=5.0),
    *(
        [
            AttentionSpec(heads=8, kv_heads=2, head_dim=64, scale=0.125),
            AttentionSpec(heads=3, kv_heads=3, head_dim=256, scale=0.2),
        ]
        if GPU
        else []
    ),
]
MANY_BLOCKS = 128
MIXED = [(1, 9), (20, 20), (17, 49)]
CHUNK_ROWS = [MIXED]
if GPU:
    CHUNK_ROWS += [*ROWS, [(1, 1), (150, 150), (64, 64), (65, 400)], [(700, 700), (300, 1000)]]


def written(inputs: AttentionInputs, spec: AttentionSpec, dtype: torch.dtype) -> tuple[LayerCache, Rotated]:
    """A full cache, and a step's queries with the keys and values that it has written there; heads lie as in a projection."""
    device, tokens = inputs.positions.device, len(inputs.positions)
    cache = make_cache(device, spec, dtype, MANY_BLOCKS)
    packed = torch.randn(tokens, spec.heads + 2 * spec.kv_heads, spec.head_dim, device=device).to(dtype)
    queries, keys, values = packed.split([spec.heads, spec.kv_heads, spec.kv_heads], dim=1)
    reference.write_cache(keys, values, cache, inputs.slot_mapping)
    return cache, Rotated(queries.contiguous(), keys, values)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("spec", CHUNK_SPECS)
@pytest.mark.parametrize("rows", CHUNK_ROWS)
def test_attention_with_the_chunks_own_keys_at_hand(
    device: torch.device, dtype: torch.dtype, spec: AttentionSpec, rows: list[tuple[int, int]]
) -> None:
    inputs = make_inputs(device, rows, MANY_BLOCKS)
    cache, rotated = written(inputs, spec, dtype)
    out = cuda.paged_attention(rotated, cache, inputs, spec)
    assert apart(out, reference.paged_attention(rotated.queries, cache, inputs, spec)) < TOLERANCE[dtype]
    # The same where a graph learns only from the device which rows are long, with rows and tokens to spare.
    told = replace(inputs, by_length=True, decode_rows=0)
    assert torch.equal(cuda.paged_attention(rotated, cache, told, spec), out)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("spec", CHUNK_SPECS if GPU else CHUNK_SPECS[:1])
@pytest.mark.parametrize("rotated", ["all", "none", "in pairs"])
def test_from_projection_to_attention(
    device: torch.device, dtype: torch.dtype, spec: AttentionSpec, rotated: str
) -> None:
    inputs = make_inputs(device, MIXED, MANY_BLOCKS)
    table = None
    if rotated != "none":
        angles = torch.randn(1024, spec.head_dim // 2, device=device)
        table = RopeTable(torch.cat((angles.cos(), angles.sin()), 1), spec.head_dim, rotated == "in pairs")
    qkv = torch.randn(
        len(inputs.positions), (spec.heads + 2 * spec.kv_heads) * spec.head_dim, device=device
    ).to(dtype)
    cache = make_cache(device, spec, dtype, MANY_BLOCKS)
    theirs = LayerCache(cache.keys.clone(), cache.values.clone())
    out = cuda.paged_attention(cuda.rope_and_cache_kv(qkv, spec, table, cache, inputs), cache, inputs, spec)
    queries = reference.rope_and_cache_kv(qkv, spec, table, theirs, inputs)
    assert apart(out, reference.paged_attention(queries, theirs, inputs, spec)) < TOLERANCE[dtype]


@pytest.mark.parametrize("spec", CHUNK_SPECS)
def test_a_rows_nan_stays_in_it(device: torch.device, spec: AttentionSpec) -> None:
    inputs = make_inputs(device, [(21, 21), (30, 30)])
    cache, rotated = written(inputs, spec, torch.float16)
    alone = cuda.paged_attention(rotated, cache, inputs, spec)[:21].clone()
    rotated.values[21:] = float("nan")
    rotated.keys[21:] = float("nan")
    assert torch.equal(cuda.paged_attention(rotated, cache, inputs, spec)[:21], alone)
