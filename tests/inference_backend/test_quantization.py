"""Quantised layers, checkpoints and engine folders, held against floating point."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference_backend import kernels
from inference_backend.building import BuildProgress, build_engine
from inference_backend.engine import Engine, EngineParts
from inference_backend.errors import CheckpointError, CorruptCheckpointError
from inference_backend.executors import CpuExecutor
from inference_backend.kernels import Quantized
from inference_backend.measure import agreement, divergence, read_prompt, relative_error
from inference_backend.opening import OpenedModel, open_model
from inference_backend.quantization import to_fp8, to_int4, to_int8
from inference_backend.settings import EngineSettings, SchedulerSettings
from tests.inference_backend.checkpoints import Checkpoint
from tests.inference_backend.conftest import Maker, ask, open_chat, text

GROUP = 16


def logits(opened: OpenedModel, prompt: tuple[int, ...]) -> torch.Tensor:
    """Float32 [T, vocabulary] for a whole prompt."""
    executor = opened.engine.executor
    assert isinstance(executor, CpuExecutor)
    return read_prompt(executor.loaded, executor.settings, prompt).logits


@pytest.mark.parametrize("rows", [1, 3, 17])
@pytest.mark.parametrize("inputs", [16, 48, 130])
def test_products_stay_within_the_rounding_of_their_format(rows: int, inputs: int) -> None:
    torch.manual_seed(rows * inputs)
    x, weight = torch.randn(rows, inputs), torch.randn(24, inputs)
    exact = x.double() @ weight.double().T
    scale = float((x.norm(dim=1, keepdim=True) * weight.norm(dim=1)).max())
    fp8, int8 = kernels.quantize_per_token(x, "fp8"), kernels.quantize_per_token(x, "int8")
    assert isinstance(fp8, Quantized)
    assert isinstance(int8, Quantized)
    assert (kernels.fp8_linear(fp8, *to_fp8(weight)) - exact).abs().max() < 0.05 * scale
    assert (kernels.int8_linear(int8, *to_int8(weight)) - exact).abs().max() < 0.02 * scale
    assert (kernels.int8_weight_linear(x, *to_int8(weight)) - exact).abs().max() < 0.01 * scale
    if inputs % GROUP == 0:
        assert (kernels.int4_linear(x, *to_int4(weight, GROUP)) - exact).abs().max() < 0.15 * scale


def test_int4_packs_and_unpacks_without_loss() -> None:
    values = torch.randint(0, 16, (6, 32))
    scales, zeros = torch.rand(6, 2) + 0.1, torch.randint(0, 16, (6, 2)).float()
    unpacked = kernels.unpack_int4(kernels.pack_int4(values), scales, zeros)
    expected = (values.view(6, 2, 16) - zeros[..., None]) * scales[..., None]
    assert torch.equal(unpacked, expected.flatten(1))


def test_cutting_outliers_off_makes_int4_finer() -> None:
    torch.manual_seed(5)
    weight = torch.randn(32, 256) ** 3  # a few large ones in each group
    packed, scales, zeros = to_int4(weight, 64)
    groups = weight.view(32, 4, 64)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    step = (high - low) / 15
    whole_range = ((groups - low) / step).round() * step + low
    error = relative_error(weight, kernels.unpack_int4(packed, scales, zeros))
    assert error < 0.95 * relative_error(weight, whole_range.flatten(1))


@pytest.mark.parametrize(("quantization", "bound"), [("fp8", 0.05), ("int8-weights", 0.01), ("int4", 0.5)])
def test_a_model_quantised_at_load_stays_close(
    chat_checkpoint: Checkpoint, quantization: Any, bound: float
) -> None:
    plain, small = open_chat(chat_checkpoint), open_chat(chat_checkpoint, quantization=quantization)
    prompt = tuple(range(20, 60))
    assert divergence(logits(plain, prompt), logits(small, prompt)) < bound


@pytest.mark.parametrize("kv", ["fp8", "int8"])
def test_a_small_kv_cache_stays_close(chat_checkpoint: Checkpoint, kv: Any) -> None:
    plain, small = open_chat(chat_checkpoint), open_chat(chat_checkpoint, kv_dtype=kv)
    prompt = tuple(range(20, 60))
    assert divergence(logits(plain, prompt), logits(small, prompt)) < 0.05


@pytest.mark.parametrize("quantization", ["fp8", "int8-weights", "int4"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3", "mixtral"])
def test_an_engine_folder_is_what_loading_would_have_made(
    checkpoint: Maker, tmp_path: Path, family: str, quantization: Any
) -> None:
    made = checkpoint(family)
    out = tmp_path / "engine"
    build_engine(made.folder, out, quantization)
    prompt = (5, 17, 31, 8)
    settings = EngineSettings(
        str(made.folder), device="cpu", kv_blocks=50, quantization=quantization, random_weights=False
    )
    assert torch.equal(
        logits(open_tokens_only(settings), prompt),
        logits(open_tokens_only(replace(settings, model=str(out), quantization=None)), prompt),
    )


def open_tokens_only(settings: EngineSettings) -> OpenedModel:
    executor = CpuExecutor(settings)
    engine = Engine(EngineParts(executor, settings.scheduler), executor.load())
    return OpenedModel("m", engine, None, None)


def test_a_stopped_build_goes_on_and_loads_without_the_original(
    chat_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    out = tmp_path / "engine"

    class Stopped(Exception):  # noqa: N818 -- what a user's interrupt looks like here
        pass

    def stop(progress: BuildProgress) -> None:
        if progress.done == progress.total:
            raise Stopped

    with pytest.raises(Stopped):
        build_engine(chat_checkpoint.folder, out, "fp8", stop, shard_bytes=50_000)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.safetensors")}
    assert before
    build_engine(chat_checkpoint.folder, out, "fp8", shard_bytes=50_000)
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())
    assert json.loads((out / "config.json").read_text())["quantization_config"]["scheme"] == "fp8"
    opened = open_model(EngineSettings(str(out), device="cpu", kv_blocks=50))
    expected = open_chat(chat_checkpoint, quantization="fp8")
    answer = {"temperature": 0.0, "max_tokens": 12}
    assert text(ask(opened, "Tell me", **answer)) == text(ask(expected, "Tell me", **answer))


@pytest.mark.parametrize("quantization", ["smoothquant", "int4"])
def test_a_build_killed_at_any_moment_goes_on(
    chat_checkpoint: Checkpoint, tmp_path: Path, quantization: Any
) -> None:
    """Stopped at each of several tensors, then left with half a file: the folder comes out as if never stopped."""

    class Stopped(Exception):  # noqa: N818 -- what a user's interrupt looks like here
        pass

    def stop_at(count: int) -> Any:
        def look(progress: BuildProgress) -> None:
            if progress.done >= count:
                raise Stopped

        return look

    build_engine(chat_checkpoint.folder, tmp_path / "whole", quantization, shard_bytes=50_000)
    for count in (1, 9, 17, 25):
        with pytest.raises(Stopped):
            build_engine(
                chat_checkpoint.folder, tmp_path / "parts", quantization, stop_at(count), shard_bytes=50_000
            )
    (tmp_path / "parts" / "model-00001-of-00009.partial").write_bytes(b"half")
    build_engine(chat_checkpoint.folder, tmp_path / "parts", quantization, shard_bytes=50_000)
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "parts" / path.name).read_bytes() == path.read_bytes()


def test_a_damaged_engine_folder_is_refused(chat_checkpoint: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    build_engine(chat_checkpoint.folder, out, "int4", shard_bytes=50_000)
    shard = sorted(out.glob("*.safetensors"))[1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptCheckpointError, match=shard.name):
        open_model(EngineSettings(str(out), device="cpu", kv_blocks=50))
    shard.unlink()
    with pytest.raises(CorruptCheckpointError, match=shard.name):
        open_model(EngineSettings(str(out), device="cpu", kv_blocks=50))
    shard.write_bytes(whole)
    with pytest.raises(CheckpointError, match="quantised as int4 already"):
        open_model(EngineSettings(str(out), device="cpu", kv_blocks=50, quantization="fp8"))
    tensors = load_file(shard)
    name = next(name for name in tensors if name.endswith(".weight_scale"))
    save_file({**tensors, name: tensors[name][:-1].contiguous()}, shard)
    with pytest.raises(CorruptCheckpointError, match=name):
        open_model(EngineSettings(str(out), device="cpu", kv_blocks=50))


def test_a_folder_with_something_else_is_left_alone(chat_checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="not empty"):
        build_engine(chat_checkpoint.folder, tmp_path, "fp8")


def test_smoothing_tames_outliers(chat_checkpoint: Checkpoint, tmp_path: Path) -> None:
    """With a few loud channels, W8A8 after smoothing is nearer to floating point than W8A8 without."""
    folder = tmp_path / "loud"
    folder.mkdir()
    for path in chat_checkpoint.folder.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(chat_checkpoint.folder / "model.safetensors")
    for name in tensors:
        if name.endswith("layernorm.weight"):
            tensors[name][[3, 11]] *= 60.0
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    build_engine(folder, tmp_path / "smooth", "smoothquant")
    settings = EngineSettings(str(folder), device="cpu", kv_blocks=100, scheduler=SchedulerSettings())
    plain = open_model(settings)
    smooth = open_model(replace(settings, model=str(tmp_path / "smooth")))
    rough = unsmoothed(folder, tmp_path / "rough", settings)
    prompts = [tuple(range(start, start + 12)) for start in range(10, 90, 10)]
    smooth_error = sum(divergence(logits(plain, p), logits(smooth, p)) for p in prompts)
    rough_error = sum(divergence(logits(plain, p), logits(rough, p)) for p in prompts)
    assert smooth_error < rough_error / 2


def unsmoothed(folder: Path, out: Path, settings: EngineSettings) -> OpenedModel:
    """The same weights in int8, and int8 activations, without smoothing."""
    build_engine(folder, out, "int8-weights")
    config = json.loads((out / "config.json").read_text())
    config["quantization_config"]["scheme"] = "smoothquant"
    (out / "config.json").write_text(json.dumps(config))
    return open_model(replace(settings, model=str(out)))


def test_smoothquant_says_that_it_must_be_built_first(chat_checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match="engine build"):
        open_chat(chat_checkpoint, quantization="smoothquant")


AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def pack_awq(values: torch.Tensor) -> torch.Tensor:
    """[a, b] unsigned to int32 [a, b / 8], as AutoAWQ stores it."""
    words = torch.zeros(len(values), values.shape[1] // 8, dtype=torch.int64)
    for place, column in enumerate(AWQ_ORDER):
        words |= values[:, column::8].long() << (4 * place)
    return as_int32(words)


def pack_rows(values: torch.Tensor) -> torch.Tensor:
    """[a, b] unsigned to int32 [a / 8, b], eight rows to a word in order, as GPTQ stores it."""
    words = torch.zeros(len(values) // 8, values.shape[1], dtype=torch.int64)
    for place in range(8):
        words |= values[place::8].long() << (4 * place)
    return as_int32(words)


def as_int32(words: torch.Tensor) -> torch.Tensor:
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def int4_checkpoint(
    made: Checkpoint, folder: Path, method: str, *, act_order: bool = False
) -> dict[str, Any]:
    """Rewrite a checkpoint's projections as AWQ or GPTQ; returns the tensors that a float model would need instead."""
    generator = torch.Generator().manual_seed(3)
    tensors, exact, stored = load_file(made.folder / "model.safetensors"), {}, {}
    order = torch.randperm(32, generator=generator)
    for name, tensor in tensors.items():
        if not name.endswith("_proj.weight"):
            exact[name] = stored[name] = tensor
            continue
        outputs, inputs = tensor.shape
        values = torch.randint(0, 16, (inputs, outputs), generator=generator)
        scales = torch.rand(inputs // GROUP, outputs, generator=generator) * 0.03 + 0.01
        zeros = torch.randint(1, 16, (inputs // GROUP, outputs), generator=generator)
        group = torch.arange(inputs) // GROUP
        if act_order and inputs == 32:
            group = group[order]
        exact[name] = ((values - zeros[group]) * scales[group]).T.contiguous()
        root = name.removesuffix(".weight")
        stored[f"{root}.scales"] = scales
        if method == "awq":
            stored[f"{root}.qweight"], stored[f"{root}.qzeros"] = pack_awq(values), pack_awq(zeros)
        else:
            stored[f"{root}.qweight"] = pack_rows(values)
            stored[f"{root}.qzeros"] = pack_rows((zeros - 1).T).T.contiguous()
            stored[f"{root}.g_idx"] = group.to(torch.int32)
    config = json.loads((made.folder / "config.json").read_text())
    write(folder / "exact", config, exact)
    settings = {"quant_method": method, "bits": 4, "group_size": GROUP, "version": "gemm"}
    write(folder / method, {**config, "quantization_config": settings}, stored)
    return exact


def write(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        {n: t.contiguous() for n, t in tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


@pytest.mark.parametrize(("method", "act_order"), [("awq", False), ("gptq", False), ("gptq", True)])
def test_int4_checkpoints_are_read_exactly(
    checkpoint: Maker, tmp_path: Path, method: str, act_order: bool
) -> None:
    int4_checkpoint(checkpoint("llama"), tmp_path, method, act_order=act_order)
    settings = EngineSettings(str(tmp_path / "exact"), device="cpu", kv_blocks=50)
    prompt = (5, 17, 31, 8)
    exact = logits(open_tokens_only(settings), prompt)
    packed = logits(open_tokens_only(replace(settings, model=str(tmp_path / method))), prompt)
    assert torch.allclose(exact, packed, atol=1e-3)


def test_errors_are_measured_layer_by_layer(chat_checkpoint: Checkpoint) -> None:
    readings = []
    for quantization in (None, "fp8"):
        executor = open_chat(chat_checkpoint, quantization=quantization).engine.executor
        assert isinstance(executor, CpuExecutor)
        readings.append(read_prompt(executor.loaded, executor.settings, tuple(range(20, 60))))
    plain, small = readings
    errors = {name: relative_error(plain.outputs[name], small.outputs[name]) for name in plain.outputs}
    assert len(errors) == 3 * 4 + 1
    assert all(0 < error < 0.2 for error in errors.values())
    assert agreement(plain.logits, small.logits) > 0.8


def test_an_unknown_format_is_named(checkpoint: Maker, tmp_path: Path) -> None:
    config = json.loads((checkpoint("llama").folder / "config.json").read_text())
    write(
        tmp_path / "odd",
        {**config, "quantization_config": {"quant_method": "ternary"}},
        {"x": torch.zeros(1)},
    )
    with pytest.raises(CheckpointError, match="ternary"):
        open_tokens_only(EngineSettings(str(tmp_path / "odd"), device="cpu"))
