"""A Colang 1.0 turn under rails: our engine against the installed peer, in the same run.

    python benchmarks/rails_turn.py [--peer PYTHON] [--turns 200] [--peer-turns 30] [--seconds 2]

PYTHON is an interpreter with the peer installed; without one only our figures are printed. Both sides run this file,
each measurement in a process of its own, ours and the peer's in turn:

construction  `LLMRails(config)`: the first in a process, the second of the same text, and the second with other flows
turn          one message of a new conversation; `regex` searches a pattern in and out, `check` asks a model for a
              verdict in and out. The model is an object that answers at once
age           the turns of one conversation whose messages grow, as a chat client sends them; `saved` is the same
              conversation passed as `state`
requests      whole requests a second of one process, over HTTP to a model that answers at once from a process of its
              own, by so many conversations side by side: through `LLMRails`, and through `Guardrails`, which for the
              peer is its path for configurations without dialog; `check` calls the model three times a request

Times are milliseconds of processor time, medians, so that a busy machine does not tell; requests a second are wall
time. A machine with two cores runs the endpoint beside the process that is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 10
AT_ONCE = (1, 32, 256)
ROUNDS = 3
"""A figure in requests a second is the best of so many runs; the two sides take turns."""

REGEX = """
models: {models}
rails:
  config:
    regex_detection:
      input: {{patterns: ["forbidden|secret"]}}
      output: {{patterns: ["forbidden|secret"]}}
  input: {{flows: [regex check input]}}
  output: {{flows: [regex check output]}}
"""
CHECK = """
models: {models}
rails:
  input: {{flows: [self check input]}}
  output: {{flows: [self check output]}}
prompts:
  - {{task: self_check_input, content: 'Is this against the rules? "{{{{ user_input }}}}" Yes or no:'}}
  - {{task: self_check_output, content: 'Is this against the rules? "{{{{ bot_response }}}}" Yes or no:'}}
