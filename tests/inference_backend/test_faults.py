"""What goes wrong while serving ends the requests that it touches; the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_backend.engine import Engine, EngineParts
from inference_backend.errors import ExecutorError, ResourceError
from inference_backend.executor import Capacity
from inference_backend.executors import CpuExecutor
from inference_backend.executors.room import free_memory
from inference_backend.settings import EngineSettings, SchedulerSettings, SpeculationSettings
from inference_backend.step import StepPlan, TokenMasks
from inference_backend.testing import ScriptedExecutor
from inference_backend.values import Choice, Request, SamplingParameters
from tests.inference_backend.checkpoints import Checkpoint
from tests.inference_backend.conftest import Maker, ask, collect, open_chat, request_of, text, tokens

CAPACITY = Capacity(blocks=64, block_size=4, max_positions=200, vocab_size=50, hidden_size=1, eos_ids=())


class FailingExecutor(ScriptedExecutor):
    """Fails in the launch or the sampling of one step."""

    def __init__(self, step: int, where: str, *, ahead: bool, lasting: bool) -> None:
        super().__init__(CAPACITY, lambda tokens: (sum(tokens) + len(tokens)) % 50, plans_ahead=ahead)
        self.at, self.where, self.lasting = step, where, lasting

    def launch(self, plan: StepPlan) -> None:
        if self.where == "launch" and plan.number == self.at:
            raise ExecutorError("no memory for this step", lasting=self.lasting)
        super().launch(plan)

    def sample(self, masks: TokenMasks | None) -> None:
        if self.where == "sample" and self.steps[-1].number == self.at:
            raise ExecutorError("no memory for this step", lasting=self.lasting)
        super().sample(masks)


def engine_with(executor: ScriptedExecutor) -> Engine:
    limits = SchedulerSettings(block_size=4, max_sequences=4, max_step_tokens=16)
    return Engine(EngineParts(executor, limits), CAPACITY)


def submit(engine: Engine, name: str, prompt: tuple[int, ...], count: int = 8) -> None:
    engine.submit(engine.prepare(Request(name, prompt, SamplingParameters(max_tokens=count))))


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("where", ["launch", "sample"])
def test_a_step_without_memory_ends_its_own_requests_alone(where: str, ahead: bool) -> None:
    healthy = engine_with(FailingExecutor(-1, where, ahead=ahead, lasting=False))
    submit(healthy, "late", (7,) * 9)
    expected = tokens(collect(healthy)["late", 0])
    engine = engine_with(FailingExecutor(3, where, ahead=ahead, lasting=False))
    for number in range(3):
        submit(engine, f"r{number}", (7,) * 9)
    late = False
    ended = {}
    while engine.busy:
        for delta in engine.step():
            if delta.finish:
                ended[delta.request_id] = delta
        engine.scheduler.check()
        if len(ended) == 3 and not late:
            late = True
            submit(engine, "late", (7,) * 9)
    errors = {name for name, delta in ended.items() if isinstance(delta.error, ExecutorError)}
    assert errors == {"r0", "r1", "r2"}
    assert engine.failure is None
    assert engine.scheduler.usage == 0.0
    submit(engine, "again", (7,) * 9)
    assert tokens(collect(engine)["again", 0]) == expected


def test_a_runner_that_is_gone_refuses_everyone() -> None:
    engine = engine_with(FailingExecutor(1, "launch", ahead=True, lasting=True))
    submit(engine, "r", (1, 2, 3))
    [ended] = [delta for deltas in collect(engine).values() for delta in deltas if delta.finish]
    assert isinstance(ended.error, ExecutorError)
    with pytest.raises(ExecutorError, match="no memory for this step"):
        submit(engine, "later", (1, 2, 3))


def test_a_draft_model_that_fails_costs_speed_alone(chat_checkpoint: Checkpoint) -> None:
    speculation = SpeculationSettings("draft", draft_model=str(chat_checkpoint.folder))
    opened = open_chat(chat_checkpoint, speculation=speculation)
    opened.engine.parts.drafter._engine.failure = ExecutorError("gone")  # type: ignore[union-attr]
    expected = text(ask(open_chat(chat_checkpoint), "Tell me", temperature=0.0))
    assert text(ask(opened, "Tell me", temperature=0.0)) == expected


def test_a_constraint_that_no_token_can_meet_ends_one_request(chat_checkpoint: Checkpoint) -> None:
    """The bytes of the choice exist, but a bias forbids them all."""
    opened = open_chat(chat_checkpoint)
    barred = tuple((token, float("-inf")) for token in range(opened.engine.capacity.vocab_size))
    submit_request = request_of(opened, "x", "barred", constraint=Choice(("yes",)), logit_bias=barred)
    opened.engine.submit(opened.engine.prepare(submit_request))
    opened.engine.submit(opened.engine.prepare(request_of(opened, "Tell me", "free", max_tokens=4)))
    got = collect(opened.engine)
    assert got["free", 0][-1].finish in {"stop", "length"}
    assert got["barred", 0][-1].finish == "error"


@pytest.fixture
def enormous(checkpoint: Maker, tmp_path: Path) -> Path:
    """A checkpoint whose file says it holds 2 TiB, and does: nothing of it but holes."""
    (tmp_path / "config.json").write_text((checkpoint("llama").folder / "config.json").read_text())
    size = 2**41
    header = json.dumps({"w": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    return tmp_path


def test_weights_that_do_not_fit_are_refused_before_they_are_read(
    checkpoint: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference_backend.executors.loading.free_memory", lambda: 50_000)
    settings = EngineSettings(str(checkpoint("llama").folder), device="cpu", kv_blocks=10)
    with pytest.raises(ResourceError, match=r"GiB in float32, but 0.0 GiB of memory are free"):
        CpuExecutor(settings).load()


def test_a_file_larger_than_the_memory_is_refused(enormous: Path) -> None:
    with pytest.raises(ResourceError, match="memory"):
        CpuExecutor(EngineSettings(str(enormous), device="cpu", dtype="float32")).load()


def test_a_control_groups_limit_counts(tmp_path: Path) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (groups / "pod").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   80 kB\n")
    (proc / "self" / "cgroup").write_text("0::/pod\n")
    assert free_memory(proc, groups) == 80 * 1024
    (groups / "pod" / "memory.max").write_text("max\n")
    (groups / "pod" / "memory.current").write_text("5000\n")
    assert free_memory(proc, groups) == 80 * 1024
    (groups / "pod" / "memory.max").write_text("9000\n")
    (groups / "pod" / "memory.stat").write_text("anon 1\ninactive_file 1500\n")
    assert free_memory(proc, groups) == 9000 - 5000 + 1500
