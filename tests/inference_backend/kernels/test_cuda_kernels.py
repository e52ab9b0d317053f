"""Each Triton kernel against the plain torch operation of the same name, over dtypes and odd shapes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from inference_backend.kernels import (
    AdapterRows,
    AttentionInputs,
    AttentionSpec,
    Deferred,
    LayerCache,
    Product,
    Quantized,
    RopeTable,
    Rotated,
    pack_int4,
    reference,
    reference_linear,
)
from inference_backend.kernels import plain as values_of
from inference_backend.sampling.sampler import truncated
from inference_backend.values import SamplingParameters

cuda = pytest.importorskip("inference_backend.kernels.cuda")
native = pytest.importorskip("inference_backend.kernels.cuda.native")

GPU = torch.cuda.is_available()
# The interpreter rounds to bfloat16 and float8 by cutting bits off, and multiplies no matrices of either.
HALF = (torch.bfloat16, torch.float16) if GPU else (torch.float16,)
FP8_TOLERANCE = 2e-2 if GPU else 0.1
TOLERANCE = {torch.bfloat16: 1e-2, torch.float16: 2e-3, torch.float32: 1e-5}
BLOCK = 16


def apart(out: Tensor, expected: Tensor) -> float:
    """Relative distance of two tensors; NaN counts as far."""
    out, expected = out.double(), expected.double()
    distance = (out - expected).norm() / expected.norm().clamp_min(1e-30)
    return float("inf") if bool(distance.isnan()) else float(distance)


def plain(x: Tensor | Quantized) -> Tensor:
    return x.data.float() * x.scales if isinstance(x, Quantized) else x


def quantised_alike(out: Tensor | Quantized, expected: Tensor | Quantized, dtype: torch.dtype) -> bool:
    """Values may round to the neighbouring step of the coarse grid; nearly all agree."""
    allowed = TOLERANCE[dtype]
    if isinstance(out, Quantized):
        allowed = 2e-2 if out.data.dtype == torch.int8 else FP8_TOLERANCE
    return apart(plain(out), plain(expected)) < allowed


@pytest.mark.parametrize("form", ["plain", "fp8", "int8"])
@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize(("tokens", "width"), [(1, 64), (5, 1000)])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_norms(
    device: torch.device, form: str, dtype: torch.dtype, tokens: int, width: int, offset: float
) -> None:
    x, residual = torch.randn(2, tokens, width, device=device).to(dtype)
    weight = torch.randn(width, device=device).to(dtype)
    out, total = cuda.add_rms_norm(x, residual, weight, 1e-5, offset=offset, form=form)
    expected, expected_total = reference.add_rms_norm(x, residual, weight, 1e-5, offset=offset, form=form)
    assert apart(total, expected_total) < TOLERANCE[dtype]
    assert quantised_alike(out, expected, dtype)
    alone = cuda.rms_norm(x, weight, 1e-5, offset=offset, form=form)
    assert quantised_alike(alone, reference.rms_norm(x, weight, 1e-5, offset=offset, form=form), dtype)


def test_norm_of_heads_keeps_its_shape(device: torch.device) -> None:
    x = torch.randn(3, 5, 64, device=device)
    weight = torch.randn(64, device=device)
    assert apart(cuda.rms_norm(x, weight, 1e-6), reference.rms_norm(x, weight, 1e-6)) < 1e-5


@pytest.mark.parametrize("form", ["plain", "fp8", "int8"])
@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize(("tokens", "width"), [(1, 32), (3, 1027)])
@pytest.mark.parametrize("name", ["silu_mul", "gelu_tanh_mul"])
def test_gated_products(
    device: torch.device, form: str, dtype: torch.dtype, tokens: int, width: int, name: str
) -> None:
    x = torch.randn(tokens, 2 * width, device=device).to(dtype)
    out = getattr(cuda, name)(x, form=form)
    assert quantised_alike(out, getattr(reference, name)(x, form=form), dtype)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("gelu", [False, True])
def test_gate_and_up_in_one_kernel(device: torch.device, dtype: torch.dtype, gelu: bool) -> None:
    x = torch.randn(130, 64, device=device).to(dtype)
    weight = (torch.randn(512, 64, device=device) * 0.1).to(dtype)
    out = cuda.gated_linear_in_triton(Deferred(x, weight), gelu=gelu)
    operation = reference.gelu_tanh_mul if gelu else reference.silu_mul
    assert apart(out, operation(x @ weight.T)) < TOLERANCE[dtype]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize(
    ("tokens", "inputs", "width"), [(1, 64, 8), (256, 64, 96), (300, 576, 1000), (2100, 4096, 2048)]
)
def test_gate_and_up_in_cuda(dtype: torch.dtype, gelu: bool, tokens: int, inputs: int, width: int) -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    if not cuda.has_hopper_kernel(device):
        pytest.skip("needs a GPU of compute capability 9.0")
    x = torch.randn(tokens, inputs, device=device).to(dtype)
    weight = (torch.randn(2 * width, inputs, device=device) * 0.05).to(dtype)
    operation = reference.gelu_tanh_mul if gelu else reference.silu_mul
    expected = operation(x.double() @ weight.double().T)
    first = cuda.gated_hopper(x, weight, gelu=gelu)
    assert apart(first, expected) < TOLERANCE[dtype]
    assert torch.equal(first, cuda.gated_hopper(x, weight, gelu=gelu))


def test_without_a_compiler_there_is_no_kernel_in_cuda(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_compiler", lambda: None)
    assert not native.can_compile(("-std=c++17",))
    with pytest.raises(RuntimeError, match="NVRTC is not there"):
        native.compiled("", ())
    native.can_compile.cache_clear()


@pytest.mark.gpu
def test_a_compiler_that_does_not_work_is_noticed() -> None:
    assert native.can_compile(("--gpu-architecture=sm_90",))
    assert not native.can_compile(("--gpu-architecture=sm_1",))


def test_a_cpu_has_no_kernel_of_hopper(device: torch.device) -> None:
    assert not cuda.has_hopper_kernel(torch.device("cpu"))
    assert cuda.fewest_gated_tokens(torch.device("cpu")) == 2048


@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize(("tokens", "inputs", "rank"), [(5, 40, 4), (3, 2100, 24), (520, 32, 4)])
def test_an_adapter_for_each_token(
    device: torch.device, dtype: torch.dtype, tokens: int, inputs: int, rank: int
) -> None:
    x = torch.randn(tokens, inputs, device=device).to(dtype)
    down = torch.randn(3, rank, inputs, device=device).to(dtype) * 0.1
    up = torch.randn(3, 70, rank, device=device).to(dtype) * 0.1
    out = torch.randn(tokens, 70, device=device).to(dtype)
    rows = AdapterRows(torch.arange(tokens, device=device) % 3, (1, 2))
    expected = reference.lora(out.clone().double(), x.double(), down.double(), up.double(), rows)
    assert apart(cuda.lora(out, x, down, up, rows), expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", HALF)
def test_operations_finish_deferred_products(device: torch.device, dtype: torch.dtype) -> None:
    x = torch.randn(70, 32, device=device).to(dtype)
    weight = (torch.randn(64, 32, device=device) * 0.1).to(dtype)
    product = x @ weight.T
    residual, norm = torch.randn(70, 64, device=device).to(dtype), torch.randn(64, device=device).to(dtype)
    expected, expected_total = reference.add_rms_norm(product, residual, norm, 1e-5)
    out, total = cuda.add_rms_norm(Deferred(x, weight), residual.clone(), norm, 1e-5)
    assert apart(total, expected_total) < TOLERANCE[dtype]
    assert apart(out, expected) < TOLERANCE[dtype]
    assert apart(cuda.silu_mul(Deferred(x, weight)), reference.silu_mul(product)) < TOLERANCE[dtype]
    assert apart(values_of(Deferred(x, weight)), product) < TOLERANCE[dtype]


@pytest.mark.gpu
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("dtype", HALF)
def test_tuned_products(device: torch.device, dtype: torch.dtype, added: bool) -> None:
    weights = [(torch.randn(384, 256, device=device) * 0.1).to(dtype) for _ in range(3)]
    tuned = cuda.TunedProducts(weights[0], added=added)
    tuned.tune(weights, [96, 200, 2500])
    for tokens in (1, 65, 96, 97, 200, 333, 2500, 3000):
        x = torch.randn(tokens, 256, device=device).to(dtype)
        total = torch.randn(tokens, 384, device=device).to(dtype)
        product, wide = Deferred(x, weights[1], tuned), x.double() @ weights[1].double().T
        assert apart(product.plain, wide) < TOLERANCE[dtype]
        assert apart(product.added_to(total.clone()), total.double() + wide) < TOLERANCE[dtype]


@pytest.mark.parametrize("form", ["fp8", "int8"])
def test_quantising_alone(device: torch.device, form: str) -> None:
    x = torch.randn(4, 130, device=device).to(torch.bfloat16)
    x[1] = 0
    out, expected = cuda.quantize_per_token(x, form), reference.quantize_per_token(x, form)
    assert torch.equal(out.scales, expected.scales)
    assert apart(plain(out), plain(expected)) < (2e-3 if GPU else FP8_TOLERANCE)


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
        max_query=max(queries for queries, _ in rows),
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


FP8_ON_A_GPU = pytest.param("fp8", marks=pytest.mark.gpu)  # Triton's interpreter multiplies no float8
TILINGS = [cuda.Tiling(16, 64, 1, 4, 3), cuda.Tiling(64, 128, 4, 4, 3)]


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("tokens", [1, 5, 33])
@pytest.mark.parametrize("form", ["plain", "int8-weights", FP8_ON_A_GPU, "int8"])
def test_linear_of_few_tokens(device: torch.device, tiling: cuda.Tiling, tokens: int, form: str) -> None:
    x = torch.randn(tokens, 512, device=device).to(HALF[0])
    weight = torch.randn(200, 512, device=device)
    bias = torch.randn(200, device=device).to(HALF[0])
    w = reference.quantize_per_token(weight, "fp8" if form == "fp8" else "int8")
    if form == "plain":
        op = cuda.Operands(x, weight.to(x.dtype), None, None, bias, x.dtype)
        expected = x.double() @ op.weight.double().T + bias.double()
    elif form == "int8-weights":
        op = cuda.Operands(x, w.data, None, w.scales.flatten(), bias, x.dtype)
        expected = x.double() @ plain(w).double().T + bias.double()
    else:
        xq = reference.quantize_per_token(x, form)
        op = cuda.Operands(xq.data, w.data, xq.scales, w.scales.flatten(), bias, x.dtype)
        expected = plain(xq).double() @ plain(w).double().T + bias.double()
    assert apart(cuda.few_tokens_linear(op, tiling), expected) < 6e-3
    if tokens == 1 and form in {"plain", "int8-weights"}:
        assert apart(cuda.one_token_linear(op, cuda.Tiling(4, 128, 1, 4, 1)), expected) < 6e-3


@pytest.mark.parametrize(("tokens", "width"), [(1, 40), (3, 1027)])
def test_scales_multiplied_in(device: torch.device, tokens: int, width: int) -> None:
    product = Product(
        torch.randn(tokens, width, device=device).half(),
        torch.rand(tokens, 1, device=device),
        torch.rand(width, device=device),
    )
    assert apart(cuda.multiplied(product), product.plain) < TOLERANCE[torch.float16]
    residual = torch.randn(tokens, width, device=device).half()
    weight = torch.randn(width, device=device).half()
    out, _ = cuda.add_rms_norm(product, residual, weight, 1e-5)
    expected, _ = reference.add_rms_norm(product.plain, residual, weight, 1e-5)
    assert apart(out, expected) < TOLERANCE[torch.float16]


WEIGHTS = ((200, 256), (72, 96))


@pytest.mark.parametrize(
    ("tokens", "outputs", "width"),
    # The interpreter takes seconds for each: there, every number of tokens once.
    [(tokens, *shape) for tokens in (1, 5, 70) for shape in WEIGHTS]
    if GPU
    else [(1, 72, 96), (5, 200, 256), (70, 72, 96)],
)
@pytest.mark.parametrize(
    "name",
    [pytest.param("fp8_linear", marks=pytest.mark.gpu), "int8_linear", "int8_weight_linear", "int4_linear"],
)
def test_quantised_linears(device: torch.device, tokens: int, outputs: int, width: int, name: str) -> None:
    x = torch.randn(tokens, width, device=device).to(HALF[0])
    weight = torch.randn(outputs, width, device=device)
    if name == "int4_linear":
        values = torch.randint(0, 16, (outputs, width), device=device)
        scales = torch.rand(outputs, width // 32, device=device).to(x.dtype)
        zeros = torch.randint(0, 16, scales.shape, device=device).to(x.dtype)
        given = (x, pack_int4(values), scales, zeros)
    else:
        form = "fp8" if name == "fp8_linear" else "int8"
        w = reference.quantize_per_token(weight, form)
        given = (x if "weight" in name else reference.quantize_per_token(x, form), w.data, w.scales)
    out = values_of(getattr(cuda, name)(*given))
    assert apart(out, getattr(reference_linear, name)(*given)) < 1e-2


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
