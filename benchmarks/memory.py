"""What turns leave behind: live objects and resident memory over thousands of turns of one process.

    python benchmarks/memory.py [--turns 10000] [--steps 10]

Each row runs its turns in a fresh process. `new` is a conversation a turn; `state` one conversation passed on as `state`;
`messages` conversations of 20 turns whose messages grow. Objects are counted after a full collection, memory is what the
operating system says is resident; both are printed as they grow from one step to the next. What is remembered of
conversations is bounded, so the first step fills it, and the later ones have to be level.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import subprocess
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.colang2_turn import CORE

GUARDED = """
models: []
rails:
  config:
    regex_detection:
      input: {patterns: ["forbidden|secret"]}
      output: {patterns: ["forbidden|secret"]}
  input: {flows: [regex check input]}
  output: {flows: [regex check output]}
"""
DIALECTS = {"1.0": ("", GUARDED), "2.x": (CORE, 'colang_version: "2.x"\nmodels: []\n')}
TURNS_EACH = 20


class Instant:
    """A model that answers at once."""

    model_name = "instant"
    provider_name = "bench"
    provider_url = None

    async def generate_async(self, _prompt: object, **_given: object) -> Any:
        from nemoguardrails.types import LLMResponse

        return LLMResponse(content="fine")

    async def stream_async(self, _prompt: object, **_given: object) -> Any:
        from nemoguardrails.types import LLMResponseChunk

        yield LLMResponseChunk(delta_content="fine")


def said(number: int) -> dict[str, str]:
    return {"role": "user", "content": f"message {number}"}


def new(rails: Any) -> Callable[[int], Awaitable[None]]:
    async def turn(number: int) -> None:
        await rails.generate_async(messages=[said(number)])

    return turn


def by_state(rails: Any) -> Callable[[int], Awaitable[None]]:
    kept: dict[str, Any] = {"state": {}}

    async def turn(number: int) -> None:
        response = await rails.generate_async(messages=[said(number)], state=kept["state"])
        kept["state"] = response.state

    return turn


def by_messages(rails: Any) -> Callable[[int], Awaitable[None]]:
    messages: list[dict[str, Any]] = []

    async def turn(number: int) -> None:
        if len(messages) >= 2 * TURNS_EACH:
            messages.clear()
        messages.append(said(number))
        messages.append(await rails.generate_async(messages=messages))

    return turn


WAYS = {"new": new, "state": by_state, "messages": by_messages}


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def row(dialect: str, way: str, turns: int, steps: int) -> None:
    from nemoguardrails import LLMRails, RailsConfig

    turn = WAYS[way](LLMRails(RailsConfig.from_content(*DIALECTS[dialect]), llm=Instant()))
    objects, memory = [], []
    for step in range(steps):
        for number in range(step * turns // steps, (step + 1) * turns // steps):
            await turn(number)
        gc.collect()
        objects.append(len(gc.get_objects()))
        memory.append(resident_mib())
    grown = [later - earlier for earlier, later in pairwise(objects)]
    print(f"{dialect}  {way:9} objects {objects[0]}, then {', '.join(f'{each:+d}' for each in grown)}")
    print(f"{'':14} MiB {memory[0]:.1f} after the first step, {memory[-1]:.1f} after the last", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        asyncio.run(row(*options.row, options.turns, options.steps))
        return
    print(f"Python {platform.python_version()}, {options.turns} turns in {options.steps} steps", flush=True)
    for dialect in DIALECTS:
        for way in WAYS:
            given = ["--row", dialect, way, "--turns", str(options.turns), "--steps", str(options.steps)]
            subprocess.run([sys.executable, __file__, *given], check=True)


if __name__ == "__main__":
    main()
