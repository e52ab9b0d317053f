"""What callers may ask, and how a request that makes no sense is refused: typed, saying what would have been right."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.testing import FakeLLMModel
from rails_engine.errors import InvalidRequestError

LISTED = """
models: []
rails:
  input: {flows: [mark in]}
  output: {flows: [mark out]}
"""
MARKS = """
define subflow mark in
  $user_message = $user_message + "?"
define subflow mark out
  $bot_message = $bot_message + "!"
"""


def rails(colang: str | None = None, *answers: str, yaml: str = "models: []\n") -> LLMRails:
    return LLMRails(RailsConfig.from_content(colang, yaml), llm=FakeLLMModel(responses=list(answers)))


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


# --- messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ("hello", "`messages` is a list of messages"),
        ({"role": "user", "content": "hello"}, "`messages` is a list of messages"),
        (["hello"], r"messages\[0\] is a dictionary"),
        ([{"content": "hello"}], r"messages\[0\] has no `role`"),
        (
            [user("a"), {"role": "alien", "content": "b"}],
            r"messages\[1\] has the unknown role 'alien'; roles are",
        ),
        ([{"role": "user"}], r"messages\[0\] has no `content`"),
        ([user([5])], r"messages\[0\].content\[0\] is a part such as"),
        ([user("bad \ud800 half")], r"character 5 is a lone surrogate, U\+D800"),
        ([user([{"type": "text", "text": "\udfff"}])], r"messages\[0\] is no valid Unicode"),
        ([user("x" * 5_000_001)], "too long: at most 5000000 characters"),
        ([user("x")] * 5_001, "5001 messages in one call are too many"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 60 else "",
)
def test_malformed_messages_are_refused_by_place(messages: Any, complaint: str) -> None:
    with pytest.raises(InvalidRequestError, match=complaint):
        rails(None, "never").generate(messages=messages)


def test_an_empty_list_is_an_index_error_too() -> None:
    """Older code catches the bare `IndexError` that it used to be."""
    with pytest.raises(IndexError, match="`messages` is empty"):
        rails(None, "never").generate(messages=[])
    with pytest.raises(InvalidRequestError, match="`events` is empty"):
        rails().generate_events([])


def test_a_prompt_is_a_text() -> None:
    with pytest.raises(InvalidRequestError, match="`prompt` is a text, not list"):
        rails(None, "never").generate(prompt=[user("x")])  # type: ignore[arg-type]


@pytest.mark.parametrize("events", [None, ["x"], [{}], [{"type": 5}]])
def test_malformed_events_are_refused(events: Any) -> None:
    with pytest.raises(InvalidRequestError, match="such as"):
        rails().generate_events(events)


def test_a_refused_request_leaves_the_conversation_as_it_was() -> None:
    app = rails(None, "one", "two")
    first = app.generate(messages=[user("a")], state={})
    with pytest.raises(InvalidRequestError):
        app.generate(messages=[user("\ud800")], state=first.state)  # type: ignore[union-attr]
    second = app.generate(messages=[user("b")], state=first.state)  # type: ignore[union-attr]
    assert second.response == [{"role": "assistant", "content": "two"}]  # type: ignore[union-attr]


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        (["inputs"], "there are no 'inputs' rails; the kinds are input, output"),
        ({"inputs": True}, "there are no 'inputs' rails"),
        ({"input": ["marc in"]}, "names 'marc in'; of this kind are listed: 'mark in'"),
    ],
)
def test_a_misspelt_rail_is_refused_rather_than_left_out(choice: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        rails(MARKS, "a", yaml=LISTED).generate(messages=[user("q")], options={"rails": choice})


def test_an_unknown_option_is_said_and_has_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    answer = rails(None, "a").generate(prompt="q", options={"lgo": {}})
    assert answer.response == "a"  # type: ignore[union-attr]
    assert "no field 'lgo'" in caplog.text


def test_options_may_come_in_the_context() -> None:
    off = {"generation_options": {"rails": {"input": False, "output": True}}}
    messages = [{"role": "context", "content": off}, user("q")]
    assert 'user "q"' in history_after(messages)
    assert 'user "q?"' in history_after(messages[1:])


def history_after(messages: list[dict[str, Any]]) -> str:
    app = rails(MARKS, "a", yaml=LISTED)
    app.generate(messages=messages)
    return app.explain().colang_history or ""


def test_an_answer_in_the_context_is_checked_where_dialog_is_off() -> None:
    context = {"bot_message": "given", "generation_options": {"rails": {"dialog": False}}}
    events = rails(MARKS, yaml=LISTED).generate_events(
        [
            {"type": "ContextUpdate", "data": context},
            {"type": "UtteranceUserActionFinished", "final_transcript": "q"},
        ]
    )
    assert [event["script"] for event in events if event["type"] == "StartUtteranceBotAction"] == ["given!"]
    assert "UserIntent" not in {event["type"] for event in events}


def test_rails_side_by_side_tell_what_they_did() -> None:
    yaml = "models: []\nrails: {input: {parallel: true, flows: [lets pass, refuses]}}\n"
    flows = """
define subflow lets pass
  $fine = execute look
define subflow refuses
  $fine = execute look
  if "bad" in $user_message
    bot no
    stop
define bot no
  "no"
