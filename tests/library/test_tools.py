"""The rails over calls of tools and over what tools return: what they hold them to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.library.bench import Bench

LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    },
}
BARE = {"type": "function", "function": {"name": "now"}}


def call(name: str, arguments: Any, call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("tool_call", "reason"),
    [
        (call("look", '{"x": 1}'), None),
        (call("look", {"x": 1}), None),
        ({"id": "1", "name": "look", "args": {"x": 1}}, None),
        (call("now", "{}"), None),
        (call("now", '{"a": 1}'), "'now' takes no arguments"),
        (call("delete_all", "{}"), "the tool 'delete_all' was not offered"),
        (call("look", '{"x": "one"}'), "the arguments of 'look': 'one' is not of type 'integer'"),
        (call("look", "{}"), "the arguments of 'look': 'x' is a required property"),
        (call("look", "{"), "the arguments of 'look' are no JSON"),
        (call("look", "[1]"), "the arguments of 'look' are no object"),
    ],
)
async def test_tool_calls_are_held_to_what_was_offered(tool_call: dict[str, Any], reason: str | None) -> None:
    options = {"generation_options": {"llm_params": {"tools": [LOOK, BARE]}}}
    outcome = await Bench().run("tool_call_validation", {**options, "tool_calls": [tool_call]})
    assert (outcome.is_blocked, outcome.reason) == (reason is not None, reason)


def taking(**schema: Any) -> dict[str, Any]:
    """A tool whose one argument is held to a schema."""
    return {"type": "function", "function": {"name": "put", "parameters": {"properties": {"x": schema}}}}


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"pattern": "^a+$"}, "aa", None),
        ({"pattern": "^a+$"}, "ab", "'ab' does not match '^a+$'"),
        ({"pattern": "^(a+)+$"}, "a" * 5_000 + "!", "does not match '^(a+)+$'"),
        ({"pattern": "^(?=a)"}, "a", "the schema of 'put' is invalid: '^(?=a)' is no pattern of RE2"),
        ({"patternProperties": {"^n": {"type": "integer"}}}, {"n1": 1, "m": "one"}, None),
        ({"patternProperties": {"^n": {"type": "integer"}}}, {"n1": "one"}, "'one' is not of type 'integer'"),
        (
            {"patternProperties": {"^(n+)+$": {}}, "additionalProperties": False},
            {"n" * 5_000 + "!": 1},
            "Additional properties are not allowed",
        ),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, None),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, "'b' was unexpected"),
        ({"additionalProperties": {"type": "integer"}}, {"b": 1}, None),
        ({"additionalProperties": {"type": "integer"}}, {"b": "one"}, "'one' is not of type 'integer'"),
        ({"unevaluatedProperties": False}, {}, "the schema of 'put' is invalid: `unevaluatedProperties`"),
        ({"$ref": "#/properties/x"}, 1, "the schema of 'put' is invalid: it refers to itself without end"),
        ({"$ref": "#/nowhere"}, 1, "the schema of 'put' is invalid"),
        ({"type": "nothing"}, 1, "the schema of 'put' is invalid"),
    ],
)
async def test_schemas_of_tools_need_not_be_trusted(
    schema: dict[str, Any], value: Any, fault: str | None
) -> None:
    options = {"generation_options": {"llm_params": {"tools": [taking(**schema)]}}}
    called = call("put", json.dumps({"x": value}))
    outcome = await Bench().run("tool_call_validation", {**options, "tool_calls": [called]})
    assert outcome.is_blocked is (fault is not None)
    assert (fault or "") in (outcome.reason or "")


async def test_a_schema_elsewhere_is_not_fetched() -> None:
    asked: list[str] = []

    class Schemas(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Schemas) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        elsewhere = taking(**{"$ref": f"http://127.0.0.1:{server.server_port}/schema"})
        options = {"generation_options": {"llm_params": {"tools": [elsewhere]}}}
        outcome = await Bench().run(
            "tool_call_validation", {**options, "tool_calls": [call("put", '{"x": 1}')]}
        )
        server.shutdown()
    assert outcome.is_blocked
    assert asked == []


def result(content: Any = "42", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c1", "content": content, **fields}


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([result()], None),
        ([result(name="look")], None),
        ([result(name="other")], "the result for 'c1' is of 'other', the call was of 'look'"),
        ([result(tool_call_id="zz")], "no call has the id 'zz'"),
        ([result(tool_call_id=None)], "no call has the id None"),
        ([result(), result()], "a second result for the call 'c1'"),
        ([result(content=5)], "the result for 'c1' has no content of a legal shape and size"),
    ],
)
async def test_tool_results_are_held_to_the_calls(results: list[dict[str, Any]], reason: str | None) -> None:
    context = {"tool_messages": results, "tool_calls": [call("look", "{}")]}
    outcome = await Bench().run("tool_result_validation", context)
    assert (outcome.is_blocked, outcome.reason) == (reason is not None, reason)
