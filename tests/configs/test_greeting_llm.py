"""Rules first, a model for the rest: the command against an OpenAI-compatible endpoint on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.app.cli.command import nemoguardrails_command
from tests.configs.desk import Desk

GREETINGS = {"Hello, and welcome to the library!", "Welcome! It is good to see you."}


CONTINUATION = """\
user intent: user asked about opening hours
bot intent: bot inform about opening hours
bot action: bot say "Until 8.\"
"""


@dataclass
class Endpoint:
    """Answers every chat completion with `completion`, or with an error status."""

    completion: str = ""
    status: int = 200
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            message = {"role": "assistant", "content": state.completion}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            body = json.dumps(
                {"id": "1", "object": "chat.completion", "model": "stub", "choices": [choice]}
            ).encode()
            self.send_response(state.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
async def desk(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    desk = Desk("greeting_llm")
    await desk.opens()
    yield desk
    await desk.leaves()


async def test_a_greeting_needs_no_model(endpoint: Endpoint, desk: Desk) -> None:
    (said,) = await desk.asks("hi")
    assert said in GREETINGS
    assert endpoint.requests == []


async def test_anything_else_is_answered_by_the_model(endpoint: Endpoint, desk: Desk) -> None:
    endpoint.completion = CONTINUATION
    assert await desk.asks("when do you close?") == ["Until 8."]
    prompt = json.dumps(endpoint.requests[0]["messages"])
    assert "when do you close?" in prompt
    assert "greeter of a public library" in prompt
    assert endpoint.requests[0]["model"] == "gpt-4o-mini"


@pytest.mark.parametrize("nonsense", ["", "%%%", "bot intent:", "x" * 5000])
async def test_nonsense_of_the_model_does_not_end_the_conversation(
    endpoint: Endpoint, desk: Desk, nonsense: str
) -> None:
    endpoint.completion = nonsense
    await desk.asks("when do you close?")
    (said,) = await desk.asks("hi")
    assert said in GREETINGS


async def test_a_failing_model_is_told_and_does_not_end_the_conversation(
    endpoint: Endpoint, desk: Desk
) -> None:
    endpoint.status = 400
    told = await desk.asks("when do you close?")
    assert len([text for text in told if text.startswith("[error]") and "gpt-4o-mini" in text]) == 1
    (said,) = await desk.asks("hi")
    assert said in GREETINGS


def chat(lines: str, folder: Path, **environment: str) -> CompletedProcess[str]:
    return nemoguardrails_command("chat", "--config", "greeting_llm", stdin=lines, cwd=folder, **environment)


def test_over_a_pipe_the_answers_keep_the_order_of_the_lines(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.completion = CONTINUATION
    done = chat("when do you close?\nhi\n", tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=endpoint.url)
    answer, greeting = done.stdout.splitlines()
    assert (done.returncode, answer) == (0, "Until 8.")
    assert greeting in GREETINGS


def test_debug_mode_makes_chance_repeatable(tmp_path: Path) -> None:
    first, second = (chat("hi\n" * 8, tmp_path, OPENAI_API_KEY="sk-test", DEBUG_MODE="1") for _ in range(2))
    assert first.stdout == second.stdout
    assert set(first.stdout.splitlines()) == GREETINGS


def test_a_missing_key_names_the_variable_and_the_ways_on(tmp_path: Path) -> None:
    done = chat("hi\n", tmp_path, OPENAI_API_KEY="")
    assert done.returncode == 1
    assert all(
        way in done.stderr for way in ("export OPENAI_API_KEY", "local endpoint", "offline configuration")
    )
    assert "Traceback" not in done.stderr
