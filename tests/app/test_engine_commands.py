"""`nemoguardrails engine` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.engine import engine
from tests.inference_backend.checkpoints import make_chat

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "torch_dtype": "bfloat16",
    "eos_token_id": 128001,
}


@pytest.fixture
def shape(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(engine, list(arguments))
    return result.exit_code, result.output + result.stderr


def test_plan_predicts_an_8b_model_on_an_h200(shape: Path) -> None:
    code, output = run(
        "plan", str(shape), "--batch", "256", "--prompt-tokens", "128", "--output-tokens", "128"
    )
    assert code == 0
    assert "8.03 billion" in output
    assert "128 KiB" in output
    assert "7.20 ms" in output  # as worked out by hand for 256 sequences of 192 tokens


def test_plan_shares_layers_over_cards(shape: Path) -> None:
    """Half of the layers and the head, all of the embedding; half of the KV heads."""
    code, output = run("plan", str(shape), "--tensor-parallel", "2")
    assert (code, "7.97 GiB of 140 each" in output, "64 KiB" in output) == (0, True, True)
    code, output = run("plan", str(shape), "--tensor-parallel", "3")
    assert (code, "8 KV heads cannot be shared by 3 cards" in output) == (1, True)


@pytest.mark.parametrize(
    ("stored", "weights"),
    [
        ({"quant_method": "interlock", "scheme": "fp8"}, "8.46 GiB"),
        ({"quant_method": "awq", "bits": 4}, "5.34 GiB"),
        (None, "14.96 GiB"),
    ],
)
def test_plan_knows_how_a_folder_is_stored(shape: Path, stored: object, weights: str) -> None:
    (shape / "config.json").write_text(json.dumps({**LLAMA_8B, "quantization_config": stored}))
    code, output = run("plan", str(shape))
    assert code == 0
    assert weights in output


def test_plan_says_when_it_does_not_fit(shape: Path) -> None:
    code, output = run("plan", str(shape), "--gpu", "a10", "--prompt-tokens", "100000")
    assert code == 0
    assert "no: the weights leave no room" in output


def test_an_unknown_card_or_value_is_a_usage_error(shape: Path) -> None:
    code, output = run("plan", str(shape), "--gpu", "abacus")
    assert code == 2
    assert "h200" in output
    assert run("plan", str(shape), "--quantization", "fp7")[0] == 2


def test_build_then_bench(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    folder = make_chat(tmp_path / "model").folder
    code, output = run(
        "build", str(folder), "--out", str(tmp_path / "engine"), "--quantization", "int8-weights"
    )
    assert (code, "Wrote" in output) == (0, True)
    code, output = run(
        "bench", str(tmp_path / "engine"), "--device", "cpu", "--requests", "3", "--prompt-tokens", "9",
        "--output-tokens", "5", "--gpu", "h200",
    )  # fmt: skip
    assert code == 0
    assert "15 tokens" in output
    assert "roofline of h200" in output


def test_a_folder_that_is_no_checkpoint_is_explained(tmp_path: Path) -> None:
    code, output = run("bench", str(tmp_path), "--device", "cpu")
    assert code == 1
    assert "config.json is missing" in output
