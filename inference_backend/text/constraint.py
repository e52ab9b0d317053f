"""Output held inside a choice, regex or JSON schema: which tokens may come next, by llguidance.

A constraint is compiled when its request comes in, and copied per sequence; the last few are kept, since guards ask
for the same form again and again. The mask for a step is computed on the host while the model's forward pass runs;
applying it is the sampler's work.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from threading import Lock

import numpy as np
from llguidance import LLMatcher, LLTokenizer

from inference_backend.errors import ConstraintError
from inference_backend.step import Int32s
from inference_backend.text.tokenizer import Tokenizer
from inference_backend.values import Choice, Constraint, Continued, JsonSchema, Regex

_LONGEST = 1_000_000
_KEPT = 32  # compiled constraints
# At most one space between JSON tokens: a small model left free to indent may never come to the point.
_SPACE = " ?"
_FIELDS: dict[type, tuple[str, str]] = {  # the request's field and what it holds, for messages
    Choice: ("guided_choice", "a choice"),
    Regex: ("guided_regex", "a regular expression"),
    JsonSchema: ("response_format", "a JSON schema"),
}


class Matcher:
    """Where one sequence stands in its grammar."""

    def __init__(self, inner: LLMatcher, words: int) -> None:
        self._inner = inner
        self._words = words

    def fork(self) -> Matcher:
        """One that stands where this one does, and goes its own way."""
        return Matcher(self._inner.deep_copy(), self._words)

    def advance(self, token: int) -> bool:
        """Take a token; False if the grammar does not allow it."""
        return bool(self._inner.consume_token(token))

    @property
    def done(self) -> bool:
        """Whether the output is complete and nothing may follow."""
        return bool(self._inner.is_stopped())

    def mask(self) -> Int32s:
        """Allowed next tokens, int32 words (see `TokenMasks`). At the grammar's end only end-of-sequence is left."""
        packed = self._inner.compute_bitmask()
        words = np.zeros(self._words, dtype=np.int32)
        read = np.frombuffer(packed, dtype=np.int32)[: self._words]
        words[: len(read)] = read
        return words


class ConstraintCompiler:
    """Compiles constraints for one model. Thread-safe; compiling may take long for large schemas."""

    def __init__(self, tokenizer: Tokenizer, vocab_size: int, eos_ids: tuple[int, ...]) -> None:
        self._words = -(-vocab_size // 32)
        size = max(vocab_size, tokenizer.vocab_size)
        self._tokenizer = LLTokenizer(
            tokenizer.backend.to_str(), n_vocab=size, eos_token=list(eos_ids) or None
        )
        self._compiled: OrderedDict[Choice | Regex | JsonSchema, LLMatcher] = OrderedDict()
        self._lock = Lock()

    def compile(self, constraint: Constraint) -> Matcher:
        """A matcher at the start of the grammar, or behind the tokens of a `Continued` one.

        Raises:
            ConstraintError: the constraint is empty, malformed, or too large to compile, or forbids those tokens.
        """
        if not isinstance(constraint, Continued):
            return Matcher(self._fresh(constraint), self._words)
        inner = self._fresh(constraint.constraint)
        if not inner.consume_tokens(list(constraint.tokens)):
            raise ConstraintError("the constraint forbids the tokens that it is to be continued from")
        return Matcher(inner, self._words)

    def _fresh(self, constraint: Choice | Regex | JsonSchema) -> LLMatcher:
        with self._lock:
            found = self._compiled.get(constraint)
            if found is not None:
                self._compiled.move_to_end(constraint)
                return found.deep_copy()
        made = LLMatcher(self._tokenizer, _grammar(constraint), log_level=0)
        if made.is_error():
            field, what = _FIELDS[type(constraint)]
            raise ConstraintError(f"not {what} that can be held to: {_reason(made.get_error())}", param=field)
        with self._lock:
            self._compiled[constraint] = made.deep_copy()
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        return made


def _reason(report: str) -> str:
    """What is wrong, of a report that also shows the grammar around it: the line that says so, or the first one."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    named = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    return next(iter(named or lines), "unknown")


def _grammar(constraint: Choice | Regex | JsonSchema) -> str:
    if isinstance(constraint, Choice):
        if not constraint.options or not all(constraint.options):
            raise ConstraintError(
                "a choice needs one option or more, none of them empty", param="guided_choice"
            )
        options = " | ".join(json.dumps(option, ensure_ascii=False) for option in constraint.options)
        return str(LLMatcher.grammar_from_lark(f"start: {options}"))
    text = constraint.pattern if isinstance(constraint, Regex) else constraint.schema
    if len(text) > _LONGEST:
        field, what = _FIELDS[type(constraint)]
        raise ConstraintError(f"{what} of {len(text)} characters is too large", param=field)
    if isinstance(constraint, Regex):
        return str(LLMatcher.grammar_from_regex(text))
    return _json_grammar(constraint)


def _json_grammar(constraint: JsonSchema) -> str:
    try:
        return str(LLMatcher.grammar_from_json_schema(constraint.schema, {"whitespace_pattern": _SPACE}))
    except ValueError as error:
        raise ConstraintError(f"not a JSON schema: {error}", param="response_format") from error
