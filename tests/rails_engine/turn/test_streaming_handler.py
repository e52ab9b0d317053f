"""The pipe for pieces of text."""

from __future__ import annotations

from nemoguardrails.streaming import END_OF_STREAM, StreamingHandler


async def given(handler: StreamingHandler, pieces: list[str]) -> list[object]:
    for piece in pieces:
        await handler.push_chunk(piece)
    await handler.finish()
    return [piece async for piece in handler]


async def test_pieces_come_out_as_they_went_in() -> None:
    handler = StreamingHandler()
    assert await given(handler, ["a", "b"]) == ["a", "b"]
    assert handler.completion == await handler.wait() == "ab"


async def test_what_follows_a_stop_sequence_is_dropped_even_if_it_came_in_parts() -> None:
    handler = StreamingHandler()
    handler.stop = ["\nuser"]
    assert "".join(map(str, await given(handler, ["hel", "lo\n", "us", "er x", "y"]))) == "hello"


async def test_a_pattern_takes_prefix_and_suffix_off() -> None:
    handler = StreamingHandler()
    handler.set_pattern(prefix='bot say "', suffix='"')
    assert "".join(map(str, await given(handler, ["bot", ' say "hi', " there", '"']))) == "hi there"


async def test_a_quote_in_the_middle_is_no_suffix() -> None:
    handler = StreamingHandler()
    handler.set_pattern(suffix='"')
    assert "".join(map(str, await given(handler, ['a "b', '" c', '"']))) == 'a "b" c'


async def test_metadata_goes_along() -> None:
    handler = StreamingHandler(include_metadata=True)
    await handler.push_chunk("a", {"n": 1})
    await handler.push_chunk(END_OF_STREAM)
    assert [piece async for piece in handler] == [{"text": "a", "metadata": {"n": 1}}]


async def test_lines_can_be_waited_for_before_anything_is_let_out() -> None:
    handler = StreamingHandler(enable_buffer=True)
    await handler.push_chunk("one\n\ntw")
    await handler.push_chunk("o\nthree")
    assert await handler.wait_top_k_nonempty_lines(2) == "one\ntwo"
    await handler.disable_buffering()
    await handler.finish()
    assert [piece async for piece in handler] == ["three"]


async def test_a_handler_can_hand_everything_on() -> None:
    first, second = StreamingHandler(), StreamingHandler()
    first.set_pipe_to(second)
    await first.push_chunk("x")
    await first.finish()
    assert [piece async for piece in second] == ["x"]
