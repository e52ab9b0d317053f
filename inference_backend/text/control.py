"""The model's control tokens, spelt out in what people write: text, and never control.

A user who writes the token that ends a turn must not end it: the model would take what follows for the system's words.
So such spellings are taken out of messages before the template is rendered, a mark in their place, and encoded as the
plain text that they are when the prompt becomes tokens. Messages without any are encoded as ever.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from inference_backend.text.tokenizer import Tokenizer


class ControlText:
    """The spellings found in one request's messages, by the marks that stand for them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._spelt: list[str] = []
        # Private-use characters and a number nobody can guess: a message cannot hold a mark of its own.
        self._nonce = secrets.token_hex(8)

    def marked(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The message with marks in its content."""
        content = message.get("content")
        pattern = self._tokenizer.control_pattern
        if pattern is None or not isinstance(content, str) or not pattern.search(content):
            return dict(message)
        return {**message, "content": pattern.sub(self._mark, content)}

    def _mark(self, found: re.Match[str]) -> str:
        self._spelt.append(found[0])
        return f"\ue000{self._nonce}:{len(self._spelt) - 1}\ue001"

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a rendered prompt; what the marks stand for is plain text."""
        if not self._spelt:
            return self._tokenizer.encode(prompt, special=False)
        ids: list[int] = []
        for number, piece in enumerate(re.split(f"\ue000{self._nonce}:(\\d+)\ue001", prompt)):
            if number % 2:
                ids += self._tokenizer.encode_plain(self._spelt[int(piece)])
            elif piece:
                ids += self._tokenizer.encode(piece, special=False)
        return ids
