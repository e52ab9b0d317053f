"""What files of Colang 1.0 define: messages as data, and flows as elements."""

from __future__ import annotations

import pytest

from colang import Dialect, Source
from colang.errors import ColangLoadError, ColangSyntaxError
from colang.v1 import definitions_of, flow_of_body, flows_of_yaml
from colang.v1.elements import (
    Branch,
    CallFlow,
    Element,
    Jump,
    JumpUnless,
    RunAction,
    SetVariable,
    Utter,
    WaitBot,
    WaitEvent,
    WaitUser,
)
from tests.colang.programs import own_programs, shared_programs


def elements(*lines: str) -> tuple[Element, ...]:
    """The elements of a flow that consists of `lines`."""
    return flow_of_body("given", "\n".join(lines)).elements


def kinds(*lines: str) -> list[type]:
    return [type(element) for element in elements(*lines)]


def test_reads_whole_programs() -> None:
    for program in (*own_programs(Dialect.ONE), *shared_programs("v1")):
        definitions = definitions_of([program])
        assert definitions.flows or definitions.bot_messages or definitions.user_messages


@pytest.mark.parametrize(
    "lines",
    [
        ["$name = John", '"my name is John"'],
        ['"my name is John"', '$name = "John"'],
        ['"my name is John"', '  $name = "John"', "  $age = ..."],
        ["$name", '"my name is John"', "$name, $age"],
    ],
)
def test_what_an_example_stands_for_is_no_example(lines: list[str]) -> None:
    text = "\n  ".join(["define user gives a name", *lines, '"I am John"'])
    read = definitions_of([Source("a.co", text)]).user_messages
    assert read == {"gives a name": ("my name is John", "I am John")}


def test_lines_without_quotes_below_a_users_message_name_others() -> None:
    text = """
define user asks
  "tea"
  stop asking
  $kind = "black"
  if $hungry
    "cake"
  bot pours
    "Here."
  create an order   # as well
define user stop asking
  "enough"
define user create an order
  "I order"
"""
    definitions = definitions_of([Source("a.co", text)])
    assert definitions.user_messages["asks"] == ("tea", "cake", "enough", "I order")
    assert definitions.bot_messages["pours"] == ("Here.",)


def test_messages_are_the_quoted_lines() -> None:
    text = """
define user asks
  "tea [please](kind)"
  "for $name"   # a comment
  asks for cake
define user asks for cake
  "cake"
define bot pours
  "say "hi" # now"
  if $x
    "a"
  else
    "b"
  "over
    two lines"
"""
    definitions = definitions_of([Source("a.co", text)])
    assert definitions.user_messages == {
        "asks": ("tea {kind}", "for {name}", "cake"),
        "asks for cake": ("cake",),
    }
    assert definitions.bot_messages == {"pours": ('say "hi" # now', "a", "b", "over\ntwo lines")}


def test_of_messages_the_first_counts_and_of_flows_the_last() -> None:
    first = Source("a.co", 'define bot x\n  "1"\ndefine flow f\n  bot x\n')
    second = Source("b.co", 'define bot x\n  "2"\ndefine flow f\n  bot y\n')
    definitions = definitions_of([first, second])
    assert definitions.bot_messages == {"x": ("1",)}
    assert [flow.elements for flow in definitions.flows] == [(Utter("y"),)]


def test_a_text_in_place_defines_the_message() -> None:
    text = (
        'define flow\n  if $a\n    bot greets "Hi $name"\n  bot "Just this"\n  bot lists\n    "a"\n    "b"\n'
    )
    definitions = definitions_of([Source("a.co", text)])
    assert definitions.bot_messages == {
        "greets": ("Hi $name",),
        "Just this": ("Just this",),
        "lists": ("a", "b"),
    }


def test_a_bot_line_in_a_user_message_is_a_flow() -> None:
    definitions = definitions_of([Source("a.co", 'define user hi\n  "hi"\n  bot greets\n')])
    (flow,) = definitions.flows
    assert (flow.name, flow.elements) == ("hi_direct", (WaitUser("hi"), Utter("greets")))


