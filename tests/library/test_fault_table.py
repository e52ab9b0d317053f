"""Each row of the fault table, through the front door and over real connections."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.library import COLANG_1, COLANG_2
from tests.library.fault_table import (
    ANSWER,
    CHUNKS,
    EXCEPTION,
    RAILS,
    ROWS,
    TIMEOUT,
    TOOL,
    Rail,
    Row,
    colang_of,
    messages_of,
    yaml_of,
)
from tests.library.faulty_server import HELD_S, faulty_server

NO_RAILS = {
    "hallucination warning": "adds a warning behind the answer, and blocks nothing",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with faulty_server() as address:
        yield address


def opened(row: Row, url: str, extra: str = "") -> LLMRails:
    app = LLMRails(RailsConfig.from_content(colang_of(row), yaml_of(row, url, extra)))
    if not row.rail.asks:
        app.register_action(broken(row.fault), row.rail.action)
    return app


def broken(fault: str) -> Callable[..., Any]:
    """What stands in for the action of a rail that asks nobody."""

    async def stand_in(**_: Any) -> Any:
        if fault == TIMEOUT:
            await asyncio.sleep(HELD_S)
        if fault == EXCEPTION:
            raise RuntimeError("down")
        return "?! forty-two"

    return stand_in


def let_through(rail: Rail, reply: dict[str, Any]) -> bool:
    """Whether what the rail guards came through."""
    if rail.direction == "tool_output":
        return bool(reply.get("tool_calls"))
    return (CHUNKS if rail.direction == "retrieval" else ANSWER) in str(reply["content"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
async def test_a_rail_that_cannot_judge_does_what_its_policy_says(row: Row, url: str) -> None:
    app = opened(row, url)
    options = {"llm_params": {"tools": [TOOL]}} if row.rail.direction == "tool_output" else None
    try:
        result = await app.generate_async(messages=messages_of(row), options=options)
    finally:
        await app.aclose()
    reply = dict(result) if options is None else {**result.response[0], "tool_calls": result.tool_calls}
    assert let_through(row.rail, reply) is (row.on_error == "allow")
    assert row.on_error == "allow" or reply["content"]


STREAMED = tuple(row for row in ROWS if row.rail.direction in {"input", "output"} and row.fault == EXCEPTION)


@pytest.mark.parametrize("row", STREAMED, ids=lambda row: row.id)
async def test_the_same_holds_for_a_stream(row: Row, url: str) -> None:
    app = opened(row, url)
    try:
        pieces = [piece async for piece in app.stream_async(messages=messages_of(row))]
    finally:
        await app.aclose()
    heard = "".join(str(piece) for piece in pieces)
    assert (ANSWER in heard) is (row.on_error == "allow")
    assert heard


RAISING = tuple(
    row
    for row in ROWS
    if row.rail.exception and row.on_error == "block" and row.fault in {EXCEPTION, "garbage verdict"}
)


@pytest.mark.parametrize("row", RAISING, ids=lambda row: row.id)
async def test_the_exception_is_that_of_the_rail_and_says_that_it_failed(row: Row, url: str) -> None:
    app = opened(row, url, "enable_rails_exceptions: true")
    options = {"llm_params": {"tools": [TOOL]}} if row.rail.direction == "tool_output" else {}
    try:
        result = await app.generate_async(messages=messages_of(row), options=options)
    finally:
        await app.aclose()
    message = result.response[0]
    event = message["content"] if row.dialect == "1.0" else message["events"][0]
    assert (event["type"], event["reason"]) == (row.rail.exception, "error")
    assert event["message"]


@pytest.mark.parametrize(
    ("folder", "flow"),
    [(COLANG_1, r"^define (?:sub)?flow (.+)$"), (COLANG_2, r"^flow (?!bot )([^$\n]+?)(?: \$.*)?$")],
)
def test_the_table_has_every_rail_of_the_library(folder: Path, flow: str) -> None:
    texts = [file.read_text(encoding="utf-8") for file in folder.rglob("*.co")]
    names = {name for text in texts for name in re.findall(flow, text, re.MULTILINE)}
    assert {rail.flow.partition(" $")[0] for rail in RAILS} | NO_RAILS.keys() == names
