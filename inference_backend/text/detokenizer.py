"""Tokens to text as they come.

A token may be part of a character, and how it decodes may depend on the token before (a leading space). So text is
always decoded together with the tokens of the piece before, and what that piece decodes to alone is taken off the
front. Text that ends in the replacement character is held back: the next token may complete the character. So every
piece starts and ends between characters, which matters where a run of byte tokens is decoded as one (byte fallback):
begun in the middle of a character, all of it would be replaced.
"""

from __future__ import annotations

from collections.abc import Sequence

from inference_backend.text.tokenizer import Tokenizer

_REPLACEMENT = "\ufffd"
_CONTEXT = 6
_LONGEST_CONTEXT = 16
_LONGEST_HELD = 16


class Detokenizer:
    """One sequence's output text. Starts after the prompt, whose last tokens give the context."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], *, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._ids = self._context(
            [token for token in prompt[-_LONGEST_CONTEXT:] if token < tokenizer.vocab_size]
        )
        self._read = len(self._ids)

    def push(self, tokens: Sequence[int]) -> str:
        """The text that these tokens complete; may be empty."""
        self._ids += tokens
        text = self._new_text()
        if text.endswith(_REPLACEMENT) and len(self._ids) - self._read < _LONGEST_HELD:
            return ""
        if text or len(self._ids) - self._read >= _LONGEST_HELD:
            self._ids = self._ids[self._read :]
            self._read = len(self._ids)
        return text

    def flush(self) -> str:
        """What was held back, with replacement characters where the bytes never became a character."""
        text = self._new_text()
        self._read = len(self._ids)
        return text

    def _context(self, prompt: list[int]) -> list[int]:
        """The shortest end of the prompt, of six tokens or more, that does not start within a character."""
        for size in range(min(_CONTEXT, len(prompt)), len(prompt) + 1):
            ending = prompt[len(prompt) - size :]
            if not self._decode(ending).startswith(_REPLACEMENT):
                return ending
        return []

    def _new_text(self) -> str:
        before = self._decode(self._ids[: self._read])
        return self._decode(self._ids)[len(before) :]

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special=self._skip_special)
