"""Windows over a streamed text: what goes out was allowed, and every character is judged in its window."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rails_engine.canonical.wording import Notation, Wording
from rails_engine.config.schema import OutputRailsStreamingConfig
from rails_engine.streaming import Frame
from rails_engine.windows import Check, Ruling, StreamStoppedError, Windows

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
    settings: OutputRailsStreamingConfig,
    pieces: list[str],
    rail: Check,
    *,
    rewrites: bool = False,
    reach: int = 0,
) -> tuple[str, bool]:
    """The text that went out, and whether the rail stopped it."""
    out: list[str] = []

    async def stream() -> bool:
        windows = Windows(
            settings, rail, lambda frame: out.append(frame.text), rewrites=rewrites, reach=reach
        )
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


@given(st.integers(1, 9), st.integers(2, 6), st.text("ab ", max_size=40))
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
    assert stopped == ("xx" in whole)
    assert stopped or released == whole


@dataclass
class Masking:
    """Masks what a pattern finds, and keeps what it saw."""

    pattern: str
    seen: list[str] = field(default_factory=list)

    async def __call__(self, text: str, reasoning: str) -> Ruling:
        del reasoning
        self.seen.append(text)
        return Ruling(self.masked(text))

    def masked(self, text: str) -> str:
        return re.sub(self.pattern, "<MASKED>", text)


LONGEST = 12
"""Characters of the longest thing that one of the patterns finds, with what it looks at around it."""
PATTERNS = st.sampled_from(
    [
        r"\d{3,10}",  # grows: a part of it is one as well
        r"a+@b{1,4}",
        r"(?<=no )\d{1,6}(?! ok)",  # looks at what stands around it
        r"x y z",
        r"a\w{0,8} z",
    ]
)


TEXTS = st.lists(
    st.sampled_from(["no 12", "12", "345", "a", "aa@b", "b", " ok", " ", "x y z", "x", "ab z", "no "]),
    max_size=30,
).map("".join)


def split(text: str, sizes: list[int]) -> list[str]:
    """The text in pieces of these sizes, and the rest of it."""
    pieces = []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    return [*pieces, text]


@given(
    st.integers(1, 8),
    st.integers(0, 4),
    PATTERNS,
    TEXTS,
    st.lists(st.integers(0, 6), max_size=40),
)
def test_whatever_is_within_the_reach_is_masked_as_if_the_text_had_been_whole(
    chunk: int, context: int, pattern: str, text: str, sizes: list[int]
) -> None:
    assume(all(len(found) < LONGEST for found in re.findall(pattern.replace("+", "{1,}"), text)))
    settings = OutputRailsStreamingConfig(chunk_size=chunk, context_size=context)
    rail = Masking(pattern)
    released, _ = run(settings, split(text, sizes), rail, rewrites=True, reach=LONGEST + 4)
    assert released == rail.masked(text)


@given(st.integers(2, 8), st.text("ab ", max_size=120))
def test_a_text_goes_out_before_it_is_whole_where_rails_reach_less_far(chunk: int, text: str) -> None:
    settings = OutputRailsStreamingConfig(chunk_size=chunk, context_size=1)
    out: list[int] = []
    rail = Masking("b")

    async def stream() -> None:
        windows = Windows(settings, rail, lambda _: out.append(place), rewrites=True, reach=5)
        for place, piece in enumerate(text):  # noqa: B007 -- what the release refers to
            await windows.take(Frame(piece))
        await windows.end()

    asyncio.run(stream())
    # Where nothing is rewritten, no more is held than a window and the reach.
    if "b" not in text and len(text) > chunk + 12:
        assert out[0] < chunk + 12


def test_one_thing_without_end_is_not_held_for_ever() -> None:
    settings = OutputRailsStreamingConfig(chunk_size=5, context_size=1)
    rail = Masking("1+")
    released, _ = run(settings, ["1"] * 2500, rail, rewrites=True, reach=10)
    assert "1" not in released
    assert max(map(len, rail.seen)) < 2100


def test_the_rails_are_not_asked_while_all_would_stay_held() -> None:
    settings, rail = OutputRailsStreamingConfig(chunk_size=2, context_size=4), Masking("secret")
    released, _ = run(settings, list("abcdef"), rail, rewrites=True)
    assert (released, rail.seen) == ("abcdef", ["abcde", "bcdef"])


def test_what_stays_held_is_judged_again_once_with_a_window_of_what_follows() -> None:
    settings, rail = OutputRailsStreamingConfig(chunk_size=4, context_size=1), Masking("secret")
    released, _ = run(settings, list("abcdefgh"), rail, rewrites=True)
    assert (released, rail.seen) == ("abcdefgh", ["abcd", "defg", "gh"])


def test_what_rails_rewrite_behind_what_is_out_goes_out_from_the_first_change_on() -> None:
    settings = OutputRailsStreamingConfig(chunk_size=2, context_size=1)
    released, _ = run(settings, ["ab", "cd", "ef"], Masking("dx?ef"))
    assert released == "abc" + "d" + "<MASKED>"


def test_the_end_is_what_the_rails_left_of_it_though_nothing_follows() -> None:
    settings = OutputRailsStreamingConfig(chunk_size=2, context_size=1)
    rail = Masking("secret")
    released, _ = run(settings, ["a ", "secret"], rail, rewrites=True, reach=4)
    assert (released, rail.seen) == ("a <MASKED>", ["a secret"])


MODEL_TEXTS = st.text('ab "\n\\nuser bot', max_size=40)


@given(MODEL_TEXTS, st.lists(st.integers(1, 5), max_size=40), st.booleans(), st.booleans())
def test_a_message_read_piece_by_piece_is_the_message(
    text: str, sizes: list[int], quotes: bool, turns: bool
) -> None:
    notation = Notation(quotes=quotes, turns=turns)
    wording, said, rest = Wording(notation), "", text
    for size in sizes:
        said += wording.feed(rest[:size])
        rest = rest[size:]
    said += wording.feed(rest) + wording.finish()
    assert said == notation.whole(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('  "one\n  two\n    - three"', "one\ntwo\n  - three"),
        ('\n    "one\n  two\n\n    three"', "one\ntwo\n\nthree"),
        ('"one\n  two"', "one\n  two"),
        ('Bot message: "one\n  two"', "one\n  two"),
    ],
)
def test_the_lines_of_a_message_keep_their_place_below_its_first(text: str, said: str) -> None:
    assert Notation(turns=True).whole(text) == said
