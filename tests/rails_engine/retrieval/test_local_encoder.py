"""Sentence encoders of our own torch code, against the transformers library on small random checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402

from rails_engine.retrieval import EmbeddingConfigError, EmbeddingKind  # noqa: E402
from rails_engine.retrieval.embedding import CrossEncoder, EncoderSettings, LocalEncoder  # noqa: E402
from rails_engine.retrieval.embedding.bert import Bert  # noqa: E402
from rails_engine.retrieval.embedding.encoder import batches_by_length  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "my", "card", "is", "lost", "hello", "world", "query", ":"]
TEXTS = ["my card is lost", "hello", "hello world is my card hello world", "something unknown"]


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))


def reference_model(family: str) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    shape = {
        "vocab_size": len(WORDS),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 24,
        "pad_token_id": 0,
    }
    if family == "bert":
        return transformers.BertModel(transformers.BertConfig(**shape)).eval()
    return transformers.XLMRobertaModel(transformers.XLMRobertaConfig(**shape, type_vocab_size=1)).eval()


@pytest.fixture(params=["bert", "xlm-roberta"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    reference_model(request.param).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    return tmp_path


def reference_vectors(folder: Path, family: str, *, first_token: bool) -> np.ndarray:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = reference_model(family)
    rows = []
    for text in TEXTS:
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        row = states[0] if first_token else states.mean(0)
        rows.append((row / row.norm()).numpy())
    return np.stack(rows)


def family_of(folder: Path) -> str:
    return str(json.loads((folder / "config.json").read_text())["model_type"])


@pytest.mark.parametrize("first_token", [False, True])
async def test_vectors_are_the_references(checkpoint: Path, *, first_token: bool) -> None:
    (checkpoint / "1_Pooling").mkdir()
    (checkpoint / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": first_token}))
    encoder = LocalEncoder(EncoderSettings(checkpoint, "cpu"))
    expected = reference_vectors(checkpoint, family_of(checkpoint), first_token=first_token)
    assert await encoder.embed(TEXTS, EmbeddingKind.PASSAGE) == pytest.approx(expected, abs=1e-5)
    assert await encoder.dimension() == 32


async def test_queries_and_passages_get_the_prompts_of_the_folder(checkpoint: Path) -> None:
    prompts = {"prompts": {"query": "query: ", "document": ""}}
    (checkpoint / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    encoder = LocalEncoder(EncoderSettings(checkpoint, "cpu"))
    asked = await encoder.embed(["hello"], EmbeddingKind.QUERY)
    assert asked == pytest.approx(await encoder.embed(["query: hello"], EmbeddingKind.PASSAGE), abs=1e-6)
    assert asked != pytest.approx(await encoder.embed(["hello"], EmbeddingKind.PASSAGE), abs=1e-3)


async def test_a_long_text_is_cut_at_the_models_length(checkpoint: Path) -> None:
    encoder = LocalEncoder(EncoderSettings(checkpoint, "cpu"))
    assert (await encoder.embed(["hello " * 500], EmbeddingKind.QUERY)).shape == (1, 32)


async def test_half_precision_stays_near_the_reference(checkpoint: Path) -> None:
    whole = Bert.load(checkpoint, torch.device("cpu"), torch.float64)
    half = Bert.load(checkpoint, torch.device("cpu"), torch.bfloat16)
    ids = torch.tensor([[2, 4, 5, 6, 7, 3], [2, 8, 3, 0, 0, 0]])
    exact, rounded = whole.hidden(ids)[0], half.hidden(ids)[0]
    assert torch.allclose(exact[0], rounded[0].double(), atol=0.1)
    assert torch.allclose(exact[1, :3], rounded[1, :3].double(), atol=0.1)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", '{"model_type": "gpt2"}', "model of type 'gpt2'"),
        ("config.json", "{", r"config\.json cannot be read"),
        ("model.safetensors", "no tensors", r"model\.safetensors cannot be read"),
    ],
)
async def test_a_folder_that_is_no_encoder_is_a_clear_error(
    checkpoint: Path, file: str, content: str, message: str
) -> None:
    (checkpoint / file).write_text(content)
    with pytest.raises(EmbeddingConfigError, match=message):
        await LocalEncoder(EncoderSettings(checkpoint, "cpu")).embed(["x"], EmbeddingKind.QUERY)


def test_batches_hold_rows_of_like_length() -> None:
    rows = [[0] * length for length in (5000, 3, 4, 2, 5000, 3)]
    assert batches_by_length(rows) == [[3, 1, 5, 2], [0], [4]]


async def test_a_cross_encoder_scores_pairs_as_the_reference_does(tmp_path: Path) -> None:
    torch.manual_seed(1)
    shape = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=24,
        num_labels=1,
    )
    model = transformers.BertForSequenceClassification(shape).eval()
    model.save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    expected = []
    for passage in TEXTS:
        pair = tokenizer.encode("my card", passage)
        with torch.no_grad():
            logits = model(
                input_ids=torch.tensor([pair.ids]), token_type_ids=torch.tensor([pair.type_ids])
            ).logits
        expected.append(float(logits[0, 0]))
    scores = await CrossEncoder(EncoderSettings(tmp_path, "cpu")).scores("my card", TEXTS)
    assert scores.tolist() == pytest.approx(expected, abs=1e-5)


async def test_an_encoder_is_no_cross_encoder(checkpoint: Path) -> None:
    with pytest.raises(EmbeddingConfigError, match="no cross-encoder"):
        await CrossEncoder(EncoderSettings(checkpoint, "cpu")).scores("a", ["b"])
