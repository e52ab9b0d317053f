"""Windows over a stream of pieces, as users' code takes them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.rails.llm.buffer import ChunkBatch, RollingBuffer, get_buffer_strategy
from nemoguardrails.rails.llm.config import OutputRailsStreamingConfig

PIECES = [f"{number} " for number in range(9)]


async def stream(pieces: list[str]) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


async def windows(buffer: RollingBuffer, pieces: list[str]) -> list[ChunkBatch]:
    return [batch async for batch in buffer(stream(pieces))]


async def test_a_window_begins_with_the_end_of_the_one_before_it() -> None:
    found = await windows(RollingBuffer(buffer_context_size=2, buffer_chunk_size=4), PIECES[:5])
    assert found == [(PIECES[:4], PIECES[:4]), (PIECES[2:5], PIECES[4:5])]


@pytest.mark.parametrize(
    ("context", "shown"), [(0, [4, 4, 1]), (2, [4, 4, 4, 3]), (9, [4, 5, 6, 7, 8, 9, 9])]
)
async def test_a_window_shows_no_more_of_the_one_before_than_its_context(
    context: int, shown: list[int]
) -> None:
    found = await windows(RollingBuffer(context, 4), PIECES)
    assert [len(batch.processing_context) for batch in found] == shown


@given(
    context=st.integers(0, 5),
    size=st.integers(1, 6),
    pieces=st.lists(st.text(min_size=1, max_size=2), max_size=20),
)
async def test_every_piece_is_new_in_one_window(context: int, size: int, pieces: list[str]) -> None:
    found = await windows(RollingBuffer(context, size), pieces)
    assert [piece for batch in found for piece in batch.user_output_chunks] == pieces
    for batch in found:
        new = batch.user_output_chunks
        assert not new or batch.processing_context[-len(new) :] == new


def test_the_sizes_are_those_of_the_configuration() -> None:
    buffer = get_buffer_strategy(OutputRailsStreamingConfig(enabled=True, chunk_size=7, context_size=3))
    assert isinstance(buffer, RollingBuffer)
    assert (buffer.buffer_chunk_size, buffer.buffer_context_size) == (7, 3)
    assert buffer.format_chunks(["a", "b"]) == "ab"


@pytest.mark.parametrize(("context", "size"), [(-1, 3), (2, -1)])
def test_sizes_are_not_negative(context: int, size: int) -> None:
    with pytest.raises(ValueError, match="non-negative"):
        RollingBuffer(context, size)
