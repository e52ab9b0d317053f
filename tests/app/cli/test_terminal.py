"""The chat as a person sees it: the real command behind a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.cli.command import environment

PATIENCE_S = 40.0
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[=>])")


class Person:
    """Types into the command and reads what it prints, with the terminal's escapes taken out."""

    def __init__(self, config: str, folder: Path) -> None:
        self._terminal, inside = pty.openpty()
        self._seen = ""
        self.process = subprocess.Popen(  # noqa: S603 -- our own command
            [sys.executable, "-m", "nemoguardrails", "chat", "--config", config],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            cwd=folder,
            env=environment(TERM="xterm", COLUMNS="120", LINES="40", PROMPT_TOOLKIT_NO_CPR="1"),
            start_new_session=True,
        )
        os.close(inside)

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def sees(self, text: str) -> None:
        """Wait until `text` is on the screen; what came before it counts as read."""
        self._watch(lambda: text in self._seen, f"the text {text!r}")
        self._seen = self._seen.partition(text)[2]

    def _watch(self, arrived: Callable[[], bool], awaited: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not arrived():
            assert time.monotonic() < deadline, f"{awaited} never came; on the screen: {self._seen[-2000:]!r}"
            if select.select([self._terminal], [], [], 0.1)[0]:
                self._seen = ESCAPES.sub("", self._seen + self._read())

    def _read(self) -> str:
        try:
            return os.read(self._terminal, 65536).decode(errors="replace")
        except OSError:  # Linux reports the end of a pseudo-terminal so
            return ""

    def leaves(self) -> int:
        self._watch(lambda: self.process.poll() is not None, "the end")
        return self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._terminal)


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    person = Person("support_bot_v2", tmp_path)
    try:
        person.sees("Starting the chat (Press Ctrl + C twice to quit) ...")
        person.sees("Welcome to Harbour Bikes!")
        person.sees(">")
        yield person
    finally:
        person.close()


def test_a_person_talks_looks_inside_and_leaves(person: Person) -> None:
    person.types("when do you open?\r")
    person.sees("We are open every day")
    person.types("!tree\r")
    person.sees("main (")
    person.sees("telling the prices")
    person.types("!bogus\r")
    person.sees("There is no command !bogus; see !help.")
    person.sees(">")
    person.types("\x04")
    assert person.leaves() == 0


def test_ctrl_c_twice_leaves(person: Person) -> None:
    person.types("\x03")
    person.sees("Press Ctrl+C once more to leave.")
    person.sees(">")
    person.types("\x03")
    assert person.leaves() == 0


SLOW = """
import asyncio

from nemoguardrails.actions import action


@action()
async def dawdle():
    await asyncio.sleep(600)
"""
WAITING = """
define flow run dialog rails
  event UserMessage(text="...")
  execute dawdle
"""


def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("models: []\n")
    (tmp_path / "main.co").write_text(WAITING)
    (tmp_path / "actions.py").write_text(SLOW)
    person = Person(str(tmp_path), tmp_path)
    try:
        person.sees(">")
        person.types("hello\r")
        person.sees("Working ...")
        os.killpg(person.process.pid, signal.SIGINT)  # what a terminal sends for Ctrl+C
        person.sees("Stopped.")
        person.sees(">")
        person.types("\x04")
        assert person.leaves() == 0
    finally:
        person.close()


SLOW_ENGINE = """
import time


class Slow:
    engine_name = "slow"

    def __init__(self, embedding_model, **parameters):
        pass

    def encode(self, documents):
        time.sleep(0.8)
        return [[1.0, float(len(document))] for document in documents]

    async def encode_async(self, documents):
        import asyncio

        return await asyncio.to_thread(self.encode, documents)


def init(app):
    app.register_embedding_provider(Slow, "slow")
"""


def test_a_bar_shows_how_far_the_indexing_of_many_documents_is(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(
        "models:\n- {type: embeddings, engine: slow, model: m}\n"
        f"knowledge_base: {{index_folder: '{tmp_path / 'index'}'}}\n"
    )
    (tmp_path / "config.py").write_text(SLOW_ENGINE)
    (tmp_path / "kb").mkdir()
    sections = "\n\n".join(f"# Part {number}\n\nWhat part {number} is about." for number in range(1000))
    (tmp_path / "kb" / "all.md").write_text(sections)
    person = Person(str(tmp_path), tmp_path)
    try:
        person.sees("Indexing the documents ...")
        person.sees("/1000")
        person.sees(">")
        person.types("\x04")
        assert person.leaves() == 0
    finally:
        person.close()
