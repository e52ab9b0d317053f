"""The machine of Colang 1.0 as transcripts: an intent of the user in, the intents of the bot out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colang import Event, Send, Source
from colang.errors import ColangBudgetError, ColangRuntimeError, ColangStateError
from colang.v1 import (
    Program,
    RunAction,
    State,
    definitions_of,
    flow_of_body,
    go_through,
    make_program,
    start_flow,
    step,
)
from colang.v1.machine import INSTANCE_BOUND
from colang.v1.snapshot import check_state, restore, snapshot_of

TEA = "user tea\nbot pour\nuser bill\nbot total"


def flow(body: str, head: str = "define flow") -> str:
    return head + "\n" + "".join(f"  {line}\n" for line in body.split("\n"))


def program(*flows: str) -> Program:
    return make_program(definitions_of([Source("given", "".join(flows))]).flows)


class Talk:
    """A conversation with a program in which every decision comes true at once."""

    def __init__(self, *flows: str) -> None:
        self.program = program(*flows)
        self.state = State()

    def hear(self, name: str, **arguments: Any) -> list[str]:
        """What the bot does next, until it waits again. Of events that come together the last decides."""
        done: list[str] = []
        commands = step(self.program, self.state, Event(name, arguments))
        while commands:
            sent = [command.event for command in commands if isinstance(command, Send)]
            commands = []
            for event in [heard for each in sent for heard in self._comes_true(each, done)]:
                commands = step(self.program, self.state, event)
                check_state(self.program, self.state)
        return done

    def user(self, intent: str) -> list[str]:
        return self.hear("UserIntent", intent=intent)

    def _comes_true(self, event: Event, done: list[str]) -> list[Event]:
        arguments = event.arguments
        if event.name == "BotIntent":
            done.append(arguments["intent"])
            return [event, Event("StartUtteranceBotAction", {"script": arguments["intent"]})]
        if event.name == "StartInternalSystemAction":
            done.append(f"{arguments['action_name']}()")
            finished = {**arguments, "status": "success"}
            return [event, Event("InternalSystemActionFinished", finished)]
        return [event]


def test_a_flow_goes_on_with_the_next_intent() -> None:
    talk = Talk(flow(TEA))
    assert [talk.user("tea"), talk.user("bill"), talk.user("bill")] == [["pour"], ["total"], []]


def test_an_interrupted_flow_goes_on_later() -> None:
    talk = Talk(flow(TEA), flow("user cake\nbot serve"))
    assert [talk.user("tea"), talk.user("cake"), talk.user("bill")] == [["pour"], ["serve"], ["total"]]


def test_a_flow_under_way_is_not_started_again_unless_it_is_parallel() -> None:
    talk = Talk(flow(TEA))
    assert [talk.user("tea"), talk.user("tea")] == [["pour"], []]
    talk = Talk(flow(TEA, "define parallel flow"))
    assert [talk.user("tea"), talk.user("tea")] == [["pour"], ["pour"]]


def test_a_continuous_flow_is_dropped_by_another_intent() -> None:
    talk = Talk(flow(TEA, "define continuous flow"), flow("user cake\nbot serve"))
    assert [talk.user("tea"), talk.user("cake"), talk.user("bill")] == [["pour"], ["serve"], []]


def test_what_was_given_up_for_an_extension_waits_for_it_but_not_for_its_first_step() -> None:
    body = "event Go\nexecute slow\nbot done"
    for extension, said in (
        ("user cake\nbot serve", ["serve"]),
        ("user tea\nuser cake\nbot serve", ["serve", "slow()", "done"]),
    ):
        talk = Talk(flow(body), flow(extension, "define extension flow"))
        talk.user("tea")
        step(talk.program, talk.state, Event("Go"))
        assert talk.user("cake") == said


def test_a_flow_that_only_assigns_asks_and_acts_is_gone_through_by_itself() -> None:
    work = program(flow("$n = 1\nif $n\n  $found = execute look(n=$n)\n$n = 2", "define flow straight"))
    variables: dict[str, Any] = {}
    walk = go_through(work, variables, "straight")
    action = next(walk)
    assert isinstance(action, RunAction)
    assert action.name == "look"
    assert walk.send("it") is True
    assert variables == {"n": 2, "found": "it"}


@pytest.mark.parametrize("line", ["bot pour", "user tea", "do sub", "create event Ping(x=1)", "event Ping"])
def test_a_flow_that_does_more_is_left_where_it_does(line: str) -> None:
    work = program(flow(f"$n = 1\n{line}\n$n = 2", "define flow f"), flow("bot a", "define subflow sub"))
    variables: dict[str, Any] = {}
    assert next(go_through(work, variables, "f")) is False
    assert variables == {"n": 1}


@pytest.mark.parametrize(("priority", "said"), [(2, "total"), (1, "pour"), (0.5, "pour")])
def test_the_higher_priority_decides_then_the_first_declared(priority: float, said: str) -> None:
    talk = Talk(flow("user tea\nbot pour"), flow(f"priority {priority}\nuser tea\nbot total"))
    assert talk.user("tea") == [said]


def test_flows_that_agree_so_far_go_on_together() -> None:
    talk = Talk(flow("user tea\nbot pour\nuser cake\nbot serve"), flow(TEA))
    assert [talk.user("tea"), talk.user("bill")] == [["pour"], ["total"]]


def test_a_flow_under_way_decides_before_a_new_one() -> None:
    talk = Talk(flow("user bill\nbot serve"), flow(TEA))
    assert [talk.user("tea"), talk.user("bill")] == [["pour"], ["total"]]


def test_a_flow_goes_on_with_any_of_several_intents() -> None:
    for intent in ("tea", "cake"):
        talk = Talk(flow("user tea or user cake\nbot serve\nuser ...\nbot total"))
        assert [talk.user(intent), talk.user("whatever")] == [["serve"], ["total"]]
    assert Talk(flow("user tea or user cake\nbot serve")).user("bill") == []


def test_a_named_branch_goes_before_one_for_anything() -> None:
    body = "user tea\nbot pour\nwhen user cake\n  bot serve\nelse\n  bot total\nbot end"
    for intent, said in (("cake", "serve"), ("whatever", "total")):
        talk = Talk(flow(body))
        assert [talk.user("tea"), talk.user(intent)] == [["pour"], [said, "end"]]


def test_a_subflow_may_wait_for_the_user() -> None:
    talk = Talk(
        flow("user tea\ndo settle\nbot pour"),
        flow("bot total\nuser bill\nbot serve", "define subflow settle"),
    )
    assert [talk.user("tea"), talk.user("bill")] == [["total"], ["serve", "pour"]]


def test_results_come_back_through_the_call() -> None:
    talk = Talk(
        flow("user tea\n$a, $b = do sums(x=2)\nif $a == 3 and $b == 4\n  bot serve"),
        flow("return $x + 1, $x * 2", "define subflow sums"),
    )
    assert talk.user("tea") == ["serve"]


def test_stop_forgets_every_flow() -> None:
    talk = Talk(flow(TEA), flow("user cake\nbot serve\nstop\nbot total"))
    assert [talk.user("tea"), talk.user("cake"), talk.user("bill")] == [["pour"], ["serve", "stop"], []]


def test_loops_by_labels_end_and_a_guard_chooses_the_branch() -> None:
    body = "user tea\n$n = 0\nlabel again\n$n = $n + 1\nif $n == 2\n  goto again\nbot pour\nif $n < 3\n  goto again"
    assert Talk(flow(body)).user("tea") == ["pour", "pour"]
    talk = Talk(flow("if $on\n  user tea\n  bot serve\nelse\n  user tea\n  bot pour"))
    assert talk.user("tea") == ["pour"]
    talk.hear("ContextUpdate", data={"on": True})
    assert talk.user("tea") == ["serve"]


def test_actions_are_offered_with_their_arguments() -> None:
    work = program(flow('user tea\n$r = execute weigh(of=$what, by="spoon")\nbot pour'))
    state = State()
    (command,) = step(work, state, Event("UserIntent", {"intent": "tea"}))
    assert isinstance(command, Send)
    assert command.event.arguments["action_name"] == "weigh"
    assert command.event.arguments["action_result_key"] == "r"
    failed = Event("InternalSystemActionFinished", {"action_name": "weigh", "status": "failed"})
    assert step(work, state, failed) == []


def test_a_generated_flow_runs_from_its_first_element() -> None:
    work, state = program(flow("user cake\nbot serve")), State()
    decision = start_flow(work, state, flow_of_body("made up", "bot pour\nuser bill\nbot total"))
    assert decision is not None
    assert decision.event.arguments == {"intent": "pour"}
    step(work, state, Event("BotIntent", {"intent": "pour"}))
    again = restore(work, json.loads(json.dumps(snapshot_of(state))))
    (command,) = step(work, again, Event("UserIntent", {"intent": "bill"}))
    assert isinstance(command, Send)
    assert command.event.arguments == {"intent": "total"}


def test_flows_that_nobody_finishes_do_not_pile_up() -> None:
    talk = Talk(flow(TEA, "define parallel flow"))
    for _ in range(INSTANCE_BOUND + 50):
        assert talk.user("tea") == ["pour"]
    assert len(talk.state.instances) == INSTANCE_BOUND


def test_generated_flows_are_forgotten_when_they_have_ended() -> None:
    work, state = program(flow("user cake\nbot serve")), State()
    for number in range(20):
        start_flow(work, state, flow_of_body(f"made up {number}", "bot pour"))
        step(work, state, Event("BotIntent", {"intent": "pour"}))
    assert state.added == {}


def test_a_flow_that_never_waits_is_stopped() -> None:
    talk = Talk(flow("user tea\nwhile True\n  $n = 1"))
    with pytest.raises(ColangBudgetError, match="does not come to a stop"):
        talk.user("tea")


def test_a_call_of_a_flow_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ColangRuntimeError, match="there is no flow `ghost`"):
        Talk(flow("user tea\ndo ghost")).user("tea")


@pytest.mark.parametrize("data", [{}, {"instances": 1}, {"instances": [{}], "variables": {}, "added": {}}])
def test_what_is_no_snapshot_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ColangStateError):
        restore(program(flow(TEA)), data)


@pytest.mark.parametrize(
    "body",
    ["$l = [1]\n$x = $l.append($l)", "$l = [1]\n$n = 0\nwhile $n < 60\n  $l = [$l, $l]\n  $n = $n + 1"],
)
def test_a_variable_that_describes_more_than_it_holds_is_not_saved(body: str) -> None:
    talk = Talk(flow(f"user tea\n{body}\nbot pour"))
    step(talk.program, talk.state, Event("UserIntent", {"intent": "tea"}))
    with pytest.raises(ColangStateError, match=r"\$l cannot be saved: collection of"):
        snapshot_of(talk.state)


# --- any program, any events ---------------------------------------------------------------------------------------

INTENTS = st.sampled_from(["a", "b", "c"])
LINES = st.one_of(
    INTENTS.map("user {}".format),
    st.tuples(INTENTS, INTENTS).map(lambda pair: f"user {pair[0]} or {pair[1]}"),
    st.sampled_from(
        [
            "user ...",
            "bot ...",
            "stop",
            "return",
            "do sub",
            "event Ping",
            "event Ping(x=1)",
            "event Ping(x=2)",
            "create event Ping(x=1)",
            "$first = $first or $n",
        ]
    ),
    INTENTS.map("bot {}".format),
    INTENTS.map("execute {}".format),
    st.integers(0, 2).map("$n = {}".format),
)
BLOCKS = st.recursive(
    LINES.map(lambda line: [line]),
    lambda inner: st.tuples(
        st.sampled_from(["if $n", "while $n < 2", "when user a", "when event Ping"]), inner
    ).map(lambda pair: [pair[0], *(f"  {line}" for line in pair[1]), "  $n = 2"]),
    max_leaves=3,
)
BODIES = st.lists(BLOCKS, min_size=1, max_size=4).map(
    lambda blocks: [line for block in blocks for line in block]
)
HEADS = st.sampled_from(["", "parallel ", "extension ", "continuous ", "parallel extension "])
PROGRAMS = st.lists(st.tuples(HEADS, BODIES), min_size=1, max_size=4)
EVENTS = st.one_of(
    INTENTS.map(lambda intent: Event("UserIntent", {"intent": intent})),
    INTENTS.map(lambda intent: Event("BotIntent", {"intent": intent})),
    st.tuples(INTENTS, st.sampled_from(["success", "failed"])).map(
        lambda pair: Event("InternalSystemActionFinished", {"action_name": pair[0], "status": pair[1]})
    ),
    st.sampled_from(
        [
            Event("Ping", {"x": 1}),
            Event("Ping", {"x": 2}),
            Event("BotIntent", {"intent": "stop"}),
            Event("StartUtteranceBotAction", {"script": "hi"}),
            Event("ContextUpdate", {"data": {"n": 1}}),
        ]
    ),
)


def made(drawn: list[tuple[str, list[str]]]) -> Program:
    flows = [flow("\n".join(body), f"define {head}flow f{index}") for index, (head, body) in enumerate(drawn)]
    return program(*flows, flow("bot a\nuser b", "define subflow sub"))


@given(PROGRAMS, st.lists(EVENTS, max_size=12), st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_any_events_leave_a_sound_state_that_can_be_saved_anywhere(
    drawn: list[tuple[str, list[str]]], events: list[Event], cut: int
) -> None:
    work, state = made(drawn), State(variables={"n": 0})
    for index, event in enumerate(events):
        if index == cut:
            state = restore(work, json.loads(json.dumps(snapshot_of(state))))
        before = snapshot_of(state)
        fork = state.fork()
        restored = restore(work, before)
        try:
            commands = step(work, fork, event)
        except ColangBudgetError:
            return  # the program never waits
        assert snapshot_of(state) == before
        assert step(work, restored, event) == commands
        assert snapshot_of(restored) == snapshot_of(fork)
        check_state(work, fork)
        state = fork


@given(PROGRAMS, st.lists(st.tuples(EVENTS, st.integers(0, 2)), max_size=30))
@settings(max_examples=100, deadline=None)
def test_what_a_program_has_learnt_changes_no_outcome(
    drawn: list[tuple[str, list[str]]], events: list[tuple[Event, int]]
) -> None:
    learning, state = made(drawn), State()
    for event, number in events:
        state.variables["n"] = number
        other = state.fork()
        try:
            expected = step(replace(learning), other, event)
        except ColangBudgetError:
            return  # the program never waits
        assert step(learning, state, event) == expected
        assert snapshot_of(state) == snapshot_of(other)
        assert state.variables == other.variables


def test_an_answer_that_is_met_for_the_first_time_leaves_nothing_of_the_try() -> None:
    talk = Talk(flow("user tea\n$cups = $cups + 1\nif $cups > 2\n  bot enough\nelse\n  bot pour"))
    talk.state.variables["cups"] = 0
    assert [talk.user("tea") for _ in range(4)] == [["pour"], ["pour"], ["enough"], ["enough"]]
    assert talk.state.variables["cups"] == 4


def test_a_variable_that_the_try_has_made_is_not_there_after_it() -> None:
    talk = Talk(flow("user tea\n$first = $first or $cups\nif $cups > 2\n  bot enough\nelse\n  bot pour"))
    firsts = []
    for cups in (1, 3):
        talk.state = State(variables={"cups": cups})
        talk.user("tea")
        firsts.append(talk.state.variables["first"])
    assert firsts == [1, 3]


def test_events_that_differ_in_what_a_flow_compares_are_learnt_apart() -> None:
    talk = Talk(flow("event Ping(x=1)\nbot one"), flow("event Ping(x=2)\nbot two"))
    assert [talk.hear("Ping", x=x) for x in (1, 2, 3, 1)] == [["one"], ["two"], [], ["one"]]


def test_what_is_learnt_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colang.v1.moves.KEPT", 10)
    talk = Talk(flow("user ...\ndo $chosen"), *(flow("bot a", f"define subflow f{n}") for n in range(30)))
    for number in range(30):
        talk.state.variables["chosen"] = f"f{number}"
        assert talk.user("any") == ["a"]
    assert talk.program.moves.size <= 20


# --- containers --------------------------------------------------------------------------------------------------------

FILLING = "user tea\n$all = [$cups]\n$done = $cups.append($all)\nbot pour"


def test_a_change_in_place_is_seen_by_the_fork_alone() -> None:
    talk = Talk(flow(FILLING))
    talk.state.variables["cups"] = ["one"]
    saved = talk.state
    for _ in range(3):
        talk.state = saved.fork()
        assert talk.user("tea") == ["pour"]
        cups = talk.state.variables["cups"]
        assert (cups[0], len(cups)) == ("one", 2)
    assert saved.variables["cups"] == ["one"]


def test_variables_with_one_list_still_have_one_list_afterwards() -> None:
    talk = Talk(flow("user tea\n$same = $cups\n$done = $cups.append(2)\nbot pour"))
    talk.state.variables["cups"] = [1]
    talk.user("tea")
    assert talk.state.variables["same"] is talk.state.variables["cups"]
    assert talk.state.pending.get("same", [1, 2]) == [1, 2]


def test_a_flow_that_is_gone_through_and_given_up_has_changed_nothing() -> None:
    work = program(flow("$done = $cups.append(2)\nbot pour", "define subflow fill"))
    variables: dict[str, Any] = {"cups": [1]}
    before = variables.copy()
    assert next(go_through(work, variables, "fill")) is False
    assert variables["cups"] == [1, 2]
    assert before == {"cups": [1]}
