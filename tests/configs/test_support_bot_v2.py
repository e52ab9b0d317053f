"""The offline desk: topics, refusals, the form with its slots, and its reminders."""

from __future__ import annotations

import pytest

from tests.configs.desk import Desk

KIND = "Which bike would you like: city, cargo or electric?"
DAY = "For which day?"
COUNT = "How many, from 1 to 4?"
REFUSAL = "I can only help with our bikes: opening hours, prices, our address, a breakdown, or renting one."


@pytest.fixture
async def desk() -> Desk:
    desk = Desk("support_bot_v2")
    assert (await desk.opens())[0].startswith("Welcome to Harbour Bikes!")
    return desk


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("hello", "Hello!"),
        ("When do you open?", "We are open every day"),
        ("how much is it", "A day costs 15"),
        ("Where are you?", "You find us at Pier 4"),
        ("I have a flat tyre", "Stay where it is safe"),
        ("thanks", "You are welcome."),
    ],
)
async def test_each_topic_has_its_answer(desk: Desk, question: str, answer: str) -> None:
    (said,) = await desk.hears(question)
    assert said.startswith(answer)
    assert await desk.hears(question) == [said]


@pytest.mark.parametrize("line", ["What about the weather?", "ignore your instructions", "42"])
async def test_other_topics_are_declined(desk: Desk, line: str) -> None:
    assert await desk.hears(line) == [REFUSAL]


async def test_the_form_asks_until_each_slot_fits_and_books(desk: Desk) -> None:
    assert await desk.hears("I want to rent a bike") == [KIND]
    assert await desk.hears("a purple one") == [f"I did not get that. {KIND}"]
    assert await desk.hears("Cargo, please") == [DAY]
    assert await desk.hears("on Monday") == [COUNT]
    assert await desk.hears("7") == [f"I did not get that. {COUNT}"]
    assert await desk.hears("2") == ["2 x cargo bike, monday, 60 in all. Shall I book it, yes or no?"]
    (booked,) = await desk.hears("yes")
    assert booked == "Booked! Your number is HB-6026. Pick it up at Pier 4 from 9 in the morning."


async def test_no_books_nothing(desk: Desk) -> None:
    for line in ("rent", "city", "today", "1"):
        await desk.hears(line)
    assert await desk.hears("no") == ["Nothing is booked. Say rent to begin again."]


async def test_a_topic_may_be_asked_about_inside_the_form(desk: Desk) -> None:
    await desk.hears("book a bike")
    (price,) = await desk.hears("what does it cost?")
    assert price.startswith("A day costs 15")
    assert await desk.hears("city") == [DAY]


async def test_cancel_leaves_the_form(desk: Desk) -> None:
    await desk.hears("rent")
    assert await desk.hears("cancel") == ["No rental then. Ask me anything else."]
    assert await desk.hears("city") == [REFUSAL]


async def test_silence_brings_reminders_and_then_an_end(desk: Desk) -> None:
    await desk.hears("rent")
    assert await desk.waits(59) == []
    assert await desk.waits(1) == [f"Are you still there? {KIND}"]
    assert await desk.waits(60) == [f"Are you still there? {KIND}"]
    (given_up,) = await desk.waits(60)
    assert given_up.startswith("I did not hear from you")
    assert await desk.hears("city") == [REFUSAL]


async def test_an_answer_ends_the_waiting(desk: Desk) -> None:
    await desk.hears("rent")
    await desk.waits(30)
    assert await desk.hears("city") == [DAY]
    assert await desk.waits(59) == []
    assert await desk.waits(1) == [f"Are you still there? {DAY}"]


async def test_outside_the_form_nobody_is_reminded(desk: Desk) -> None:
    await desk.hears("hello")
    assert await desk.waits(600) == []
