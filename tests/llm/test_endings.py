"""Programs that never close their models: they end without complaints, and loops that come and go leak nothing."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

PROGRAM = """
import asyncio, sys
from nemoguardrails import LLMRails, RailsConfig
rails = LLMRails(RailsConfig.from_content(config={"models": [{
    "type": "main", "engine": "openai", "model": "m",
    "parameters": {"base_url": sys.argv[1], "api_key": "k", "transport": "http"},
}]}))
question = [{"role": "user", "content": "hi"}]
if sys.argv[2] == "async":
    for _ in range(2):
        print(asyncio.run(rails.generate_async(messages=question))["content"])
else:
    print(rails.generate(messages=question)["content"])
"""


@pytest.mark.parametrize(("way", "answers"), [("async", ["hello", "hello"]), ("sync", ["hello"])])
async def test_a_program_ends_quietly(stub: Any, way: str, answers: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, stub.url, way),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaints = await process.communicate()
    assert out.decode().split() == answers
    assert complaints.decode() == ""
