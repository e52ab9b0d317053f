"""BERT's WordPiece tokens, in plain Python.

The text is cleaned, lower-cased, stripped of accents and cut at white space, punctuation and CJK letters (Devlin et
al. 2019, arXiv:1810.04805, and the normaliser of the released models); each word is then covered by the longest
pieces of the vocabulary, from the left (Wu et al. 2016, arXiv:1609.08144). ASCII, the common case, takes one regular
expression, and the pieces of a word are looked up once and remembered in a bounded table, so a short sentence costs
a few microseconds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

_ASCII_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_REMEMBERED_WORDS = 1 << 17
_LONGEST_WORD = 100


class WordPiece:
    """Texts to token ids of an uncased BERT vocabulary, without the special tokens."""

    def __init__(self, vocabulary: Mapping[str, int], unknown: str = "[UNK]") -> None:
        """`vocabulary` maps pieces to ids; pieces inside a word begin with `##`."""
        self._vocabulary = vocabulary
        self._unknown = vocabulary[unknown]
        self._known: dict[str, tuple[int, ...]] = {}

    def ids(self, text: str) -> list[int]:
        """The token ids of a text."""
        known = self._known
        found: list[int] = []
        for word in split_words(text):
            pieces = known.get(word)
            found.extend(self._remember(word) if pieces is None else pieces)
        return found

    def _remember(self, word: str) -> tuple[int, ...]:
        if len(self._known) >= _REMEMBERED_WORDS:
            self._known.clear()
        pieces = self._known[word] = tuple(self._pieces(word))
        return pieces

    def _pieces(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        found: list[int] = []
        start = 0
        while start < len(word):
            end = len(word)
            prefix = "##" if start else ""
            while end > start and (piece := self._vocabulary.get(prefix + word[start:end])) is None:
                end -= 1
            if piece is None:
                return [self._unknown]
            found.append(piece)
            start = end
        return found


def split_words(text: str) -> Sequence[str]:
    """Lower-case words and punctuation marks, as BERT sees them before pieces are cut."""
    if text.isascii():
        return _ASCII_WORD.findall(_without_ascii_controls(text).lower())
    plain = unicodedata.normalize("NFD", "".join(map(_cleaned, text)).lower())
    return _cut("".join(letter for letter in plain if unicodedata.category(letter) != "Mn"))


def _without_ascii_controls(text: str) -> str:
    """BERT drops control characters without ending the word; tab and line breaks are white space."""
    return text if text.isprintable() else text.translate(_CONTROLS)


_CONTROLS = {code: None for code in (*range(32), 127) if code not in (9, 10, 13)}


def _cleaned(letter: str) -> str:
    if letter in "\t\n\r":
        return " "
    category = unicodedata.category(letter)
    if category == "Zs":
        return " "
    if category in ("Cc", "Cf", "Co") or letter == "\ufffd":
        return ""
    return f" {letter} " if _is_han(ord(letter)) else letter


def _cut(text: str) -> list[str]:
    words: list[str] = []
    for chunk in text.split():
        start = 0
        for i, letter in enumerate(chunk):
            if _is_punctuation(letter):
                if i > start:
                    words.append(chunk[start:i])
                words.append(letter)
                start = i + 1
        if start < len(chunk):
            words.append(chunk[start:])
    return words


def _is_punctuation(letter: str) -> bool:
    """Unicode's punctuation, and every ASCII sign that is neither letter, digit nor space."""
    return unicodedata.category(letter).startswith("P") or (letter.isascii() and not letter.isalnum())


def _is_han(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x2CEAF
        or 0x2F800 <= code <= 0x2FA1F
    )
