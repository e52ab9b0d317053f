"""The rim for a person at a terminal: a prompt that stays at the bottom while the bot's words appear above it."""

from __future__ import annotations

from typing import Final

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.patch_stdout import patch_stdout

from app.cli.chat.text import printable
from app.cli.chat.values import Tone

STYLES: Final = {
    Tone.SPEECH: "ansigreen",
    Tone.SCENE: "ansimagenta",
    Tone.EVENT: "ansiyellow",
    Tone.NOTE: "",
    Tone.ERROR: "ansired",
}


class Terminal:
    """Ctrl+D leaves, and so does Ctrl+C pressed twice in a row."""

    eager = True

    def __init__(self) -> None:
        self._prompt: PromptSession[str] = PromptSession("> ")
        self._interrupted = False

    async def read(self) -> str | None:
        while True:
            try:
                with patch_stdout():
                    line = await self._prompt.prompt_async()
            except KeyboardInterrupt:
                if self._interrupted:
                    return None
                self._interrupted = True
                self.show("Press Ctrl+C once more to leave.", Tone.NOTE)
            except EOFError:
                return None
            else:
                self._interrupted = False
                return line

    def show(self, text: str, tone: Tone) -> None:
        with patch_stdout():
            body = f"\n{printable(text)}\n" if tone is Tone.SPEECH else printable(text)
            print_formatted_text(FormattedText([(STYLES[tone], body)]))
