"""The tokenizer of a checkpoint folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tokenizers

from inference_backend.errors import CheckpointError, CorruptCheckpointError, InvalidParameterError

_MAX_CHARACTERS = 16_000_000


class Tokenizer:
    """Thread-safe; encoding and decoding hold no state."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        backend.no_padding()
        backend.no_truncation()

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
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids; `special` lets the tokenizer add its beginning-of-sequence token.

        Raises:
            InvalidParameterError: the text is longer than 16 million characters.
        """
        if len(text) > _MAX_CHARACTERS:
            raise InvalidParameterError(f"the prompt has {len(text)} characters", param="prompt")
        return list(self.backend.encode(text, add_special_tokens=special).ids)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return str(self.backend.decode(list(ids), skip_special_tokens=skip_special))

    def token_id(self, token: str) -> int | None:
        found = self.backend.token_to_id(token)
        return None if found is None else int(found)

    def token_text(self, token_id: int) -> str:
        """One token as text, special or not; the replacement character where it is part of a character."""
        return self.decode([token_id], skip_special=False)
