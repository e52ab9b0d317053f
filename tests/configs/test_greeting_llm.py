"""Rules first, a model for the rest: the command against an OpenAI-compatible endpoint on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.command import nemoguardrails_command

GREETINGS = {"Hello, and welcome to the library!", "Welcome! It is good to see you."}


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


def chat(endpoint: Endpoint, lines: str, folder: Path) -> list[str]:
    done = nemoguardrails_command(
        "chat",
        "--config",
        "greeting_llm",
        stdin=lines,
        cwd=folder,
        OPENAI_API_KEY="sk-test",
        OPENAI_BASE_URL=endpoint.url,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line]


def test_a_greeting_needs_no_model(endpoint: Endpoint, tmp_path: Path) -> None:
    (said,) = chat(endpoint, "hi\n", tmp_path)
    assert said in GREETINGS
    assert endpoint.requests == []


def test_anything_else_is_answered_by_the_model(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.completion = 'user intent: user asked about opening hours\nbot intent: bot inform about hours\nbot action: bot say "Until 8."'
    assert chat(endpoint, "when do you close?\n", tmp_path)[-1] == "Until 8."
    prompt = json.dumps(endpoint.requests[0]["messages"])
    assert "when do you close?" in prompt
    assert "greeter of a public library" in prompt
    assert endpoint.requests[0]["model"] == "gpt-4o-mini"


@pytest.mark.parametrize("nonsense", ["", "%%%", "bot intent:", "x" * 5000])
def test_nonsense_of_the_model_does_not_end_the_conversation(
    endpoint: Endpoint, tmp_path: Path, nonsense: str
) -> None:
    endpoint.completion = nonsense
    assert chat(endpoint, "when do you close?\nhi\n", tmp_path)[-1] in GREETINGS


def test_a_failing_model_does_not_end_the_conversation(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.status = 400
    assert chat(endpoint, "when do you close?\nhi\n", tmp_path)[-1] in GREETINGS


def test_a_missing_key_names_the_variable_and_the_ways_on(tmp_path: Path) -> None:
    done = nemoguardrails_command(
        "chat", "--config", "greeting_llm", stdin="hi\n", cwd=tmp_path, OPENAI_API_KEY=""
    )
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr
