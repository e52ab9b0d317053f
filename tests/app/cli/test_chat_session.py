"""What the chat does with each thing that can happen: lines, events of the conversation, time."""

from __future__ import annotations

import pytest

from tests.app.cli.chat_transcript import Chat, short


@pytest.fixture
def chat() -> Chat:
    return Chat()


def test_a_story_begins_before_the_first_line(chat: Chat) -> None:
    assert short(chat.session.begin()) == [("tell",)]


def test_a_line_is_an_utterance_that_starts_and_finishes(chat: Chat) -> None:
    assert chat.types(" hi ") == [
        (
            "tell",
            "UtteranceUserActionStarted(action_uid='u1')",
            "UtteranceUserActionFinished(action_uid='u1', final_transcript='hi', is_success=True)",
        )
    ]


def test_an_empty_line_asks_for_results_of_running_actions(chat: Chat) -> None:
    assert chat.types("") == [("tell", "CheckLocalAsync()")]


# --- the bot's actions ---------------------------------------------------------------------------------------------


def test_speech_is_shown_and_over_at_once(chat: Chat) -> None:
    assert chat.sends("StartUtteranceBotAction", action_uid="a1", script="Hello World!") == [
        ("speech", "Hello World!"),
        (
            "tell",
            "UtteranceBotActionStarted(action_uid='a1')",
            "UtteranceBotActionFinished(action_uid='a1', is_success=True, final_script='Hello World!')",
        ),
    ]


def test_a_gesture_is_shown_and_over_at_once(chat: Chat) -> None:
    assert chat.sends("StartGestureBotAction", action_uid="a1", gesture="wave") == [
        ("scene", "Gesture: wave"),
        (
            "tell",
            "GestureBotActionStarted(action_uid='a1')",
            "GestureBotActionFinished(action_uid='a1', is_success=True)",
        ),
    ]


def test_a_posture_lasts_until_it_is_stopped(chat: Chat) -> None:
    assert chat.sends("StartPostureBotAction", action_uid="a1", posture="sit") == [
        ("scene", "Posture: sit."),
        ("tell", "PostureBotActionStarted(action_uid='a1')"),
    ]
    assert chat.sends("StopPostureBotAction", action_uid="a1") == [
        ("tell", "PostureBotActionFinished(action_uid='a1', is_success=True, was_stopped=True)")
    ]


def test_an_information_scene_shows_title_and_content(chat: Chat) -> None:
    content = [{"text": "Open from 9 to 5"}, {"image": "map.png"}]
    shown = chat.sends("StartVisualInformationSceneAction", action_uid="a", title="Hours", content=content)
    assert shown[0] == ("scene", "Scene information: Hours\nOpen from 9 to 5\n[map.png]")


def test_a_choice_shows_the_ids_that_an_answer_names(chat: Chat) -> None:
    options = [{"id": "s", "text": "small"}, {"id": "large", "text": "large"}]
    shown = chat.sends("StartVisualChoiceSceneAction", action_uid="a1", prompt="Which size?", options=options)
    assert shown[0] == ("scene", "Scene choice: Which size?\nsmall (s)\nlarge")
    assert chat.types('/VisualChoiceSceneAction.ChoiceUpdated(current_choice=["s"])') == [
        ("tell", "VisualChoiceSceneActionChoiceUpdated(action_uid='a1', current_choice=['s'])")
    ]


def test_a_form_shows_its_fields(chat: Chat) -> None:
    fields = [{"id": "mail", "description": "your address"}]
    shown = chat.sends("StartVisualFormSceneAction", action_uid="a1", prompt="Who?", inputs=fields)
    assert shown[0] == ("scene", "Scene form: Who?\nyour address (mail)")


def test_an_unknown_action_is_shown_and_left_to_the_user(chat: Chat) -> None:
    assert chat.sends("StartOpenDoorBotAction", action_uid="a1", door="front") == [
        ("event", "Event: StartOpenDoorBotAction(door='front')")
    ]
    assert chat.types("/OpenDoorBotAction.Finished(is_success=True)") == [
        ("tell", "OpenDoorBotActionFinished(action_uid='a1', is_success=True)")
    ]


def test_an_event_is_shown_with_its_arguments_and_without_bookkeeping(chat: Chat) -> None:
    shown = chat.sends("OrderPlaced", uid="1", event_created_at="now", source_uid="us", number=7)
    assert shown == [("event", "Event: OrderPlaced(number=7)")]


def test_stopping_what_does_not_run_says_nothing(chat: Chat) -> None:
    assert chat.sends("StopGestureBotAction", action_uid="gone") == []


# --- time ----------------------------------------------------------------------------------------------------------


def start_timer(chat: Chat, uid: str, seconds: float) -> None:
    chat.sends("StartTimerBotAction", action_uid=uid, timer_name=uid, duration=seconds)


def test_a_timer_rings_when_it_ran_out(chat: Chat) -> None:
    start_timer(chat, "t1", 5)
    assert chat.session.next_due() == 5
    assert chat.after(4.9) == []
    assert chat.after(0.1) == [("tell", "TimerBotActionFinished(action_uid='t1', is_success=True)")]
    assert chat.session.next_due() is None


