"""`engine: local` in a configuration folder: the answer streams, and guard prompts ride in its batch."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from inference_backend.executors import CpuExecutor
from inference_backend.step import StepPlan
from nemoguardrails import LLMRails, RailsConfig
from tests.app.cli.command import nemoguardrails_command
from tests.inference_backend.checkpoints import make_chat

CONFIG = """
models:
  - type: main
    engine: local
    model: {model}
    parameters: {{{shared}, max_tokens: 48, min_tokens: 48, temperature: 0.0}}
  - type: self_check_input
    engine: local
    model: {model}
    parameters: {{{shared}, guided_choice: ["no"], priority: -1}}
  - type: self_check_output
    engine: local
    model: {model}
    parameters: {{{shared}, guided_choice: ["no"], priority: -1}}
rails:
  input:
    flows: [self check input]
    timeout_s: 100
  output:
    flows: [self check output]
    timeout_s: 100
    streaming: {{enabled: true, chunk_size: 6, context_size: 2}}
prompts:
  - task: self_check_input
    content: "Should this be blocked? {{{{ user_input }}}}"
  - task: self_check_output
    content: "Should this be blocked? {{{{ bot_response }}}}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("local_config")
    (found / "model").mkdir()
    make_chat(found / "model")
    shared = "device: cpu, kv_blocks: 900, block_size: 4"
    (found / "config.yml").write_text(CONFIG.format(model=found / "model", shared=shared))
    return found


class Watched:
    """Which steps held rows of guard prompts, of answers, or of both. Guards are the constrained ones."""

    def __init__(self) -> None:
        self.guard_slots: dict[int, bool] = {}
        self.both = self.guards_alone = 0

    def see(self, plan: StepPlan) -> None:
        for join in plan.joins:
            self.guard_slots[join.slot] = join.sampling.constraint is not None
        kinds = {self.guard_slots[slot] for slot in np.unique(plan.slots).tolist()}
        self.both += len(kinds) == 2
        self.guards_alone += kinds == {True}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    seen, launch = Watched(), CpuExecutor.launch

    def launched(self: CpuExecutor, plan: StepPlan) -> None:
        seen.see(plan)
        launch(self, plan)

    monkeypatch.setattr(CpuExecutor, "launch", launched)
    return seen


async def stream(rails: LLMRails, text: str) -> list[str]:
    messages = [{"role": "user", "content": text}]
    return [piece async for piece in rails.stream_async(messages=messages) if isinstance(piece, str)]


async def test_guard_prompts_ride_in_the_batch_of_the_answer(folder: Path, watched: Watched) -> None:
    rails = LLMRails(RailsConfig.from_path(str(folder)))
    pieces = await stream(rails, "Tell me about it")
    assert len(pieces) > 2
    assert watched.both, "the output is checked while it is still being written"
    alone = watched.both
    answers = await asyncio.gather(*(stream(rails, f"Question {number}") for number in range(4)))
    assert all(answers)
    assert watched.both > alone


async def test_the_answer_streams_in_the_chat(folder: Path) -> None:
    rails = LLMRails(RailsConfig.from_path(str(folder)))
    answer = visible("".join(await stream(rails, "Tell me about it")))
    done = await asyncio.to_thread(
        nemoguardrails_command, "chat", "--config", str(folder), "--streaming", stdin="Tell me about it\n"
    )
    assert done.returncode == 0, done.stderr
    assert visible(done.stdout) == answer
    assert len(answer) > 10
    assert "internal error" not in answer


def visible(text: str) -> str:
    """A model of random weights writes control characters too; the chat shows none."""
    return "".join(character for character in text if character.isprintable())
