"""The decorators that hold an action to rules."""

from __future__ import annotations

import pytest

from rails_engine.actions import (
    contains_quotes,
    filter_secrets,
    ip_filter,
    is_default_resp,
    max_length,
    validate_input,
    validate_response,
)


@validate_input("query", validators=[max_length, contains_quotes], max_len=10)
class Search:
    query: str | None = None

    def run(self, query: str | None = None) -> str:
        return f"found {query}"


@pytest.mark.parametrize(
    ("query", "fine"), [("short", True), ("much too long", False), ('"x"', False), (None, False)]
)
def test_input(query: str | None, fine: bool) -> None:
    if fine:
        assert Search().run(query=query) == f"found {query}"
    else:
        with pytest.raises(ValueError, match=r"refused by|is required"):
            Search().run(query=query)


async def test_answers_are_filtered_or_refused() -> None:
    @validate_response(
        validators=[ip_filter, filter_secrets, is_default_resp], default_responses=("no answer",)
    )
    async def ask(answer: str) -> str:
        return answer

    assert await ask("at 10.0.0.1 with sk-abcdefghijklmnop1234.") == "at  with ."
    with pytest.raises(ValueError, match="is_default_resp"):
        await ask("no answer")