def test_modifiers_and_settings_of_a_flow_are_read() -> None:
    text = """
define parallel extension flow a
  meta {"priority": 2}
  bot x
define continuous flow b
  priority 0.5
  bot x
define subflow c
  bot x
"""
    a, b, c = definitions_of([Source("a.co", text)]).flows
    assert (a.allow_multiple, a.is_extension, a.priority, a.interruptible) == (True, True, 2.0, True)
    assert (b.interruptible, b.priority, b.is_subflow) == (False, 0.5, False)
    assert c.is_subflow


def test_an_unnamed_flow_is_named_after_its_body() -> None:
    one, two = (
        definitions_of([Source(name, "define flow\n  bot x\n")]).flows[0] for name in ("a.co", "b.co")
    )
    assert one.name == two.name
    assert one.name.startswith("anonymous-")
    assert one.text == "bot x"


def test_any_of_several_intents_goes_on_at_one_place() -> None:
    assert elements("user a or user b or c", "bot x") == (
        Branch((1, 3, 5)),
        WaitUser("a"),
        Jump(7),
        WaitUser("b"),
        Jump(7),
        WaitUser("c"),
        Jump(7),
        Utter("x"),
    )


def test_each_statement_waits_for_its_kind_of_event() -> None:
    assert elements("user ...", "bot ...", 'event Ping(level=1, text="...", to=$x.y)') == (
        WaitUser(None),
        WaitBot(),
        WaitEvent("Ping", {"level": 1, "text": "...", "to": "$x.y"}),
    )


def test_branches_for_anything_come_before_named_ones() -> None:
    branch, *rest = elements(
        "when user a", "  bot x", "else when user b", "  bot y", "else", "  bot z", "bot end"
    )
    assert branch == Branch((7, 1, 4))
    assert rest == [
        WaitUser("a"),
        Utter("x"),
        Jump(10),
        WaitUser("b"),
        Utter("y"),
        Jump(10),
        WaitUser(None),
        Utter("z"),
        Jump(10),
        Utter("end"),
    ]


def test_comments_above_are_instructions() -> None:
    said, asked = elements("# in rhyme", "# please", "bot praises", "", "# how many", "$n = ...")
    assert said == Utter("praises", "in rhyme\nplease")
    assert asked == RunAction("generate_value", {"instructions": "how many"}, "n")


def test_actions_take_values_variables_and_lines_of_parameters() -> None:
    assert elements("$r = execute f(a=$k, b=-1)", '  c: [1, "x"]', "  d: $y.z") == (
        RunAction("f", {"a": "$k", "b": -1, "c": [1, "x"], "d": "$y.z"}, "r"),
    )
    assert elements("execute f with a=7", "execute g($x, 2)") == (
        RunAction("f", {"a": 7}),
        RunAction("g", {"$1": "$x", "$2": 2}),
    )


def test_a_computed_argument_is_put_into_a_variable_first() -> None:
    first, second = elements("execute f(a=$n + 1)")
    assert isinstance(first, SetVariable)
    assert second == RunAction("f", {"a": f"${first.name}"})


def test_events_are_created_by_an_action() -> None:
    assert elements('create event Ping(level=3, text="$x")', "create user asks") == (
        RunAction("create_event", {"event": {"_type": "Ping", "level": 3, "text": "$x"}}),
        RunAction("create_event", {"event": {"_type": "UserIntent", "intent": "asks"}}),
    )


def test_calls_set_their_arguments_and_read_what_is_returned() -> None:
    assert kinds("do f(a=1, b=$x)") == [SetVariable, SetVariable, CallFlow]
    assert kinds("$a, $b = do f") == [SetVariable, CallFlow, SetVariable, SetVariable]
    assert kinds("return 1, 2", "bot x") == [SetVariable, Jump, Utter]


def test_structure_becomes_jumps_that_stay_inside() -> None:
    flow = flow_of_body(
        "given",
        "while $i < 3\n  if $i\n    continue\n  else if $j\n    break\n  else\n    goto end\nlabel end\ncheck $x\nstop",
    )
    for element in flow.elements:
        if isinstance(element, Jump | JumpUnless):
            assert 0 <= element.target <= len(flow.elements)
    assert flow.elements[-1] == Utter("stop")


