"""The Triton kernels of norms, products and quantizing against plain torch, over dtypes and odd shapes."""

from __future__ import annotations

import pytest
import torch

from inference_backend.kernels import AdapterRows, Deferred, Product, pack_int4, reference, reference_linear
from inference_backend.kernels import plain as values_of
from tests.inference_backend.kernels.closeness import (
    FP8_TOLERANCE,
    GPU,
    HALF,
    TOLERANCE,
    apart,
    plain,
    quantised_alike,
)

cuda = pytest.importorskip("inference_backend.kernels.cuda")
native = pytest.importorskip("inference_backend.kernels.cuda.native")


@pytest.mark.parametrize("form", ["plain", "fp8", "int8"])
@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize(("tokens", "width"), [(1, 64), (5, 1000)])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_norms_are_those_of_torch_in_each_format(
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
