"""Windows over a streamed text: what goes out was allowed, and every character is judged in its window."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from rails_engine.canonical.wording import Wording
from rails_engine.config.schema import OutputRailsStreamingConfig
from rails_engine.streaming import Frame
from rails_engine.windows import Ruling, StreamStoppedError, Windows

PIECES = st.lists(st.text("abx ", max_size=4), max_size=25)
SIZES = st.builds(
    lambda chunk, context: OutputRailsStreamingConfig(chunk_size=chunk, context_size=context),
    st.integers(1, 6),
    st.integers(0, 4),
)


@dataclass
class Rail:
    """Refuses what contains `forbidden`, writes `masked` in capitals, and keeps what it saw."""

    forbidden: str = "xx"
    masked: str = ""
    seen: list[str] = field(default_factory=list)

    async def __call__(self, text: str, reasoning: str) -> Ruling:
        del reasoning
        self.seen.append(text)
        if self.forbidden and self.forbidden in text:
            return Ruling(refused_by="rail")
        return Ruling(text.replace(self.masked, self.masked.upper()) if self.masked else text)


def run(
    settings: OutputRailsStreamingConfig, pieces: list[str], rail: Rail, *, rewrites: bool = False
) -> tuple[str, bool]:
    """The text that went out, and whether the rail stopped it."""
    out: list[str] = []

    async def stream() -> bool:
        windows = Windows(settings, rail, lambda frame: out.append(frame.text), rewrites=rewrites)
        try:
            for piece in pieces:
                await windows.take(Frame(piece))
            await windows.end()
        except StreamStoppedError:
            return True
        return False

    stopped = asyncio.run(stream())
    return "".join(out), stopped


@given(SIZES, PIECES)
def test_what_goes_out_is_a_beginning_of_the_answer_that_was_allowed(
    settings: OutputRailsStreamingConfig, pieces: list[str]
) -> None:
    rail, whole = Rail(), "".join(pieces)
    released, stopped = run(settings, pieces, rail)
    assert whole.startswith(released)
    assert stopped or released == whole
    assert not any("xx" in seen for seen in rail.seen[: -1 if stopped else None])


@given(SIZES, PIECES)
def test_each_character_is_fresh_in_exactly_one_window_behind_its_context(
    settings: OutputRailsStreamingConfig, pieces: list[str]
) -> None:
    rail = Rail(forbidden="")
    run(settings, pieces, rail)
    filled = [piece for piece in pieces if piece]
    place = 0
    for seen in rail.seen:
        before = "".join(filled[max(0, place - settings.context_size) : place])
        fresh = seen.removeprefix(before)
        assert seen == before + fresh
        taken = place
        while "".join(filled[place:taken]) != fresh:
            taken += 1
        assert (taken - place) + min(place, settings.context_size) <= max(
            settings.chunk_size, settings.context_size + 1
        )
        place = taken
    assert place == len(filled)


@given(st.integers(1, 5), st.lists(st.text("ab ", min_size=1, max_size=3), max_size=20))
def test_a_rewrite_goes_out_instead_of_what_was_held(chunk_size: int, pieces: list[str]) -> None:
    settings = OutputRailsStreamingConfig(chunk_size=chunk_size, context_size=0)
    released, _ = run(settings, pieces, Rail(masked="b"))
    assert released == "".join(pieces).replace("b", "B")


@given(SIZES, st.lists(st.text("ab ", min_size=1, max_size=3), max_size=20))
def test_nothing_that_a_rail_masks_goes_out_twice_or_in_clear(
    settings: OutputRailsStreamingConfig, pieces: list[str]
) -> None:
    released, _ = run(settings, pieces, Rail(masked="b"))
    assert released == "".join(pieces).replace("b", "B")


@given(st.integers(3, 9), st.integers(2, 6), st.text("ab ", max_size=40))
def test_what_is_masked_goes_out_masked_though_two_windows_share_it(
    chunk: int, context: int, text: str
) -> None:
    settings = OutputRailsStreamingConfig(chunk_size=chunk, context_size=context)
    released, stopped = run(settings, list(text), Rail(masked="abb"), rewrites=True)
    assert released == text.replace("abb", "ABB")
    assert not stopped


@given(SIZES, PIECES)
def test_rails_that_may_rewrite_and_do_not_see_everything_and_let_it_out(
    settings: OutputRailsStreamingConfig, pieces: list[str]
) -> None:
    rail, whole = Rail(), "".join(pieces)
    released, stopped = run(settings, pieces, rail, rewrites=True)
    assert whole.startswith(released)
    assert stopped == ("xx" in whole) or settings.chunk_size == 1
    assert stopped or released == whole


MODEL_TEXTS = st.text('ab "\n\\nuser bot', max_size=40)


@given(MODEL_TEXTS, st.lists(st.integers(1, 5), max_size=40), st.booleans(), st.booleans())
def test_a_message_read_piece_by_piece_is_the_message(
    text: str, sizes: list[int], quotes: bool, turns: bool
) -> None:
    wording, said, rest = Wording(quotes=quotes, turns=turns), "", text
    for size in sizes:
        said += wording.feed(rest[:size])
        rest = rest[size:]
    said += wording.feed(rest) + wording.finish()
    assert said == Wording(quotes=quotes, turns=turns).whole(text)