def test_flows_in_yaml_read_like_flows_in_colang() -> None:
    entry = {
        "id": "cake",
        "priority": 2,
        "elements": [
            {"user": "cake"},
            {"set": "$n = 3"},
            {"if": "$n > 2", "then": [{"bot": "serve"}], "else": [{"bot": "pour"}]},
            {
                "while": "$n > 0",
                "do": [{"execute": "eat", "params": {"what": "$n", "all": True}, "result": "n"}],
            },
            [{"user": "bill"}, {"do": "settle"}],
            [{"event": "Leave"}],
            {"any": [{"user": "a"}, {"user": "b"}]},
        ],
    }
    written = """\
user cake
set $n = 3
if $n > 2
  bot serve
else
  bot pour
while $n > 0
  $n = execute eat(what=$n, all=True)
when user bill
  do settle
else when event Leave
  pass
any
  user a
  user b"""
    (flow,) = flows_of_yaml([entry])
    assert (flow.name, flow.priority, flow.text) == ("cake", 2.0, written)
    assert [repr(element).split(" at 0x")[0] for element in flow.elements] == [
        repr(element).split(" at 0x")[0] for element in elements(written)
    ]


@pytest.mark.parametrize(
    ("element", "line"),
    [
        ({"execute": "$x = act(a=1)"}, "$x = execute act(a=1)"),
        ({"action": "act", "params": {"a": "$y"}}, "execute act(a=$y)"),
        ({"call": "pour"}, "do pour"),
        ({"checkpoint": "again"}, "label again"),
        ({"bot": "pour", "params": {"cups": 2}}, "bot pour(cups=2)"),
        ({"event": {"_type": "Bell", "loud": True}}, "event Bell(loud=True)"),
        ({"event": "Bell", "params": {"loud": None}}, "event Bell(loud=None)"),
        ({"stop": True}, "stop"),
        ({"return": "x"}, "return"),
        ({"meta": {"priority": 2}}, 'meta {"priority": 2}'),
        ({"meta": True}, "meta {}"),
        ("bot pour", "bot pour"),
    ],
)
def test_an_element_in_yaml_is_a_line_of_colang(element: object, line: str) -> None:
    (flow,) = flows_of_yaml([{"id": "a", "elements": [{"user": "x"}, element]}])
    assert flow.text == f"user x\n{line}"


def test_yaml_flows_may_be_without_a_name_and_set_without_a_sign() -> None:
    (flow,) = flows_of_yaml([{"elements": [{"user": "x"}, {"set": "n = 5"}, {"bot": "y"}]}])
    assert flow.name.startswith("anonymous-")
    assert flow.text == "user x\nset $n = 5\nbot y"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"id": 5, "elements": [{"user": "x"}]}, "its `id` is a text"),
        ({"id": "a", "elements": []}, "needs a list of `elements`"),
        ({"id": "a", "elements": [{"usr": "x"}]}, "`usr` is no element of a flow"),
        ({"id": "a", "elements": [7]}, "is a map or a line of Colang"),
        ({"id": "a", "elements": [[]]}, "an empty branch"),
    ],
)
def test_yaml_that_is_no_flow_is_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ColangLoadError, match=message):
        flows_of_yaml([entry])


def test_a_generated_body_that_is_no_flow_is_refused() -> None:
    with pytest.raises(ColangSyntaxError, match="Unknown main token 'dance'"):
        flow_of_body("generated", "user x\ndance")
    with pytest.raises(ColangSyntaxError):
        flow_of_body("generated", "")


@pytest.mark.parametrize(
    "text",
    [
        "define flow\n" + "".join("  " * depth + "if $x\n" for depth in range(1, 400)),
        "define flow\n  $x = " + "(" * 3000 + "1" + ")" * 3000,
        "define flow\n  $x = 1" + " + 1" * 5000,
    ],
    ids=lambda text: text[12:30],
)
def test_depth_is_bounded_with_an_error(text: str) -> None:
    with pytest.raises(ColangSyntaxError, match="deep"):
        definitions_of([Source("a.co", text)])


def test_meta_takes_plain_words() -> None:
    text = "define flow f\n  meta\n    owner: front desk\n  user a\n  bot b\n"
    (flow,) = definitions_of([Source("a.co", text)]).flows
    assert flow.text.startswith("meta")
