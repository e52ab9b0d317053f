"""Tokens to text and back: whole characters, stop strings, chat templates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_backend.errors import ChatTemplateError, CheckpointError
from inference_backend.text import ChatTemplate, Detokenizer, StopFinder, Tokenizer
from tests.inference_backend.checkpoints import Checkpoint

REPLACEMENT = "\ufffd"


@pytest.fixture(scope="module")
def tokenizer(chat_checkpoint: Checkpoint) -> Tokenizer:
    return Tokenizer.from_folder(chat_checkpoint.folder)


@pytest.fixture(scope="module")
def sentencepiece() -> Tokenizer:
    """As Llama 2's: words begin with a mark that decodes to a space, other characters fall back to bytes."""
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz:.", "▁a", "▁th", "th"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    merges = [("▁", "a"), ("t", "h"), ("▁", "th")]
    model = tokenizers.models.BPE(
        {name: number for number, name in enumerate(names)}, merges, unk_token="<unk>", byte_fallback=True
    )
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    decoders = tokenizers.decoders
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return Tokenizer(backend)


@settings(max_examples=40, deadline=None)
@given(st.text("ath .é漢🙂", max_size=20))
def test_words_keep_their_spaces_and_bytes_become_characters(sentencepiece: Tokenizer, text: str) -> None:
    whole = sentencepiece.encode("before:" + text)
    prompt = sentencepiece.encode("before:")
    detokenizer = Detokenizer(sentencepiece, prompt)
    pieces = [detokenizer.push([token]) for token in whole[len(prompt) :]]
    assert not any(REPLACEMENT in piece for piece in pieces)
    assert "".join(pieces) + detokenizer.flush() == text


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters=REPLACEMENT), max_size=30))
def test_text_comes_in_whole_characters_and_nothing_is_lost(tokenizer: Tokenizer, text: str) -> None:
    detokenizer = Detokenizer(tokenizer, tokenizer.encode("before: é"))
    pieces = [detokenizer.push([token]) for token in tokenizer.encode(text)]
    assert not any(REPLACEMENT in piece for piece in pieces)
    assert "".join(pieces) + detokenizer.flush() == text


def test_bytes_that_never_become_a_character_are_shown_at_the_end(tokenizer: Tokenizer) -> None:
    detokenizer = Detokenizer(tokenizer, [])
    token = tokenizer.encode("é")[0]
    assert detokenizer.push([token]) == ""
    assert detokenizer.flush() == REPLACEMENT


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("abc", max_size=4), max_size=8),
    st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_a_stop_string_is_found_however_the_text_is_cut(pieces: list[str], stops: list[str]) -> None:
    finder, shown, hit = StopFinder(tuple(stops)), "", None
    for piece in pieces:
        released = finder.push(piece)
        shown += released.text
        hit = released.stop
        if hit:
            break
    whole = "".join(pieces)
    expected = min((at for stop in stops if (at := whole.find(stop)) >= 0), default=None)
    if hit is None:
        assert expected is None
        assert shown + finder.flush() == whole
    else:
        assert not any(stop in shown for stop in stops)
        assert whole.startswith(shown + hit)


def test_messages_are_rendered_as_transformers_renders_them(chat_checkpoint: Checkpoint) -> None:
    messages = [{"role": "system", "content": "Be <kind>."}, {"role": "user", "content": "Hi"}]
    template = ChatTemplate.from_folder(chat_checkpoint.folder)
    reference = transformers.AutoTokenizer.from_pretrained(chat_checkpoint.folder)
    expected = reference.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert template is not None
    assert template.render(messages) == expected


def test_a_template_may_refuse_messages(chat_checkpoint: Checkpoint) -> None:
    template = ChatTemplate.from_folder(chat_checkpoint.folder)
    assert template is not None
    with pytest.raises(ChatTemplateError, match="unknown role pirate"):
        template.render([{"role": "pirate", "content": "Arr"}])


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{% include 'x' %}",
        "{{ ''['__cla' ~ 'ss__'].__base__.__subclasses__() }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ 'x' * 10000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{{ 1 / 0 }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
    ],
)
def test_a_template_is_not_trusted(source: str) -> None:
    with pytest.raises(ChatTemplateError):
        ChatTemplate(source).render([{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize("inner", ["raise_exception.__globals__", "'{0.__class__}'.format(messages)"])
def test_what_lies_behind_a_value_is_nothing_to_a_template(inner: str) -> None:
    assert not ChatTemplate("{{ " + inner + " }}").render([])


def test_messages_are_never_templates() -> None:
    template = ChatTemplate("{{ messages[0].content }}")
    assert template.render([{"role": "user", "content": "{{ 7 * 7 }}"}]) == "{{ 7 * 7 }}"


def test_what_model_authors_write_in_templates_works() -> None:
    template = ChatTemplate(
        "{%- for m in messages %}{% if m.role == 'skip' %}{% continue %}{% endif %}{{ m.content * 2 }}"
        "{%- generation %}!{% endgeneration %}{% endfor %}{{ {'a': '<é>'} | tojson(indent=1) }}"
    )
    messages = [{"role": "skip", "content": "no"}, {"role": "user", "content": "yes"}]
    assert template.render(messages) == 'yesyes!{\n "a": "<é>"\n}'


@pytest.mark.parametrize("named", [True, False])
def test_a_template_of_its_own_serves_tools(tmp_path: Path, named: bool) -> None:
    if named:
        both = [
            {"name": "default", "template": "plain"},
            {"name": "tool_use", "template": "{{ tools[0].n }}"},
        ]
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": both}))
    else:
        (tmp_path / "chat_template.jinja").write_text("plain")
        (tmp_path / "additional_chat_templates").mkdir()
        (tmp_path / "additional_chat_templates" / "tool_use.jinja").write_text("{{ tools[0].n }}")
    template = ChatTemplate.from_folder(tmp_path)
    assert template is not None
    assert template.render([]) == "plain"
    assert template.render([], tools=[{"n": "find"}]) == "find"


def test_the_bytes_of_a_part_of_a_character_are_known(tokenizer: Tokenizer, sentencepiece: Tokenizer) -> None:
    for spelling in (tokenizer, sentencepiece):
        ids = spelling.encode("é🙂")
        joined = b"".join(spelling.token_bytes(token) for token in ids)
        assert joined.strip() == "é🙂".encode()
        assert any(REPLACEMENT in spelling.token_text(token) for token in ids)


def test_a_word_and_its_space_can_be_told_apart(sentencepiece: Tokenizer) -> None:
    texts = {sentencepiece.token_text(token) for token in sentencepiece.encode("th th a")}
    assert {" th", " a"} <= texts


def test_a_broken_template_is_the_checkpoints_fault() -> None:
    with pytest.raises(CheckpointError, match="not valid Jinja"):
        ChatTemplate("{% for %}")
