"""Our word pieces against the reference tokenizer of the same vocabulary."""

from __future__ import annotations

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from rails_engine.retrieval.embedding.wordpiece import WordPiece

PIECES = (
    (files("rails_engine.retrieval.embedding") / "minilm_static" / "vocab.txt")
    .read_text("utf-8")
    .splitlines()
)
VOCABULARY = {piece: i for i, piece in enumerate(PIECES)}


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello, world!",
        "I still haven't received my new card; it's been 2 weeks...",
        "unaffable\tantidisestablishmentarianism\nsupercalifragilistic",
        "naïve café Übergröße ÅNGSTRÖM",
        "東京は日本の首都です。ｶﾞ",
        "price: $3.50 (≈ €3,20) — 50% «off» \u2018now\u2019",
        "e-mail me@example.com or see https://example.com/a_b?c=d#e",
        "zero\u200bwidth and soft\u00adhyphen, control\x07bell, nbsp\u00a0end",
        "ΑΒΓ привет שלום مرحبا हिन्दी ไทย 한국어",
        "a" * 101 + " ok",
        "👍🏽 fine 🙂",
    ],
)
def test_pieces_are_the_references(reference: Tokenizer, text: str) -> None:
    assert WordPiece(VOCABULARY).ids(text) == reference.encode(text, add_special_tokens=False).ids


@given(st.text(st.characters(codec="ascii"), max_size=80))
def test_any_ascii_text_is_cut_as_the_reference_cuts_it(reference: Tokenizer, text: str) -> None:
    ours = WordPiece(VOCABULARY).ids(text)
    assert ours == reference.encode(text, add_special_tokens=False).ids
