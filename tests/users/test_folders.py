"""Configuration folders as users write them, with their Python, run from beginning to end.

What is heard was recorded with release 0.24 of the peer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nemoguardrails import LLMRails, LLMResponse, RailsConfig
from nemoguardrails.testing import FakeLLMModel

FOLDERS = sorted(Path(__file__).parent.glob("*.yaml"))


class Scripted(FakeLLMModel):
    """Says what belongs to a text that the prompt holds, else the next line of its script."""

    def __init__(self, said_to: list[list[str]], script: list[str]) -> None:
        super().__init__(responses=[])
        self.said_to, self.script = said_to, list(script)

    async def generate_async(self, prompt: Any, *, stop: Any = None, **kwargs: Any) -> LLMResponse:
        text = prompt if isinstance(prompt, str) else "\n".join(str(message.content) for message in prompt)
        answer = next((said for held, said in self.said_to if held in text), None)
        return LLMResponse(content=self.script.pop(0) if answer is None else answer)


def laid_out(case: Path, root: Path) -> dict[str, Any]:
    """The case, with its files below `root`."""
    data: dict[str, Any] = yaml.safe_load(case.read_text(encoding="utf-8"))
    for name, text in data["files"].items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return data


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.stem)
async def test_a_folder_answers_as_its_author_is_used_to(folder: Path, tmp_path: Path) -> None:
    case = laid_out(folder, tmp_path)
    model = Scripted(case["model"], case["script"])
    rails = LLMRails(RailsConfig.from_path(str(tmp_path)), llm=model)
    messages: list[dict[str, Any]] = []
    heard = []
    for said, _ in case["turns"]:
        messages.append({"role": "user", "content": said})
        reply = await rails.generate_async(messages=messages)
        messages.append(reply)
        heard.append([said, reply["content"]])
    assert heard == case["turns"]
