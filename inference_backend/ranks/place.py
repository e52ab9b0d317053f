"""Which rank does what: ranks of one stage are neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from inference_backend.settings import ParallelSettings


@dataclass(frozen=True, slots=True)
class RankPlace:
    """Rank `rank` of `parallel.tensor` * `parallel.pipeline`."""

    rank: int
    parallel: ParallelSettings

    @property
    def world(self) -> int:
        """How many ranks there are."""
        return self.parallel.tensor * self.parallel.pipeline

    @property
    def stage(self) -> int:
        """The pipeline stage, from 0."""
        return self.rank // self.parallel.tensor

    @property
    def tensor_rank(self) -> int:
        """The share of each of the stage's layers, from 0."""
        return self.rank % self.parallel.tensor

    @property
    def first_stage(self) -> bool:
        """Whether it takes token ids."""
        return self.stage == 0

    @property
    def last_stage(self) -> bool:
        """Whether it samples."""
        return self.stage == self.parallel.pipeline - 1

    @property
    def before(self) -> int:
        """The rank of the stage before that has the same share."""
        return self.rank - self.parallel.tensor

    @property
    def after(self) -> int:
        """The rank of the stage after that has the same share."""
        return self.rank + self.parallel.tensor

    @property
    def answering(self) -> int:
        """The rank whose results are rank 0's when the last stage is another process."""
        return (self.parallel.pipeline - 1) * self.parallel.tensor