def test_timers_ring_in_the_order_they_ran_out(chat: Chat) -> None:
    start_timer(chat, "late", 2)
    start_timer(chat, "early", 1)
    assert [word[0] for word in chat.after(3)] == ["tell"]
    assert chat.after(0) == []


def test_a_stopped_timer_does_not_ring(chat: Chat) -> None:
    start_timer(chat, "t1", 5)
    chat.sends("StopTimerBotAction", action_uid="t1")
    assert chat.after(10) == []


def test_a_pause_keeps_what_was_left(chat: Chat) -> None:
    start_timer(chat, "t1", 5)
    chat.after(2)
    chat.types("!pause")
    assert chat.session.next_due() is None
    assert chat.after(100) == []
    chat.types("!resume")
    assert chat.after(2.9) == []
    assert chat.after(0.1) != []


def test_a_timer_set_while_paused_starts_with_the_rest(chat: Chat) -> None:
    chat.types("!pause")
    chat.after(10)
    start_timer(chat, "t1", 5)
    chat.types("!resume")
    assert chat.after(4) == []
    assert chat.after(1) != []


# --- local actions that run on -------------------------------------------------------------------------------------


def test_results_are_asked_for_once_after_each_turn(chat: Chat) -> None:
    chat.types("hi")
    assert short(chat.session.settled()) == [("tell", "CheckLocalAsync()")]
    assert chat.session.settled() == []


def test_running_actions_are_polled_until_none_is_left(chat: Chat) -> None:
    chat.sends("LocalAsyncCounter", counter=1)
    assert chat.session.busy
    assert chat.after(0.1) == []
    assert chat.after(0.1) == [("tell", "CheckLocalAsync()")]
    chat.sends("LocalAsyncCounter", counter=0)
    assert not chat.session.busy
    assert chat.session.next_due() is None


def test_a_failed_turn_ends_the_waiting(chat: Chat) -> None:
    chat.sends("LocalAsyncCounter", counter=1)
    chat.session.failed()
    assert not chat.session.busy
    assert chat.session.next_due() is None


# --- injected events -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/DoorOpened", "DoorOpened()"),
        ("/DoorOpened(door='front', count=2)", "DoorOpened(door='front', count=2)"),
        (
            '/UtteranceUserAction.Finished(final_transcript="two")',
            "UtteranceUserActionFinished(action_uid='u1', final_transcript='two')",
        ),
        (
            "/UtteranceUserActionTranscriptUpdated(interim_transcript='tw')",
            "UtteranceUserActionTranscriptUpdated(action_uid='u1', interim_transcript='tw')",
        ),
        (
            "/AttentionUserAction.Updated(attention_level='away')",
            "AttentionUserActionUpdated(action_uid='u1', attention_level='away')",
        ),
    ],
)
def test_a_slash_injects_an_event(chat: Chat, line: str, told: str) -> None:
    (command,) = chat.types(line)
    assert command[0] == "tell"
    assert command[1] == told


def test_the_events_of_one_injected_action_share_its_uid(chat: Chat) -> None:
    chat.types("/UtteranceUserAction.Started()")
    assert chat.types("/UtteranceUserAction.Finished(final_transcript='a')") == [
        ("tell", "UtteranceUserActionFinished(action_uid='u1', final_transcript='a')")
    ]


def test_a_given_uid_wins(chat: Chat) -> None:
    (command,) = chat.types("/TimerBotAction.Finished(action_uid='mine')")
    assert command == ("tell", "TimerBotActionFinished(action_uid='mine')")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("/Bad(", "This is no event: /Bad("),
        ("/Bad('x')", "The arguments of an event have names."),
        ("/Bad(**x)", "The arguments of an event have names."),
        ("/Bad(x=hello)", "x=hello is not a literal; strings take quotes: x='hello'"),
        ("/1 + 1", "This is no event: /1 + 1."),
        ("/" + "(" * 300, "This is no event"),
        ("/Bad(x=" + "-" * 20_000 + "1)", "This is no event"),
    ],
)
def test_a_malformed_event_is_explained(chat: Chat, line: str, complaint: str) -> None:
    ((tone, text),) = chat.types(line)
    assert tone == "error"
    assert text.startswith(complaint)


# --- the debugger --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["flows", "flows --all", "flow main", "tree"])
def test_questions_about_flows_go_to_the_conversation(chat: Chat, question: str) -> None:
    assert chat.types(f"!{question}") == [("inspect", question)]


def test_restart_forgets_timers_and_begins_anew(chat: Chat) -> None:
    start_timer(chat, "t1", 5)
    assert chat.types("!restart") == [("restart",), ("tell",)]
    assert chat.after(10) == []


def test_help_names_every_command(chat: Chat) -> None:
    ((_, text),) = chat.types("!help")
    assert all(
        word in text for word in ("!restart", "!pause", "!resume", "!flow ", "!flows", "!tree", "/EventName")
    )


def test_an_unknown_command_points_to_the_help(chat: Chat) -> None:
    assert chat.types("!bogus") == [("error", "There is no command !bogus; see !help.")]
