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
def test_an_input_that_a_validator_refuses_does_not_reach_the_method(query: str | None, fine: bool) -> None:
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


class Asked:
    """Its method takes what it asks from the object itself."""

    def __init__(self, query: str) -> None:
        self.query = query

    @validate_input("query", validators=["length", "quote"], max_len=12)
    def run(self) -> str:
        return self.query


def test_rules_go_by_their_names() -> None:
    @validate_input("city", validators=["length", "quote"], max_len=9)
    def look_up(*, city: str) -> str:
        return city

    assert look_up(city="São Paulo") == "S%C3%A3o%20Paulo"
    assert Asked('a "b"').run() == "a%20%22b%22"
    for wrong in ("much too long", "", None):
        with pytest.raises(ValueError, match=r"refused by max_length|city is required"):
            look_up(city=wrong)
    with pytest.raises(ValueError, match="refused by max_length"):
        Asked("much too long").run()


def test_a_positional_argument_is_held_to_the_rules_too() -> None:
    @validate_input("city", validators=["length"], max_len=4)
    def look_up(city: str) -> str:
        return city

    assert look_up("Rome") == "Rome"
    with pytest.raises(ValueError, match="refused by max_length"):
        look_up("Palermo")


def test_a_plain_function_stays_one() -> None:
    @validate_response(validators=["ip_filter", "length"], max_len=20)
    def ask(answer: object) -> object:
        return answer

    assert ask("at 10.0.0.1:80") == "at :80"
    assert ask({"at": "10.0.0.1"}) == {"at": "10.0.0.1"}
    with pytest.raises(ValueError, match="refused by max_length"):
        ask("x" * 21)


async def test_the_stock_answers_of_search_services_are_refused() -> None:
    @validate_response(validators=["is_default_resp"])
    class Search:
        async def run(self, query: str) -> str:
            return query

    assert await Search().run("found") == "found"
    with pytest.raises(ValueError, match="refused by is_default_resp"):
        await Search().run("No good search result found")


def test_a_rule_that_is_misspelt_is_no_rule() -> None:
    with pytest.raises(ValueError, match="there is no validator 'lenght'; there are length, quote"):
        validate_input("city", validators=["lenght"])
    with pytest.raises(ValueError, match="there is no validator 'quote'"):
        validate_response(validators=["quote"])
