"""The bundled help desk of Colang 1.0: what it understands, and what it answers from its documents."""

from __future__ import annotations

import pytest

from app.bundled import find_config
from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.retrieval import RetrievalSetup


@pytest.fixture(scope="module")
def config() -> RailsConfig:
    return RailsConfig.from_path(str(find_config("support_bot")))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Hello there!", "express greeting"),
        ("thanks a lot", "express thanks"),
        ("how much does it cost to rent a cargo bike for two days", "ask about prices"),
        ("what time do you close today", "ask about opening hours"),
        ("where is your shop", "ask where the shop is"),
        ("my tyre is flat", "ask about damage"),
        ("can I cancel?", "ask about bookings"),
        ("which tours are there", "ask about riding"),
        ("who won the world cup last year", "ask something else"),
    ],
)
async def test_utterances_are_understood_offline(config: RailsConfig, said: str, meant: str) -> None:
    settings = config.rails.dialog.user_messages
    assert settings.embeddings_only_similarity_threshold is not None
    setup = RetrievalSetup(config)
    match = await setup.intents().match(said, setup.threshold(settings.embeddings_only_similarity_threshold))
    assert match is not None
    assert match.in_scope
    assert match.intent == meant


@pytest.mark.parametrize("said", ["what is the meaning of life", "give me a recipe for pancakes"])
async def test_what_is_like_no_example_falls_back(config: RailsConfig, said: str) -> None:
    settings = config.rails.dialog.user_messages
    assert settings.embeddings_only_similarity_threshold is not None
    setup = RetrievalSetup(config)
    match = await setup.intents().match(said, setup.threshold(settings.embeddings_only_similarity_threshold))
    assert match is not None
    assert not match.in_scope


@pytest.mark.parametrize(
    ("question", "answer", "heading"),
    [
        ("what happens if the bike gets stolen?", "report it to the police within 24 hours", "Theft"),
        (
            "can I bring my dog?",
            "A dog up to 25 kilograms may ride in the box of a cargo bike",
            "Children and dogs",
        ),
        ("can I cancel my booking?", "cancel a booking for free until 24 hours", "Changing and cancelling"),
        ("do I get money back when it rains", "half of the day's price back", "Refunds"),
    ],
)
async def test_answers_are_the_documents_own_words(
    config: RailsConfig, question: str, answer: str, heading: str
) -> None:
    base = RetrievalSetup(config).knowledge_base()
    assert base is not None
    found = await base.answer(question)
    assert found is not None
    assert answer in found.text
    assert found.citation.provenance.headings[-1] == heading


@pytest.mark.parametrize("question", ["who won the world cup?", "what is the capital of France?"])
async def test_the_documents_do_not_answer_everything(config: RailsConfig, question: str) -> None:
    base = RetrievalSetup(config).knowledge_base()
    assert base is not None
    assert await base.answer(question) is None


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("hello", "Hello, this is Harbour Bikes."),
        ("thanks", "You are welcome."),
        ("bye", "Goodbye, and safe riding!"),
        ("what can you do", "I know our prices"),
        ("where are you", "Pier 4"),
        ("how much is an electric bike?", "35 for an electric one"),
        ("can I bring my dog?", "A dog up to 25 kilograms"),
        ("who won the world cup?", "I can only help with Harbour Bikes"),
        ("what is the meaning of life", "I can only help with Harbour Bikes"),
    ],
)
async def test_a_conversation_needs_no_model(config: RailsConfig, said: str, answer: str) -> None:
    reply = await LLMRails(config).generate_async(messages=[{"role": "user", "content": said}])
    assert isinstance(reply, dict)
    assert answer in str(reply["content"])
