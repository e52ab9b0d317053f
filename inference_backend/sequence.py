"""One generation under way: its tokens, its blocks, how far it has come."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from inference_backend.kv import chain_hash
from inference_backend.values import Request


class Phase(enum.Enum):
    """Where a sequence is: in the waiting line (also after a preemption), in steps, or done with."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(slots=True, eq=False)
class Sequence:
    """The scheduler's record of one choice of one request.

    The map of its tokens, with what is known and what has keys and values::

        0                      computed                  len(tokens)          total = len(tokens) + pending
        |---- in the cache ------|---- to be computed ------|-- sampled, not seen --|

    Attributes:
        tokens: prompt and output so far.
        limit: total tokens at which generation ends.
        slot: its row in the executor's tables while it runs; means nothing otherwise.
        computed: tokens whose keys and values are in the cache once every planned step has run.
        pending: tokens that steps under way are sampling; 2 at most, between a plan and the collection before it.
        blocks: cache blocks in order, enough for `computed` and for all known tokens once running.
        names: hash chain, one per full block of known tokens; `named` of them are given to the cache.
        drafts: guesses for the tokens after the known ones, to be verified in the next step.
        verifying: a step under way checks drafts, so that nothing is known of the next position.
        end: tokens that are ever computed: the last allowed one is never an input, except to an embedding.
        rank: who goes first: smaller priority, then earlier arrival, then lower index.
        scored: tokens of the prompt whose log probabilities planned steps give; the first has none. `scores`: whether
            it wants them at all.
        preemptions: also tells a step planned before a preemption from one after it.
    """

    request: Request
    index: int
    arrival: int
    limit: int
    stop_ids: frozenset[int]
    seed: int
    root: bytes
    adapter: int = 0
    masked: bool = False
    tokens: list[int] = field(default_factory=list)
    phase: Phase = Phase.WAITING
    slot: int = 0
    computed: int = 0
    pending: int = 0
    cached: int = 0
    preemptions: int = 0
    blocks: list[int] = field(default_factory=list)
    names: list[bytes] = field(default_factory=list)
    named: int = 0
    drafts: list[int] = field(default_factory=list)
    verifying: bool = False
    scored: int = 1

    prompt_length: int = field(init=False)
    end: int = field(init=False)
    scores: bool = field(init=False)
    rank: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = list(self.request.prompt_ids)
        self.prompt_length = len(self.tokens)
        self.end = self.limit if self.request.pooling else self.limit - 1
        self.scores = self.request.sampling.prompt_logprobs is not None and self.index == 0
        self.rank = (self.request.priority, self.arrival, self.index)

    @property
    def generated(self) -> int:
        """Tokens generated and seen."""
        return len(self.tokens) - self.prompt_length

    @property
    def total(self) -> int:
        """Tokens that exist, seen or being sampled."""
        return len(self.tokens) + self.pending

    @property
    def remaining(self) -> int:
        """Tokens to be computed."""
        return min(self.total, self.end) - self.computed

    @property
    def reusable(self) -> bool:
        """Whether it may skip tokens that are in the cache: what needs every hidden state may not."""
        return self.request.pooling is None and not self.scores

    def extend_names(self, block_size: int) -> None:
        """Continue the hash chain over all full blocks of known tokens."""
        named, full = len(self.names), len(self.tokens) // block_size
        if named == full:
            return
        # One conversion for all blocks: a long prompt has hundreds.
        content = np.asarray(self.tokens[named * block_size : full * block_size], dtype=np.int32).tobytes()
        size = len(content) // (full - named)
        name = self.names[-1] if self.names else self.root
        for start in range(0, len(content), size):
            name = chain_hash(name, content[start : start + size])
            self.names.append(name)
