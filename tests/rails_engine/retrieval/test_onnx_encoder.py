"""Encoders in ONNX: the same vectors as from torch, by our `engine: local` and by FastEmbed, from a folder alone."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

from rails_engine.retrieval import EmbeddingConfigError, EmbeddingKind  # noqa: E402
from rails_engine.retrieval.embedding import embedder_for  # noqa: E402
from tests.rails_engine.retrieval.test_local_encoder import TEXTS, WORDS, write_tokenizer  # noqa: E402

QUERY = EmbeddingKind.QUERY
ALL = ("config.json", "tokenizer.json", "model.safetensors", "model.onnx")
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


class States(torch.nn.Module):
    """A BERT's last hidden states, from the three inputs that exported graphs have."""

    def __init__(self, model: transformers.BertModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(
            input_ids=ids, attention_mask=mask, token_type_ids=segments
        ).last_hidden_state
        return states


class Pooled(States):
    """The same pooled in the graph: one row a text."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        weights = mask.unsqueeze(-1).float()
        return (super().forward(ids, mask, segments) * weights).sum(1) / weights.sum(1)


@pytest.fixture(scope="module")
def model() -> transformers.BertModel:
    torch.manual_seed(0)
    shape = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=24,
        attn_implementation="eager",
    )
    return transformers.BertModel(shape).eval()


@pytest.fixture(scope="module")
def exported(model: transformers.BertModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights, a graph of the same, and a tokenizer."""
    folder = tmp_path_factory.mktemp("encoder")
    model.save_pretrained(folder)
    write_tokenizer(folder)
    tokens = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 24, **tokens}))
    (folder / "special_tokens_map.json").write_text(json.dumps(tokens))
    export(States(model), folder / "model.onnx")
    return folder


def export(module: States, path: Path) -> None:
    ids = torch.tensor([[2, 4, 5, 3], [2, 8, 3, 0]])
    sizes = {name: {0: "texts", 1: "tokens"} for name in INPUTS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter has much to say about tracing
        torch.onnx.export(
            module,
            (ids, (ids != 0).long(), torch.zeros_like(ids)),
            str(path),
            input_names=INPUTS,
            output_names=["states"],
            dynamic_axes=sizes,
            dynamo=False,
            opset_version=17,
        )


def copy(source: Path, target: Path, *names: str) -> None:
    for name in names:
        (target / name).write_bytes((source / name).read_bytes())


async def vectors(folder: Path, engine: str = "local", model: str = "", **parameters: str) -> np.ndarray:
    return await embedder_for(engine, model or str(folder), parameters).embed(TEXTS, QUERY)


async def test_both_runtimes_give_the_same_vectors(exported: Path) -> None:
    by_torch = await vectors(exported, runtime="torch")
    assert await vectors(exported, runtime="onnx") == pytest.approx(by_torch, abs=1e-5)


async def test_a_folder_without_weights_is_run_by_onnx_runtime(exported: Path, tmp_path: Path) -> None:
    copy(exported, tmp_path, *ALL[:2])
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes((exported / "model.onnx").read_bytes())
    assert await vectors(tmp_path) == pytest.approx(await vectors(exported, runtime="torch"), abs=1e-5)


async def test_the_first_token_is_taken_where_the_folder_says_so(exported: Path, tmp_path: Path) -> None:
    copy(exported, tmp_path, *ALL)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    by_torch = await vectors(tmp_path, runtime="torch")
    assert await vectors(tmp_path, runtime="onnx") == pytest.approx(by_torch, abs=1e-5)


async def test_a_graph_that_pools_itself_is_taken_at_its_word(
    exported: Path, model: transformers.BertModel, tmp_path: Path
) -> None:
    copy(exported, tmp_path, *ALL[:2])
    export(Pooled(model), tmp_path / "model.onnx")
    assert await vectors(tmp_path) == pytest.approx(await vectors(exported, runtime="torch"), abs=1e-5)


async def test_fastembed_embeds_from_a_folder_without_a_network(exported: Path) -> None:
    pytest.importorskip("fastembed")
    found = await vectors(
        exported,
        "FastEmbed",
        "sentence-transformers/all-MiniLM-L6-v2",  # says how to pool; the folder holds the model
        specific_model_path=str(exported),
    )
    assert found == pytest.approx(await vectors(exported, runtime="torch"), abs=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"runtime": "onnx", "device": "cuda"}, "no CUDA provider"),
        ({"runtime": "tensorflow"}, "runtime auto, torch or onnx, not 'tensorflow'"),
    ],
)
async def test_what_cannot_be_run_is_said(exported: Path, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(EmbeddingConfigError, match=message):
        await vectors(exported, **parameters)


async def test_a_broken_graph_is_a_clear_error(exported: Path, tmp_path: Path) -> None:
    copy(exported, tmp_path, *ALL)
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(EmbeddingConfigError, match=r"model\.onnx: cannot be run"):
        await vectors(tmp_path, runtime="onnx")


async def test_a_folder_without_a_graph_names_where_one_was_looked_for(
    exported: Path, tmp_path: Path
) -> None:
    copy(exported, tmp_path, *ALL[:3])
    with pytest.raises(EmbeddingConfigError, match=r"no ONNX graph \(model\.onnx, onnx/model\.onnx"):
        await vectors(tmp_path, runtime="onnx")


async def test_without_onnx_runtime_the_extra_is_named(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EmbeddingConfigError, match=r"needs onnxruntime: .*\[onnx\]"):
        await vectors(exported, runtime="onnx")