"""
    app = rails(flows, "answer", yaml=yaml)
    app.register_action(lambda: True, "look")
    log = {"log": {"activated_rails": True}}
    passed = app.generate(messages=[user("good")], options=log).log.activated_rails  # type: ignore[union-attr]
    assert [(r.name, r.decisions, len(r.executed_actions)) for r in passed[:2]] == [
        ("lets pass", ["execute look"], 1),
        ("refuses", ["execute look"], 1),
    ]
    blocked = app.generate(messages=[user("bad")], options=log).log.activated_rails  # type: ignore[union-attr]
    assert [(r.name, r.decisions, r.stop) for r in blocked] == [
        ("lets pass", ["execute look"], False),
        ("refuses", ["stop"], True),
    ]


# --- models ------------------------------------------------------------------------------------------------------


def test_without_a_main_model_the_caller_hears_what_to_add() -> None:
    app = LLMRails(RailsConfig.from_content(None, "models: []\n"))
    with pytest.raises(LLMCallException, match="add one to `models`"):
        app.generate(messages=[user("q")])


def test_a_prompt_that_cannot_be_filled_in_is_an_error_of_the_turn() -> None:
    yaml = "models: []\nprompts: [{task: general, content: 'much too long', max_length: 3}]\n"
    answer = rails(None, "never", yaml=yaml).generate(messages=[user("q")])
    assert answer == {"role": "assistant", "content": "I'm sorry, an internal error has occurred."}


# --- dialects ----------------------------------------------------------------------------------------------------


def test_a_method_of_the_other_dialect_names_the_one_to_use() -> None:
    with pytest.raises(NotImplementedError, match="give its events to `generate_events"):
        rails().process_events([{"type": "X"}])
    two = LLMRails(RailsConfig.from_content("flow main\n  match X()\n", "models: []\ncolang_version: 2.x\n"))
    with pytest.raises(NotImplementedError, match="give its events to `process_events"):
        two.generate_events([{"type": "X"}])


# --- exceptions of rails -----------------------------------------------------------------------------------------


def test_an_exception_of_a_rail_answers_a_prompt_in_every_form() -> None:
    yaml = "models: []\nenable_rails_exceptions: true\nrails: {input: {flows: [gate]}}\n"
    gate = 'define subflow gate\n  create event InputRailException(message="no way")\n  stop\n'
    app = rails(gate, yaml=yaml)
    plain: Any = app.generate(prompt="q")
    assert (plain["type"], plain["message"]) == ("InputRailException", "no way")
    whole: Any = app.generate(prompt="q", options={"log": {"activated_rails": True}})
    (message,) = whole.response
    assert (message["role"], message["content"]["message"]) == ("exception", "no way")


NAMED = 'define user greet\n  "hello"\ndefine bot greet back\n  "Hi $name."\ndefine flow\n  user greet\n  bot greet back\n'


def set_name(name: str) -> dict[str, Any]:
    return {"role": "context", "content": {"name": name}}


def told(name: str) -> dict[str, Any]:
    return {"role": "event", "event": {"type": "ContextUpdate", "data": {"name": name}}}


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ([set_name("Ann"), "x", "y"], "Ann"),
        (["x", set_name("Ann"), "y"], "Ann"),
        ([set_name("Ann"), "x", "y", set_name("Bea")], "Bea"),
        ([set_name("Ann"), "x", "y", set_name("Bea"), "z", "k"], "Bea"),
        ([told("Ann"), "x", "y"], "Ann"),
    ],
)
async def test_variables_hold_wherever_the_list_of_messages_sets_them(before: list[Any], name: str) -> None:
    roles = iter(("user", "assistant") * 2)
    messages = [{"role": next(roles), "content": m} if isinstance(m, str) else m for m in before]
    app = LLMRails(RailsConfig.from_content(NAMED, "models: []\n"), llm=FakeLLMModel(["greet"]))
    answer = await app.generate_async(messages=[*messages, {"role": "user", "content": "hello"}])
    assert answer == {"role": "assistant", "content": f"Hi {name}."}


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_rails_over_older_messages_know_the_variables_of_the_request(place: int) -> None:
    colang = 'define subflow gate\n  if $banned in $user_message\n    bot no\n    stop\ndefine bot no\n  "No $banned."\n'
    yaml = "models: []\nrails: {input: {flows: [gate]}}\n"
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "a plum"},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "a fig"},
    ]
    model = FakeLLMModel(["Fine."] * 2)
    app = LLMRails(RailsConfig.from_content(colang, yaml), llm=model)
    for banned, answer in (("plum", "Fine."), ("fig", "No fig.")):
        context = {"role": "context", "content": {"banned": banned}}
        asked = [*messages[:place], context, *messages[place:]]
        assert await app.generate_async(messages=asked) == {"role": "assistant", "content": answer}
    assert "plum" not in (app.explain().llm_calls[0].prompt or "")


async def test_a_context_that_is_no_mapping_is_refused_in_history_too() -> None:
    app = LLMRails(RailsConfig.from_content(NAMED, "models: []\n"), llm=FakeLLMModel(["greet"]))
    messages = [
        {"role": "context", "content": "name"},
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "hello"},
    ]
    with pytest.raises(ValueError, match=r"messages\[0\].content is a mapping, not str"):
        await app.generate_async(messages=messages)
