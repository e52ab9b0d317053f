"""No image, sound or file passes unseen: a rail that cannot read it blocks, unless the configuration lets it pass."""

from __future__ import annotations

from typing import Any

import pytest

from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.llm import LLMRequest, ScriptedLLM, register_provider
from tests.library.fronts import INTERNAL, REFUSAL

TEXT = {"type": "text", "text": "look here"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "f1"}}
DISGUISED = {**IMAGE, "text": "harmless"}
UNSEEN = [IMAGE, SOUND, FILE, DISGUISED]

OWN = """
define subflow own words
  if "bad" in $user_message
    bot refuse to respond
    stop

define subflow own action
  $fine = execute look(text=$user_message)
  if not $fine
    create event OwnException(message="mine")
    stop
"""


class Asked:
    """A configuration whose models say what `answers` has for them, and what each was shown."""

    def __init__(self, rails: str, extra: str = "", answers: dict[str, str] | None = None) -> None:
        self.shown: dict[str, list[Any]] = {"main": [], "guard": []}
        said = {"main": "fine", "guard": "safe", **(answers or {})}
        for kind in ("main", "guard"):
            register_provider(f"scripted_images_{kind}", self._model(kind, said[kind]))
        yaml = f"""
models:
  - {{type: main, engine: scripted_images_main, model: m}}
  - {{type: guard, engine: scripted_images_guard, model: g}}
rails: {{{rails}}}
{extra}
"""
        self.app = LLMRails(RailsConfig.from_content(OWN, yaml))

        async def look(text: Any) -> bool:
            return True

        self.app.register_action(look)

    def _model(self, kind: str, text: str) -> Any:
        def answer(request: LLMRequest) -> str:
            self.shown[kind].append(
                [part for message in request.messages for part in _parts(message.content)]
            )
            return text

        return lambda **_: ScriptedLLM(answer)

    async def say(self, content: Any) -> dict[str, Any]:
        return dict(await self.app.generate_async(messages=[{"role": "user", "content": content}]))

    async def stream(self, content: Any) -> str:
        messages = [{"role": "user", "content": content}]
        return "".join([str(piece) async for piece in self.app.stream_async(messages=messages)])


def _parts(content: Any) -> list[Any]:
    return [type(part).__name__ for part in content] if isinstance(content, tuple) else [content]


@pytest.mark.parametrize("part", UNSEEN)
@pytest.mark.parametrize(
    "flow", ["own words", "own action", "regex check input", "context bloat detection on input"]
)
async def test_what_a_rail_cannot_read_blocks(flow: str, part: dict[str, Any]) -> None:
    asked = Asked(f"input: {{flows: [{flow}]}}")
    assert await asked.say([TEXT, part]) == {"role": "assistant", "content": INTERNAL}
    assert INTERNAL in await asked.stream([TEXT, part])
    assert asked.shown["main"] == []
    assert await asked.say("look") == {"role": "assistant", "content": "fine"}


@pytest.mark.parametrize("parallel", ["parallel: true, ", ""])
@pytest.mark.parametrize(
    ("settings", "policies"),
    [
        ("allow_images: true, ", "{}"),
        ("on_error: allow, ", "{}"),
        ("", "{own action: {reads_images: true}}"),
        ("", "{own action: {on_error: allow}}"),
    ],
)
async def test_what_the_configuration_lets_pass_passes(settings: str, policies: str, parallel: str) -> None:
    asked = Asked(f"input: {{{parallel}{settings}flows: [own action]}}, policies: {policies}")
    assert await asked.say([TEXT, IMAGE]) == {"role": "assistant", "content": "fine"}
    assert "ImagePart" in asked.shown["main"][0]


@pytest.mark.parametrize("flow", ["own action", "regex check input"])
@pytest.mark.parametrize(
    "part",
    [DISGUISED, {"type": "output_text", "text": "a bad word"}, {"type": "thought", "thought": "a bad word"}],
)
async def test_words_do_not_pass_as_images(flow: str, part: dict[str, Any]) -> None:
    asked = Asked(f"input: {{allow_images: true, flows: [{flow}]}}")
    assert await asked.say([TEXT, part]) == {"role": "assistant", "content": INTERNAL}
    assert [await asked.say([TEXT, seen]) for seen in (IMAGE, SOUND, FILE)] == [
        {"role": "assistant", "content": "fine"}
    ] * 3


async def test_rails_side_by_side_block_too_and_raise_their_exceptions() -> None:
    asked = Asked("input: {parallel: true, flows: [own action]}", "enable_rails_exceptions: true")
    reply = await asked.say([IMAGE])
    assert (reply["role"], reply["content"]["type"], reply["content"]["reason"]) == (
        "exception", "OwnException", "error",
    )  # fmt: skip


@pytest.mark.parametrize("content", [[TEXT, {"type": "text", "text": "a bad word"}], ["a bad word"]])
async def test_words_do_not_hide_in_parts(content: list[Any]) -> None:
    asked = Asked("input: {flows: [own words]}")
    assert await asked.say(content) == {"role": "assistant", "content": REFUSAL}


async def test_without_input_rails_nothing_is_guarded() -> None:
    assert (await Asked("").say([TEXT, IMAGE]))["content"] == "fine"


async def test_an_older_image_that_nothing_has_seen_is_hidden() -> None:
    asked = Asked("input: {flows: [own words]}")
    older = [{"role": "user", "content": [TEXT, IMAGE]}, {"role": "assistant", "content": "nice"}]
    await asked.app.generate_async(messages=[*older, {"role": "user", "content": "more"}])
    (shown,) = asked.shown["main"]
    assert "ImagePart" not in shown


VISION = "prompts: [{task: content_safety_check_input $model=guard, messages: [{type: system, content: judge}, {type: user, content: '{{ user_input }}'}]}]"
WORDS = "prompts: [{task: content_safety_check_input $model=guard, messages: [{type: user, content: 'judge: {{ user_input }}'}]}]"
SAFETY = "input: {flows: [content safety check input $model=guard]}"


@pytest.mark.parametrize(("verdict", "heard"), [("safe", "fine"), ("unsafe S1", REFUSAL)])
async def test_a_content_safety_model_is_shown_images_by_a_prompt_that_gives_it_the_message(
    verdict: str, heard: str
) -> None:
    asked = Asked(SAFETY, VISION, {"guard": verdict})
    assert (await asked.say([TEXT, IMAGE]))["content"] == heard
    assert asked.shown["guard"] == [["judge", "TextPart", "ImagePart"]]
    assert await asked.stream([TEXT, IMAGE]) == heard


@pytest.mark.parametrize(
    ("prompt", "part"), [(WORDS, IMAGE), (VISION, SOUND), (VISION, FILE), (VISION, DISGUISED)]
)
async def test_what_it_could_not_be_shown_blocks(prompt: str, part: dict[str, Any]) -> None:
    asked = Asked(SAFETY, prompt)
    heard = (await asked.say([TEXT, part]))["content"]
    seen = part is DISGUISED and prompt is VISION
    assert heard == ("fine" if seen else INTERNAL)
    assert bool(asked.shown["guard"]) is seen


async def test_an_output_rail_judges_the_answer_and_not_the_image() -> None:
    checks = "prompts: [{task: self_check_output, content: 'OUT {{ user_input }} {{ bot_response }}'}]"
    asked = Asked("output: {flows: [self check output]}", checks, {"main": "no"})
    assert (await asked.say([TEXT, IMAGE]))["content"] == "no"
