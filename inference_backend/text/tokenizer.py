"""The tokenizer of a checkpoint folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import tokenizers

from inference_backend.errors import CheckpointError, CorruptCheckpointError, InvalidParameterError

_MAX_CHARACTERS = 16_000_000
_REPLACEMENT = "\ufffd"
_WORD_MARK = "\u2581"
_FALLBACK = re.compile(r"<0x[0-9A-F]{2}>")


class Tokenizer:
    """Thread-safe; encoding and decoding hold no state."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        backend.no_padding()
        backend.no_truncation()
        # A copy of its own: whether control tokens are read is a switch of the whole tokenizer.
        self._plain = tokenizers.Tokenizer.from_str(backend.to_str())
        self._plain.encode_special_tokens = True
        self.control_pattern = _control_pattern(backend)

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Read `tokenizer.json`.

        Raises:
            CheckpointError: the folder has none.
            CorruptCheckpointError: it cannot be read.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(
                f"{folder} has no tokenizer.json; save the fast tokenizer of the model there "
                "(AutoTokenizer.from_pretrained(...).save_pretrained(...))"
            )
        try:
            return cls(tokenizers.Tokenizer.from_file(str(path)))
        except Exception as error:  # the library raises bare Exception for a malformed file
            raise CorruptCheckpointError(f"{path}: not a tokenizer: {error}") from error

    @property
    def vocab_size(self) -> int:
        """Token ids run below this, added ones included."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids; `special` lets the tokenizer add its beginning-of-sequence token.

        Raises:
            InvalidParameterError: the text is longer than 16 million characters.
        """
        if len(text) > _MAX_CHARACTERS:
            raise InvalidParameterError(f"the prompt has {len(text)} characters", param="prompt")
        return list(self.backend.encode(text, add_special_tokens=special).ids)

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of text in which no control token is read, whatever it spells."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Text of token ids; special tokens are left out unless asked for."""
        return str(self.backend.decode(list(ids), skip_special_tokens=skip_special))

    def token_id(self, token: str) -> int | None:
        """The id of a token spelt so; None where there is none."""
        found = self.backend.token_to_id(token)
        return None if found is None else int(found)

    def token_text(self, token_id: int) -> str:
        """One token as text, special or not; the replacement character where it is part of a character."""
        text = self.decode([token_id], skip_special=False)
        # A decoder that takes the space before the first word away would make " a" and "a" look alike.
        spaced = self._stored(token_id).startswith(_WORD_MARK) and not text.startswith(" ")
        return f" {text}" if spaced else text

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token, also where they are only part of a character."""
        text = self.token_text(token_id)
        if _REPLACEMENT not in text:
            return text.encode()
        stored = self._stored(token_id)
        if _FALLBACK.fullmatch(stored):
            return bytes([int(stored[3:5], 16)])
        places = [_BYTES_OF_CHARACTERS.get(character) for character in stored]
        known = [place for place in places if place is not None]
        return bytes(known) if known and len(known) == len(places) else text.encode()

    def _stored(self, token_id: int) -> str:
        """A token as the vocabulary spells it."""
        return self.backend.id_to_token(token_id) or ""


def _control_pattern(backend: tokenizers.Tokenizer) -> re.Pattern[str] | None:
    """Finds the spelling of any control token, the longest first; None where there is none."""
    added = backend.get_added_tokens_decoder().values()
    spelt = sorted({token.content for token in added if token.special}, key=len, reverse=True)
    return re.compile("|".join(re.escape(text) for text in spelt)) if spelt else None


def _byte_characters() -> dict[str, int]:
    """How byte-level vocabularies (Radford et al., GPT-2, 2019) spell bytes: visible ones as themselves."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES_OF_CHARACTERS = _byte_characters()
