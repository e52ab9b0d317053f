"""Personal data, found by presidio as it is installed here: with its patterns, and no language model."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.errors import InvalidRailsConfigurationError
from rails_engine.library.actions import recognizers
from rails_engine.testing import FakeLLMModel
from tests.library.fronts import DIALECTS, INTERNAL, UNKNOWN, echoing, guarded, said

ENTITIES = "EMAIL_ADDRESS, CREDIT_CARD, IP_ADDRESS, IBAN_CODE"


def settings(direction: str, flow: str, options: str = f"entities: [{ENTITIES}]", more: str = "") -> str:
    listed = f"{direction}: {{flows: [{flow} sensitive data on {direction}]}}"
    detection = f"{{language_model: none, {direction}: {{{options}}}{more}}}"
    return f"{listed}, config: {{sensitive_data_detection: {detection}}}"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that calls home would have to resolve a name."""

    def refuse(*where: Any, **_: Any) -> Any:
        raise AssertionError(f"looked up {where}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("write to ann@site.example.com", False),
        ("pay with 4111 1111 1111 1111", False),
        ("the host is 10.11.12.13", False),
        ("send it to GB82 WEST 1234 5698 7654 32", False),
        ("the number is 17", True),
        ("", True),
    ],
)
async def test_personal_data_is_refused_in_both_directions(version: str, text: str, passes: bool) -> None:
    heard = await said(guarded(version, settings("input", "detect")), text or " ")
    assert heard == ("fine" if passes else UNKNOWN)
    assert await said(guarded(version, settings("output", "detect"), text)) == (text if passes else UNKNOWN)


@pytest.mark.parametrize(
    ("options", "text", "masked"),
    [
        (f"entities: [{ENTITIES}]", "mail a@b.com, or c@d.org", "mail <EMAIL_ADDRESS>, or <EMAIL_ADDRESS>"),
        ("entities: [EMAIL_ADDRESS], mask_token: '#'", "mail a@b.com.", "mail #######."),
        ("entities: [EMAIL_ADDRESS, URL]", "mail a@b.com.", "mail <EMAIL_ADDRESS>."),
        ("entities: [IP_ADDRESS], score_threshold: 0.9", "host 10.0.0.1", "host 10.0.0.1"),
    ],
)
async def test_personal_data_is_masked(options: str, text: str, masked: str) -> None:
    for version in DIALECTS:
        assert await said(guarded(version, settings("output", "mask", options), text)) == masked
    assert await said(echoing(settings("input", "mask", options)), text) == f"heard {masked}"


async def test_the_model_is_asked_with_the_masked_text() -> None:
    asked: list[str] = []

    def answer(request: Any) -> str:
        asked.append(str(request))
        return "fine"

    app = guarded("1.0", settings("input", "mask"), answer)
    assert await said(app, "I am at a@b.com") == "fine"
    assert "<EMAIL_ADDRESS>" in asked[0]
    assert "a@b.com" not in asked[0]


OWN = (
    ", recognizers: [{name: ticket, supported_language: en, supported_entity: TICKET, "
    "patterns: [{name: t, regex: 'T-[0-9]{4}', score: 0.8}]}]"
)


@pytest.mark.parametrize("version", DIALECTS)
async def test_recognizers_of_the_configuration_find_its_entities(version: str) -> None:
    app = guarded(version, settings("output", "mask", "entities: [TICKET]", OWN), "see T-1234")
    assert await said(app) == "see <TICKET>"


def test_an_entity_that_nothing_finds_is_refused_when_the_configuration_is_opened() -> None:
    with pytest.raises(InvalidRailsConfigurationError, match="no recognizer finds SHOE_SIZE; there are"):
        guarded("1.0", settings("input", "detect", "entities: [SHOE_SIZE]"))


def test_a_name_is_refused_where_no_language_model_could_tell_it() -> None:
    with pytest.raises(InvalidRailsConfigurationError, match="with a language model names and places"):
        guarded("1.0", settings("input", "detect", "entities: [PERSON, EMAIL_ADDRESS]"))


@pytest.mark.parametrize("wanted", ["", "language_model: en_core_web_lg, "])
async def test_a_language_model_that_is_not_installed_blocks_and_is_named(
    wanted: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = recognizers.find_spec
    monkeypatch.setattr(
        recognizers, "find_spec", lambda name: None if name.startswith("en_core") else here(name)
    )
    rails = settings("input", "detect").replace("language_model: none, ", wanted)
    assert await said(guarded("1.0", rails), "hi") == INTERNAL
    assert "python -m spacy download en_core_web_lg" in caplog.text


async def test_an_action_of_the_configuration_takes_the_place_of_presidio(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(
        "models: []\nrails: {" + settings("input", "detect", "entities: [SHOE_SIZE]") + "}\n"
    )
    (tmp_path / "actions.py").write_text(
        "from nemoguardrails.actions import action\n"
        "from nemoguardrails.actions.rail_outcome import RailOutcome\n"
        "@action()\n"
        "async def detect_sensitive_data(source, text):\n"
        "    return RailOutcome.block() if '44' in text else RailOutcome.allow()\n"
        "@action()\n"
        "async def mask_sensitive_data(source, text):\n"
        "    return RailOutcome.allow()\n"
    )
    app = LLMRails(RailsConfig.from_path(tmp_path), llm=FakeLLMModel(responses=["fine"]))
    assert await said(app, "size 44") == UNKNOWN
    assert await said(app, "size 4") == "fine"