"""
CONFIGS = {"regex": REGEX, "check": CHECK}
ASKED = (("regex", "Guardrails"), ("regex", "LLMRails"), ("check", "Guardrails"))
"""The configurations that requests are made to, and through what."""


class Instant:
    """A model that answers at once: `no`, which the self checks read as harmless."""

    model_name = "instant"
    provider_name = "bench"
    provider_url = None

    async def generate_async(self, _prompt: object, **_given: object) -> Any:
        from nemoguardrails.types import LLMResponse

        return LLMResponse(content="no")

    async def stream_async(self, _prompt: object, **_given: object) -> Any:
        from nemoguardrails.types import LLMResponseChunk

        yield LLMResponseChunk(delta_content="no")


def config_of(name: str, url: str | None = None, flows: str | None = None) -> Any:
    from nemoguardrails import RailsConfig

    models = [
        {"type": "main", "engine": "openai", "model": "m", "parameters": {"base_url": url, "api_key": "k"}}
    ]
    text = CONFIGS[name].format(models=json.dumps(models if url else []))
    return RailsConfig.from_content(colang_content=flows, yaml_content=text)


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


# --- measurements, here or in the peer's interpreter -----------------------------------------------------------------


def construction(_options: argparse.Namespace) -> dict[str, float]:
    from nemoguardrails import LLMRails

    other = "define user ask\n  'what'\ndefine flow\n  user ask\n  bot reply\n"
    times = {}
    for name, flows in (("first", None), ("second", None), ("other flows", other)):
        config = config_of("regex", flows=flows)
        began = time.process_time()
        LLMRails(config, llm=Instant())
        times[name] = (time.process_time() - began) * 1000
    return times


async def turn(options: argparse.Namespace) -> list[float]:
    from nemoguardrails import LLMRails

    rails = LLMRails(config_of(options.config), llm=Instant())
    times = []
    for number in range(options.turns + WARM_UP):
        began = time.process_time()
        answer = await rails.generate_async(messages=[said(f"message {number}")])
        times.append((time.process_time() - began) * 1000)
        require(answer)
    return times[WARM_UP:]


async def age(options: argparse.Namespace) -> list[float]:
    from nemoguardrails import LLMRails

    rails = LLMRails(config_of(options.config), llm=Instant())
    for number in range(WARM_UP):
        require(await rails.generate_async(messages=[said(f"warm up {number}")]))
    messages: list[dict[str, str]] = []
    times = []
    for number in range(options.turns):
        messages.append(said(f"message {number}"))
        began = time.process_time()
        answer = await rails.generate_async(messages=messages)
        times.append((time.process_time() - began) * 1000)
        require(answer)
        messages.append(answer)
    return times


async def saved(options: argparse.Namespace) -> list[float]:
    from nemoguardrails import LLMRails

    rails = LLMRails(config_of(options.config), llm=Instant())
    for number in range(WARM_UP):
        require((await rails.generate_async(messages=[said(f"warm up {number}")], state={})).response[0])
    state: Any = {}
    times = []
    for number in range(options.turns):
        began = time.process_time()
        response = await rails.generate_async(messages=[said(f"message {number}")], state=state)
        times.append((time.process_time() - began) * 1000)
        require(response.response[0])
        state = response.state
    return times


async def requests(options: argparse.Namespace) -> dict[str, float]:
    """Requests a second and milliseconds of processor time a request."""
    from nemoguardrails import Guardrails, LLMRails

    config = config_of(options.config, url=options.url)
    rails: Any = Guardrails(config) if options.through == "Guardrails" else LLMRails(config)
    if hasattr(rails, "startup"):
        await rails.startup()

    async def one(name: str) -> None:
        require(await rails.generate_async(messages=[said(name)]))

    await asyncio.gather(*(one(f"warm up {number}") for number in range(options.at_once)))
    found = await loaded(one, options.at_once, options.seconds)
    if hasattr(rails, "shutdown"):
        await rails.shutdown()
    return found


async def loaded(one: Callable[[str], Awaitable[None]], at_once: int, seconds: float) -> dict[str, float]:
    done = 0
    until = time.perf_counter() + seconds

    async def conversation(name: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await one(f"conversation {name}, message {done}")
            done += 1

    wall, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(conversation(name) for name in range(at_once)))
    spent = time.process_time() - processor
    return {"rate": done / (time.perf_counter() - wall), "ms": spent / done * 1000}


def require(answer: Any) -> None:
    """Stop if the answer is not the model's: a refusal or a failure would be measured as an answer."""
    if answer.get("content") != "no":
        raise SystemExit(f"not the model's answer: {answer}")


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "construction": construction,
    "turn": turn,
    "age": age,
    "saved": saved,
    "requests": requests,
}

# --- an endpoint that answers at once --------------------------------------------------------------------------------


def serve(port: Connection) -> None:
    message = {"role": "assistant", "content": "no"}
    answer = {
        "id": "r",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    body = json.dumps(answer).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(request.split(b"content-length:")[1].split(b"\r\n")[0]))
                writer.write(head + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


# --- both sides ------------------------------------------------------------------------------------------------------


class Sides:
    """Runs a measurement in a fresh process of ours, and in one of the peer's where there is one."""

    def __init__(self, peer: str | None) -> None:
        self.peer = peer

    def measure(self, name: str, *, peer: bool, **given: object) -> Any:
        """What the measurement found, with `given` as its options."""
        command = [self.peer if peer else sys.executable, __file__, "--measure", name]
        for option, value in given.items():
            command += [f"--{option.replace('_', '-')}", str(value)]
        quiet = {"DO_NOT_TRACK": "1", "OPENAI_API_KEY": "k"}
        environment = {**os.environ, **quiet, **({} if peer else {"PYTHONPATH": str(ROOT)})}
        result = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd="/", env=environment
        )
        if result.returncode:
            raise SystemExit(f"{name} {given} failed:\n{result.stderr[-2000:]}")
        return json.loads(result.stdout.splitlines()[-1])


