"""What older code reaches for beside `LLMRails`: a file of Colang, the steps of a dialog, keys, pieces, providers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import action
from nemoguardrails.actions.actions import ActionResult
from nemoguardrails.colang import parse_colang_file
from nemoguardrails.colang.v1_0.lang import parser as parser_1
from nemoguardrails.colang.v2_x.lang import parser as parser_2
from nemoguardrails.colang.v2_x.runtime.errors import ColangSyntaxError
from nemoguardrails.embeddings.providers import EmbeddingModel, init_embedding_model
from nemoguardrails.embeddings.providers.sentence_transformers import SentenceTransformerEmbeddingModel
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.integrations.langchain.helpers import get_llm_instance_wrapper
from nemoguardrails.integrations.langchain.llm_adapter import LangChainLLMAdapter
from nemoguardrails.integrations.langchain.providers import register_llm_provider
from nemoguardrails.kb.utils import split_markdown_in_topic_chunks
from nemoguardrails.rails.llm.utils import get_history_cache_key
from nemoguardrails.testing import FakeLLMModel
from rails_engine.retrieval import EmbeddingConfigError

ONE = """
define user greet
  "hi"
define bot greet
  "Hey"
define flow greeting
  user greet
  bot greet
"""
TWO = "import core\nflow main\n  activate greeting\nflow greeting\n  match X()\n"


# --- one file of Colang --------------------------------------------------------------------------------------------


def test_a_file_of_colang_1_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "rails.co"
    file.write_text(ONE)
    for found in (parse_colang_file(str(file)), parser_1.parse_colang_file("rails.co", ONE)):
        assert found == {
            "user_messages": {"greet": ["hi"]},
            "bot_messages": {"greet": ["Hey"]},
            "flows": [{"id": "greeting", "source_code": "user greet\nbot greet"}],
        }


def test_a_file_of_colang_2_by_itself() -> None:
    for found in (
        parse_colang_file("main.co", content=TWO, version="2.x"),
        parser_2.parse_colang_file("main.co", TWO),
    ):
        assert [flow.name for flow in found["flows"]] == ["main", "greeting"]
        assert found["import_paths"] == ["core"]


@pytest.mark.parametrize(
    ("text", "version", "error"),
    [
        ("flow main\n  (", "2.x", ColangSyntaxError),
        ("define flow x\n  (", "1.0", ColangSyntaxError),
        (ONE, "2.x", ValueError),
        (TWO, "1.0", ValueError),
        ("", "3.0", ValueError),
    ],
)
def test_what_is_no_colang_of_the_version(text: str, version: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_colang_file("main.co", content=text, version=version)


# --- the steps of a dialog -----------------------------------------------------------------------------------------


def rails(*answers: str, **keys: Any) -> LLMRails:
    config = RailsConfig.from_content(ONE, config={"models": [], **keys})
    return LLMRails(config, llm=FakeLLMModel(responses=list(answers)))


SAID = [{"type": "UtteranceUserActionFinished", "final_transcript": "hello"}]


async def test_the_steps_of_a_dialog_one_by_one() -> None:
    app = rails("greet", "bot greet", '"seven"')
    steps = app.llm_generation_actions
    intent = await steps.generate_user_intent(SAID, {"last_user_message": "hello"}, app.config, None)
    assert intent.events == [{"type": "UserIntent", "intent": "greet"}]
    following = await steps.generate_next_steps([*SAID, {"type": "UserIntent", "intent": "ask"}])
    assert following.events == [{"type": "BotIntent", "intent": "greet"}]
    message = await steps.generate_bot_message([{"type": "BotIntent", "intent": "greet"}], {})
    assert message.events == [{"type": "BotMessage", "text": "Hey"}]
    assert await steps.generate_value("a lucky number", SAID, "x") == "seven"


async def test_a_step_of_ones_own_takes_the_place() -> None:
    @action(is_system_action=True)
    async def generate_user_intent() -> ActionResult:
        return ActionResult(events=[{"type": "UserIntent", "intent": "mine"}])

    app = rails()
    app.register_action(generate_user_intent)
    found = await app.llm_generation_actions.generate_user_intent(SAID)
    assert found.events == [{"type": "UserIntent", "intent": "mine"}]


async def test_the_steps_know_the_model_and_the_prompts() -> None:
    app = rails("greet")
    steps = app.llm_generation_actions
    assert steps.config is app.config
    assert steps.llm_task_manager is not None
    steps.llm = FakeLLMModel(llm_exception=ValueError("boom"))
    with pytest.raises(LLMCallException, match="boom"):
        await steps.generate_user_intent(SAID)


async def test_colang_2_has_no_such_steps() -> None:
    app = LLMRails(RailsConfig.from_content(TWO, config={"models": [], "colang_version": "2.x"}))
    with pytest.raises(NotImplementedError, match=r"2\.x"):
        await app.llm_generation_actions.generate_user_intent(SAID)


# --- keys, pieces, providers ---------------------------------------------------------------------------------------


def test_conversations_that_differ_have_different_keys() -> None:
    one = get_history_cache_key([{"role": "user", "content": "a:b"}])
    other = get_history_cache_key([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    assert one == get_history_cache_key([{"role": "user", "content": "a:b"}]) != other


def test_markdown_is_cut_at_its_headings_and_where_it_is_long() -> None:
    text = "# A\n\ntext one\n\n## B\n\n" + "\n\n".join("word " * 20 for _ in range(3))
    pieces = split_markdown_in_topic_chunks(text, max_chunk_size=50)
    assert [piece["title"] for piece in pieces] == ["A", "A - B", "A - B", "A - B"]
    assert pieces[0] == {"title": "A", "body": "text one"}


class Lengths(EmbeddingModel):
    """A vector of a text's length."""

    engine_name = "lengths of older names"

    def __init__(self, embedding_model: str, factor: int = 1) -> None:
        self.factor = factor

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        return self.encode(documents)

    def encode(self, documents: list[str]) -> list[list[float]]:
        return [[float(self.factor * len(text))] for text in documents]


def test_an_embedding_model_by_the_name_of_its_engine() -> None:
    rails().register_embedding_provider(Lengths)
    own = init_embedding_model("any", "lengths of older names", {"factor": 2})
    assert own.encode(["abc"]) == [[6.0]]
    built_in = init_embedding_model(None, "built-in")
    near, far = built_in.encode(["a cat", "a cat"])
    assert near == far
    assert sum(value * value for value in near) == pytest.approx(1.0, abs=1e-5)


def test_an_engine_that_lacks_what_it_needs_says_so() -> None:
    with pytest.raises(EmbeddingConfigError, match="needs a model"):
        SentenceTransformerEmbeddingModel()
    with pytest.raises(EmbeddingConfigError, match="opnai"):
        init_embedding_model("m", "opnai")


async def test_a_langchain_model_as_a_public_one() -> None:
    model = FakeListChatModel(responses=["yo"])
    adapter = LangChainLLMAdapter(model)
    assert adapter.raw_llm is model
    assert (await adapter.generate_async("hi")).content == "yo"


def test_a_model_that_exists_already_as_a_provider() -> None:
    model = FakeListChatModel(responses=["mine"])
    register_llm_provider("older names", get_llm_instance_wrapper(llm_instance=model, llm_type="mine"))
    config = RailsConfig.from_content(
        config={"models": [{"type": "main", "engine": "older names", "model": "m"}]}
    )
    assert LLMRails(config).generate("hi") == "mine"
