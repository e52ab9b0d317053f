"""Retrieval rails under Colang 2.x: what the knowledge base says goes through them before any flow has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel

FLOWS = """
import core
flow main
  activate talk
  match Never()
flow talk
  global $relevant_chunks
  user said something
  await RetrieveRelevantChunksAction()
  bot say $relevant_chunks
flow no prices
  global $relevant_chunks
  if search("euros", $relevant_chunks)
    bot say "no prices here"
    abort
flow masked names
  global $relevant_chunks
  $relevant_chunks = $relevant_chunks.replace("Smith", "***")
flow broken
  await BrokenAction()
"""
YAML = """
colang_version: "2.x"
models: []
knowledge_base: {embedding_search_provider: {name: default}}
rails: {retrieval: {flows: [%s]}}
"""


def rails(folder: Path, *flows: str) -> LLMRails:
    (folder / "config.yml").write_text(YAML % ", ".join(flows))
    (folder / "main.co").write_text(FLOWS)
    (folder / "kb").mkdir()
    (folder / "kb" / "shop.md").write_text(
        "# Coffee\n\nCoffee costs four euros.\n\n# Owner\n\nSmith owns it.\n"
    )
    app = LLMRails(RailsConfig.from_path(str(folder)), llm=FakeLLMModel(responses=[]))

    async def broken() -> None:
        raise RuntimeError("no")

    app.register_action(broken, "BrokenAction")
    return app


@pytest.mark.parametrize(
    ("flow", "question", "answer"),
    [
        ("masked names", "who is the Owner", "*** owns it."),
        ("no prices", "Coffee", "no prices here"),
        ("broken", "Coffee", "I'm sorry, an internal error has occurred."),
    ],
)
async def test_what_was_found_is_as_the_rails_leave_it(
    tmp_path: Path, flow: str, question: str, answer: str
) -> None:
    app = rails(tmp_path, flow)
    reply = await app.generate_async(messages=[{"role": "user", "content": question}])
    assert answer in reply["content"].splitlines()
    assert "Smith" not in reply["content"]