def line(
    label: str, ours: float, theirs: float | None, unit: str = "ms", *, more_is_better: bool = False
) -> None:
    text = f"{label:42} ours {ours:9.2f} {unit}"
    if theirs is not None:
        ratio = ours / theirs if more_is_better else theirs / ours
        text += f"   peer {theirs:9.2f} {unit}   ratio {ratio:6.1f}"
    print(text, flush=True)


def print_construction(sides: Sides, _options: argparse.Namespace) -> None:
    ours = [sides.measure("construction", peer=False) for _ in range(ROUNDS)]
    theirs = [sides.measure("construction", peer=True) for _ in range(ROUNDS)] if sides.peer else []
    for name in ours[0]:
        other = statistics.median(each[name] for each in theirs) if theirs else None
        line(f"construction, {name}", statistics.median(each[name] for each in ours), other)


def print_turns(sides: Sides, options: argparse.Namespace) -> None:
    for name in CONFIGS:
        ours = sides.measure("turn", peer=False, config=name, turns=options.turns)
        theirs = sides.measure("turn", peer=True, config=name, turns=options.turns) if sides.peer else None
        line(
            f"turn, {name} in and out", statistics.median(ours), statistics.median(theirs) if theirs else None
        )


def print_age(sides: Sides, options: argparse.Namespace) -> None:
    for kind in ("age", "saved"):
        ours = sides.measure(kind, peer=False, config="regex", turns=options.turns)
        theirs = (
            sides.measure(kind, peer=True, config="regex", turns=options.peer_turns)
            if sides.peer and kind == "age"
            else []
        )
        for place in places(options.turns):
            other = around(theirs, place) if place <= len(theirs) else None
            line(f"{kind}, regex, turn {place}", around(ours, place), other)


def places(turns: int) -> Iterator[int]:
    yield from (place for place in (1, 5, 30, 100, 200, 1000) if place <= turns)


def around(times: list[float], place: int) -> float:
    """The median of the turns next to `place` (counted from 1), five at most."""
    return statistics.median(times[max(0, place - 3) : place + 2])


def print_requests(sides: Sides, options: argparse.Namespace) -> None:
    receiver, sender = multiprocessing.Pipe()
    endpoint = multiprocessing.Process(target=serve, args=(sender,), daemon=True)
    endpoint.start()
    url = f"http://127.0.0.1:{receiver.recv()}/v1"
    for at_once in AT_ONCE:
        given = {"url": url, "at_once": at_once, "seconds": options.seconds}
        for config, through in ASKED:
            pairs = [both(sides, config=config, through=through, **given) for _ in range(ROUNDS)]
            ours = max(each["rate"] for each, _ in pairs)
            theirs = max((each["rate"] for _, each in pairs if each), default=None)
            label = f"requests, {config}, {through}, {at_once} at once"
            line(label, ours, theirs, "/s", more_is_better=True)
            best = min((each["ms"] for _, each in pairs if each), default=None)
            line("    processor time a request", min(each["ms"] for each, _ in pairs), best)
    endpoint.terminate()


def both(sides: Sides, **given: object) -> tuple[dict[str, float], dict[str, float] | None]:
    ours = sides.measure("requests", peer=False, **given)
    return ours, sides.measure("requests", peer=True, **given) if sides.peer else None


PARTS = {
    "construction": print_construction,
    "turn": print_turns,
    "age": print_age,
    "requests": print_requests,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with the peer installed")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--peer-turns", type=int, default=30, help="turns of the peer's long conversation")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run of requests")
    parser.add_argument("--only", choices=PARTS, action="append")
    for hidden in ("--measure", "--url", "--through"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--config", choices=CONFIGS, default="regex", help=argparse.SUPPRESS)
    parser.add_argument("--at-once", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        found = MEASUREMENTS[options.measure](options)
        print(json.dumps(asyncio.run(found) if asyncio.iscoroutine(found) else found))
        return
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, {options.turns} turns"
    )
    sides = Sides(options.peer)
    for part in options.only or PARTS:
        PARTS[part](sides, options)


if __name__ == "__main__":
    main()
